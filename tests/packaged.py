"""The packaged cfgs as networks, and what is known of them elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from helpers import ROOT

from darknet_py.layers import Layer
from darknet_py.network import Network

CFG = ROOT / "cfg"
NAMES = sorted(path.stem for path in CFG.glob("*.cfg"))
STATISTICS = ("rolling_mean", "rolling_variance")

FLOATS = {
    "Gaussian_yolov3_BDD": 61_646_347,
    "alexnet": 62_378_344,
    "cifar": 7_687_050,
    "cifar.test": 7_687_050,
    "crnn.train": 9_015_808,
    "cspdarknet53": 27_677_512,
    "csresnext50-panet-spp": 57_030_845,
    "darknet": 7_323_480,
    "darknet19": 20_856_776,
    "darknet19_448": 20_856_776,
    "darknet53": 41_645_640,
    "darknet53_448": 41_645_640,
    "darknet9000": 29_485_226,
    "densenet201": 17_206_440,
    "efficientnet_b0": 4_890_040,
    "enet-coco": 4_808_270,
    "extraction": 23_455_400,
    "extraction22k": 97_605_650,
    "glyphs": 144_770,
    "go": 7_093_761,
    "go.test": 7_093_761,
    "gru": 1_250_048,
    "jnet-conv": 18_870_048,
    "lstm.train": 22_380_800,
    "resnet101": 41_870_248,
    "resnet152": 57_559_976,
    "resnet18": 11_523_496,
    "resnet34": 21_639_080,
    "resnet50": 22_825_896,
    "resnext101-32x4d": 41_639_208,
    "resnext152-32x4d": 56_730_920,
    "resnext50": 22_312_872,
    "rnn": 8_950_016,
    "rnn.train": 8_950_016,
    "shapes": 344_702,
    "tiny": 1_046_488,
    "vgg-16": 138_357_544,
    "vgg-conv": 14_714_688,
    "yolo9000": 48_807_501,
    "yolov1-tiny": 27_099_950,
    "yolov1": 197_328_243,
    "yolov2-tiny-voc": 15_867_885,
    "yolov2-tiny": 11_237_145,
    "yolov2-voc": 50_676_061,
    "yolov2": 50_983_561,
    "yolov3-openimages": 64_807_342,
    "yolov3-spp": 63_052_381,
    "yolov3-tiny-prn": 4_939_758,
    "yolov3-tiny": 8_858_734,
    "yolov3-tiny_3l": 9_009_967,
    "yolov3-voc": 61_678_657,
    "yolov3": 62_001_757,
    "yolov4-csp-swish": 52_986_205,
    "yolov4-csp-x-mish": 99_847_037,
    "yolov4-csp-x-swish": 99_847_037,
    "yolov4-csp": 52_986_205,
    "yolov4-custom": 64_429_405,
    "yolov4-p5": 70_917_468,
    "yolov4-p6": 127_717_040,
    "yolov4-tiny-3l": 6_334_045,
    "yolov4-tiny-custom": 6_062_814,
    "yolov4-tiny": 6_062_814,
    "yolov4": 64_429_405,
    "yolov4x-mish": 99_847_037,
    "yolov7-tiny": 6_241_885,
    "yolov7": 36_974_557,
    "yolov7x": 71_409_685,
}
"""How many floats C reads after the header of a whole weights file."""


@dataclass(frozen=True)
class Published:
    """What is known of a network that Darknet never shipped.

    `parameters` and `operations` (multiply-adds) as `source` gives them; `leave_out` are the
    arrays of ours that it does not count.
    """

    parameters: float
    operations: float | None
    source: str
    leave_out: tuple[str, ...] = ()
    parameter_tolerance: float = 0
    operation_tolerance: float = 0


PUBLISHED = {
    # No batch norm: to the last parameter. The paper gives no operations.
    "squeezenet": Published(1_248_424, None, "table 1 of the paper"),
    "squeezenet_bypass": Published(1_248_424, None, "table 1: a bypass has no parameters"),
    # Rounded in the paper: half of the last digit.
    "mobilenet": Published(
        4.2e6, 569e6, "table 8 of the paper", parameter_tolerance=0.05e6, operation_tolerance=0.5e6
    ),
    # The paper says 3.4 M, its authors' model table 3.47 M, both without batch norm.
    "mobilenetv2": Published(
        3.47e6,
        300e6,
        "the authors' model table, table 4 of the paper",
        leave_out=("scales", "batch norm biases"),
        parameter_tolerance=0.005e6,
        operation_tolerance=1e6,
    ),
    # Convolutions have no biases there; Darknet's without batch norm do: 2752 of them.
    "densenet121": Published(
        7_978_856,
        2.834e9,
        "torchvision's model table",
        leave_out=("convolution biases",),
        operation_tolerance=0.5e6,
    ),
    # As above: 23048 biases of depthwise convolutions. The operations are from Zoph et al.,
    # "Learning Transferable Architectures", table 2; with batch norm's they come to the same.
    "xception": Published(
        22_855_952,
        8.38e9,
        "table 3 of the paper",
        leave_out=("depthwise biases",),
        operation_tolerance=0.03e9,
    ),
    # Rounded in both.
    "shufflenet": Published(
        1.9e6,
        137e6,
        "the authors' model table, table 1 of the paper",
        parameter_tolerance=0.05e6,
        operation_tolerance=0.5e6,
    ),
}


@cache
def packaged_network(name: str) -> Network:
    """The network of a packaged cfg, its weights unset; a warning is an error."""
    return Network.from_cfg(CFG / f"{name}.cfg", initialize=False)


def trained(network: Network) -> int:
    """How many values training changes: batch norm's statistics are not among them."""
    arrays = network.arrays()
    return sum(t.numel() for _, name, t in arrays if name.rpartition(".")[2] not in STATISTICS)


def billions(network: Network) -> float:
    """BFLOPs of the convolutions, as pjreddie's C prints them."""
    return sum(x.operations for x in network if x.section.type == "convolutional") / 1e9


def kind_of(layer: Layer, array: str) -> str:
    """What an array is for those who leave some out; the classifier's biases always count."""
    if array != "biases" or getattr(layer.options, "filters", 0) == 1000:
        return array
    if layer.section.type != "convolutional" or layer.options.batch_normalize:
        return "batch norm biases"
    return "depthwise biases" if layer.options.groups > 1 else "convolution biases"


def published_parameters(name: str) -> int:
    """Our trained parameters without those that the source does not count."""
    network, paper = packaged_network(name), PUBLISHED[name]
    left_out = (
        tensor.numel()
        for layer in network
        for array, tensor in layer.arrays()
        if kind_of(layer, array) in paper.leave_out
    )
    return trained(network) - sum(left_out)

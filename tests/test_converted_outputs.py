"""onnxruntime, OpenVINO and OpenCV 5 compute the network's numbers, on weights that count.

docs/trained.md holds the same for every golden of these families.
"""

import warnings

import cv2
import numpy as np
import pytest
from golden import GOLDEN, generator, goldens
from helpers import SHARED

from darknet_py import DarknetWarning, Network, load_weights
from darknet_py.convert import Options, convert_network
from darknet_py.convert.describe import describe
from darknet_py.convert.verify import largest_difference, open_runner, original_runner
from darknet_py.pictures import fit_picture

for package in ("onnx", "onnxscript", "onnxruntime", "openvino"):
    pytest.importorskip(package, reason=f"needs the package {package}")

pytestmark = [
    pytest.mark.golden,
    pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"{GOLDEN} is not here"),
]

TOLERANCE = 1e-4
"""Over the value's size where that is above 1: boxes of random weights may be that large."""
MODELS = sorted((SHARED / "models").glob("*/*.cfg"))
GOLDENS = (
    "pjreddie/tiny",
    "pjreddie/darknet19",
    "pjreddie/resnet18",
    "pjreddie/yolov3-tiny",
    "alexeyab/yolov4-tiny",
    "alexeyab/yolov7-tiny",
)


def check(network, batches, path):
    """Every output of every library, for each of `batches`."""
    options = Options(verify=False)
    metadata = describe(network, (), options)
    convert_network(network, "onnx", path, options=options)
    convert_network(network, "openvino", path.with_suffix(".xml"), options=options)
    net = cv2.dnn.readNetFromONNX(str(path))

    def opencv(inputs):
        net.setInput(inputs[0], "images")
        return net.forward(list(metadata.outputs))

    runs = {
        "onnxruntime": open_runner(path, metadata),
        "OpenVINO": open_runner(path.with_suffix(".xml"), metadata),
        "OpenCV": opencv,
    }
    original = original_runner(network, metadata)
    for x in batches:
        expected = original([x])
        for name, run in runs.items():
            for output, ours, theirs in zip(metadata.outputs, expected, run([x]), strict=True):
                assert largest_difference(ours, theirs) <= TOLERANCE, (name, output)


@pytest.mark.parametrize("cfg", MODELS, ids=lambda path: path.stem)
def test_trained_models_on_pictures(cfg, tmp_path):
    network = Network.from_cfg(cfg, initialize=False)
    load_weights(network, cfg.with_suffix(".weights"))
    fit = describe(network, (), Options()).fit
    paths = sorted((SHARED / "images").glob("*.jpg"))
    pictures = [fit_picture(path, network.image, fit) for path in paths]
    assert len(pictures) == 6
    check(network, [pictures[0], np.concatenate(pictures[1:])], tmp_path / "a.onnx")


@pytest.mark.parametrize(
    "golden", [g for g in goldens() if g.name in GOLDENS], ids=lambda g: g.name
)
def test_goldens_on_their_input(golden, tmp_path):
    network = golden.network()
    generator().write_weights(golden.json, tmp_path / "c.weights")
    load_weights(network, tmp_path / "c.weights")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DarknetWarning)
        check(network, [golden.input().numpy()], tmp_path / "a.onnx")

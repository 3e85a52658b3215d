"""The keys of [convolutional]."""

from __future__ import annotations

from dataclasses import dataclass

from darknet_py.options import LayerOptions, key

UNSHARED = -1000000000


@dataclass(frozen=True)
class ConvolutionalOptions(LayerOptions):
    """Keys of [convolutional] (C: parser.c:parse_convolutional)."""

    filters: int = key("output channels", 1)
    size: int = key("side of the filters, in pixels", 1)
    stride: int = key("step between windows, in pixels", 1)
    stride_x: int = key("horizontal step (default: stride)", -1, only="alexeyab")
    stride_y: int = key("vertical step (default: stride)", -1, only="alexeyab")
    dilation: int = key("distance between the filter's taps, in pixels", 1, only="alexeyab")
    pad: bool = key("pad by size / 2 on every side; padding is then not read", False)
    padding: int = key("pixels added on every side", 0)
    groups: int = key("channels and filters are split into this many groups", 1)
    batch_normalize: bool = key("batch norm before the activation", False)
    cbn: bool = key(
        "batch norm over the mini-batches of one iteration (training)", False, only="alexeyab"
    )
    activation: str = key("activation function", "logistic")
    antialiasing: int = key(
        "run at stride 1, then blur with the stride: 1: 3 x 3 pixels, 2: 2 x 2 pixels",
        0,
        only="alexeyab",
    )
    share_index: int = key(
        "use the weights of this layer; a negative one counts back from this layer",
        UNSHARED,
        only="alexeyab",
    )
    binary: bool = key("binary weights (on a GPU; no effect on the CPU)", False)
    xnor: bool = key("binary weights and inputs", False)
    bin_output: bool = key(
        "with xnor, once bit weights are used: leave the activation out", False, only="alexeyab"
    )
    flipped: bool = key("the file holds the weights inputs by filters", False)
    dot: float = key("weight of the penalty on similar filters (training)", 0.0)
    assisted_excitation: float = key(
        "excite the cells of objects, up to this iteration (training)", 0.0, only="alexeyab"
    )
    sway: int = key("turn the filters to and fro (training on a GPU)", 0, only="alexeyab")
    rotate: int = key("turn the filters all round (training on a GPU)", 0, only="alexeyab")
    stretch: int = key("stretch the filters (training on a GPU)", 0, only="alexeyab")
    stretch_sway: int = key("stretch and turn the filters (training on a GPU)", 0, only="alexeyab")
    angle: float = key("largest turn, in degrees (training on a GPU)", 15.0, only="alexeyab")
    reverse: float = key("turn the gradient's sign round (training on a GPU)", 0.0, only="alexeyab")
    coordconv: int = key("add coordinates to the input (on a GPU)", 0, only="alexeyab")
    grad_centr: int = key("centre the gradients (training on a GPU)", 0, only="alexeyab")
    stream: int = key("CUDA stream that the layer runs on", -1, only="alexeyab")
    wait_stream: int = key("CUDA stream that is waited for first", -1, only="alexeyab")


_SHARED = ("size", "stride", "dilation", "pad", "padding", "groups", "xnor", "batch_normalize",
           "activation")  # fmt: skip


def options_of_part(whole: LayerOptions, filters: int) -> ConvolutionalOptions:
    """Of a convolution in a layer that is made of several, and has these keys for all of them."""
    return ConvolutionalOptions(filters=filters, **{name: getattr(whole, name) for name in _SHARED})

"""The tools that look at weights: `statistics`, `print`, `ops`, `visualize`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Argument, Command, Flag, file_name
from darknet_py.cli.flags import CFG, WEIGHTS
from darknet_py.cli.weights import FLAGS, build, load, number
from darknet_py.errors import DarknetError

if TYPE_CHECKING:
    import numpy as np

    from darknet_py.network import Network

LARGEST_JPEG = 65500
"""The longest side that JPEG files are written with."""


def _statistics(args: Namespace) -> int:
    from darknet_py.weight_views import statistics

    for line in statistics(load(args)):
        print(line)
    return 0


def _print(args: Namespace) -> int:
    from darknet_py.weight_views import filter_rows

    index = number(args, "n")
    for row in filter_rows(load(args), index):
        print("".join(f"{value:g} " for value in row.tolist()))
    return 0


def _ops(args: Namespace) -> int:
    import numpy as np

    from darknet_py.weight_views import count_operations

    count = count_operations(build(args))
    print(f"Floating Point Operations: {count}")
    print(f"Floating Point Operations: {float(np.float32(count)) / 1e9:.2f} Bn")
    return 0


def _visualize(args: Namespace) -> int:
    from darknet_py.layers.convolutional import Convolutional
    from darknet_py.weight_views import draw_filters, draw_maps

    network = load(args) if args.weights else build(args)
    layers = [layer for layer in network if isinstance(layer, Convolutional)]
    if args.layer is not None:
        layers = [layer for layer in layers if layer.index == args.layer]
    if not layers:
        which = "" if args.layer is None else f" at {args.layer}"
        raise DarknetError(f"{args.cfg}: there is no [convolutional] layer{which}")
    for layer in layers:
        _save_picture(draw_filters(layer), args, f"Layer {layer.index}")
    if args.image:
        outputs = _run_on(network, args.image, [layer.index for layer in layers])
        for layer, output in zip(layers, outputs, strict=True):
            _save_picture(draw_maps(output), args, f"Layer {layer.index} Output")
    return 0


def _run_on(network: Network, path: str, wanted: list[int]) -> list[np.ndarray]:
    """The outputs of some layers for a picture, fitted as `detect` does."""
    import torch

    from darknet_py import image as images

    shape = network.image
    pixels = images.to_float(images.load_image(path, shape.channels))
    fit = images.letterbox if network.dialect.letterbox else images.resize
    inputs = torch.from_numpy(images.to_planar(fit(pixels, shape.width, shape.height)))
    with torch.inference_mode():
        return [output[0].numpy() for output in network.run(inputs, wanted)]


def _save_picture(picture: np.ndarray, args: Namespace, name: str) -> None:
    from darknet_py.image import save_image, to_bytes

    suffix = ".jpg" if max(picture.shape) <= LARGEST_JPEG else ".png"
    path = Path(args.out) / f"{name}{suffix}"
    save_image(to_bytes(picture), path)
    print(path)


STATISTICS = Command(
    "statistics",
    "Print mean and variance of the arrays of connected layers with batch norm.",
    (CFG, WEIGHTS),
    FLAGS,
    _statistics,
)
PRINT = Command(
    "print",
    "Print the filters of layer N, one a line.",
    (CFG, WEIGHTS, Argument("n", "the layer's number")),
    FLAGS,
    _print,
)
OPS = Command("ops", "Print how many operations one image takes.", (CFG,), FLAGS, _ops)
VISUALIZE = Command(
    "visualize",
    "Draw the filters of every convolution into Layer N.jpg. With an image also what each "
    "convolution makes of it, into Layer N Output.jpg.",
    (
        CFG,
        Argument("weights", "the .weights file (default: random weights)", required=False),
        Argument("image", "an image to run", required=False),
    ),
    (
        *FLAGS,
        Flag("out", "the folder to write to (default: where you are)", file_name, "."),
        Flag("layer", "this layer only", int),
    ),
    _visualize,
)
COMMANDS = (STATISTICS, PRINT, OPS, VISUALIZE)

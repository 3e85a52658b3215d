"""`regressor test`, `segmenter test`, `isegmenter test`, `super test` and `tag test`."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Argument, Command, Flag, file_name
from darknet_py.cli.flags import CFG, DATA, IMAGES, WEIGHTS, WINDOWS
from darknet_py.cli.inputs import for_each_image
from darknet_py.cli.model import resolve
from darknet_py.cli.weights import FLAGS, load
from darknet_py.datafile import read_names
from darknet_py.errors import DarknetError

if TYPE_CHECKING:
    import numpy as np

    from darknet_py.network import Network

Answer = Callable[["Network", Namespace, str], list[str]]


def _run(answer: Answer, args: Namespace) -> int:
    network = load(args)
    network.eval()
    if not network.image.is_image:
        raise DarknetError(f"{args.cfg}: takes no pictures")

    def show(path: str) -> Callable[[], None]:
        return partial(print, "\n".join(answer(network, args, path)))

    return for_each_image(args.image, show)


def _predict(network: Network, pixels: np.ndarray) -> tuple[list[np.ndarray], float]:
    """What the network makes of a float32 picture: its outputs, and the seconds.

    The first output is the network's own, the second that of the last layer with an image.
    """
    import torch

    from darknet_py.image import to_planar

    last = network.output_index
    pictures = [i for i, layer in enumerate(network) if layer.out_shape.is_image]
    wanted = [last, pictures[-1]] if pictures else [last]
    x = torch.from_numpy(to_planar(pixels))
    start = time.perf_counter()
    with torch.inference_mode():
        outputs = network.run(x, wanted)
    seconds = time.perf_counter() - start
    return [output[0].float().numpy() for output in outputs], seconds


def _open(network: Network, path: str, how: str) -> np.ndarray:
    from darknet_py import image as images

    shape = network.image
    pixels = images.to_float(images.load_image(path, shape.channels))
    if how == "letterbox":
        return images.letterbox(pixels, shape.width, shape.height)
    if how == "resize_min":
        pixels = images.resize_min(pixels, shape.width)
    network.resize(*pixels.shape[:2])
    return pixels


def _regress(network: Network, args: Namespace, path: str) -> list[str]:
    outputs, seconds = _predict(network, _open(network, path, "letterbox"))
    first = float(outputs[0].flat[0])
    return [f"Predicted: {first:f}", f"{path}: Predicted in {seconds:f} seconds."]


def color_masks(masks: np.ndarray) -> np.ndarray:
    """Masks `(classes, h, w)` in their classes' colours, float32 `(h, w, 3)` (C: mask_to_rgb)."""
    import numpy as np

    from darknet_py.draw import class_color

    colors = np.array([class_color(i, len(masks)) for i in range(len(masks))], np.float32) / 255
    return np.asarray(np.einsum("chw,ck->hwk", masks, colors))


def _segment(network: Network, args: Namespace, path: str) -> list[str]:
    from darknet_py.image import save_image, to_bytes

    pixels = _open(network, path, "letterbox")
    outputs, seconds = _predict(network, pixels)
    drawn = color_masks(outputs[-1])
    for picture, name in ((pixels, "orig"), (drawn, "pred")):
        save_image(to_bytes(picture), Path(args.out) / f"{name}.jpg")
    first = float(outputs[0].flat[0])
    return [f"Predicted: {first:f}", f"{path}: Predicted in {seconds:f} seconds."]


def _enlarge(network: Network, args: Namespace, path: str) -> list[str]:
    from darknet_py.image import save_image, to_bytes

    pixels = _open(network, path, "resize")
    outputs, seconds = _predict(network, pixels)
    picture = outputs[-1].transpose(1, 2, 0)
    if picture.shape[2] not in (1, 3):
        raise DarknetError(f"{args.cfg}: gives {picture.shape[2]} channels, which are no picture")
    save_image(to_bytes(picture), f"{args.out}.jpg")
    size = f"{pixels.shape[1]} {pixels.shape[0]}"
    return [size, f"{path}: Predicted in {seconds:f} seconds."]


def _tag(network: Network, args: Namespace, path: str) -> list[str]:
    from darknet_py.scorer import top_k

    names = read_names(resolve(args.names))
    pixels = _open(network, path, "resize_min")
    outputs, seconds = _predict(network, pixels)
    scores = outputs[0].ravel()
    lines = [f"{pixels.shape[1]} {pixels.shape[0]}", f"{path}: Predicted in {seconds:f} seconds."]
    for index in top_k(scores, 10):
        name = names[index] if index < len(names) else str(index)
        lines.append(f"{float(scores[index]) * 100:.1f}%: {name}")
    return lines


_IDLE = (
    *WINDOWS,
    Flag("clear", idle=True),
    Flag("gpus", kind=str, idle=True),
    Flag("c", kind=int, idle=True),
    Flag("display", idle=True),
)
FOLDER = Flag("out", "the folder to write orig.jpg and pred.jpg to (default: here)", file_name, ".")
OUT_NAME = Flag("out", "the picture to write, without .jpg (default: out)", file_name, "out")
TAG_NAMES = Flag(
    "names", "the tags, one a line (default: data/tags.txt)", file_name, "data/tags.txt"
)
DATA_UNUSED = replace(DATA, doc="the .data file, which is not used")
_SEGMENT = "Print the first output, and write the image and the masks as pictures."


def _command(
    name: str, doc: str, answer: Answer, words: tuple[Argument, ...], *own: Flag
) -> Command:
    return Command(name, doc, (*words, IMAGES), (*own, *FLAGS, *_IDLE), partial(_run, answer))


COMMANDS = (
    _command("regressor test", "Print the first output.", _regress, (CFG, WEIGHTS)),
    _command("segmenter test", _SEGMENT, _segment, (DATA_UNUSED, CFG, WEIGHTS), FOLDER),
    _command("isegmenter test", _SEGMENT, _segment, (DATA_UNUSED, CFG, WEIGHTS), FOLDER),
    _command(
        "super test",
        "Resize the network to the image, and write the output to out.jpg.",
        _enlarge,
        (CFG, WEIGHTS),
        OUT_NAME,
    ),
    _command("tag test", "Print the ten most probable tags.", _tag, (CFG, WEIGHTS), TAG_NAMES),
)

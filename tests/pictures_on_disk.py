"""Small data sets for tests: pictures of one marked rectangle, with label files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from darknet_py.cfg import parse_cfg
from darknet_py.datafile import read_data
from darknet_py.image import save_image
from darknet_py.network import Network

BOX = (0.4, 0.55, 0.3, 0.36)
COLOURS = ((250, 20, 20), (20, 250, 20), (20, 20, 250))


def marked(width: int, height: int, colour: tuple[int, int, int]) -> np.ndarray:
    """A dim picture with the rectangle BOX in a bright colour."""
    image = np.full((height, width, 3), 60, np.uint8)
    x, y, w, h = BOX
    left, right = round((x - w / 2) * width), round((x + w / 2) * width)
    image[round((y - h / 2) * height) : round((y + h / 2) * height), left:right] = colour
    return image


def write_pictures(folder: Path, sides: tuple[int, int] = (120, 90)) -> Path:
    """Three pictures, class i in colour i, beside their labels; the list of them."""
    for name in ("images", "labels"):
        (folder / name).mkdir()
    paths = []
    for number, colour in enumerate(COLOURS):
        path = folder / "images" / f"{'abc'[number]}.png"
        save_image(marked(*sides, colour), path)
        text = f"{number} {' '.join(map(str, BOX))}\n"
        (folder / "labels" / f"{'abc'[number]}.txt").write_text(text)
        (folder / "images" / f"{'abc'[number]}.txt").write_text(text)  # AlexeyAB's rule
        paths.append(f"{path}\n")
    (folder / "train.list").write_text("".join(paths))
    return folder / "train.list"


def write_data(folder: Path, **values: Any) -> Any:
    """A .data file in `folder`, read."""
    path = folder / "x.data"
    path.write_text("".join(f"{key} = {value}\n" for key, value in values.items()))
    return read_data(path)


def network(
    body: str, net: str = "", dialect: str = "alexeyab", size: Any = (3, 64, 64)
) -> Network:
    """A network of `body`, for batches of 8 in 2 subdivisions."""
    channels, height, width = size
    text = (
        f"[net]\nbatch=8\nsubdivisions=2\nchannels={channels}\nheight={height}\nwidth={width}\n"
        f"{net}\n{body}"
    )
    return Network(parse_cfg(text, "test.cfg"), dialect)


def detector(net: str = "", head: str = "", dialect: str = "alexeyab", **more: Any) -> Network:
    """A network with [yolo] of three classes and at most 6 boxes."""
    body = (
        "[convolutional]\nfilters=8\nsize=1\nactivation=linear\n"
        f"[yolo]\nclasses=3\nnum=1\nanchors=9,9\nmax=6\n{head}\n"
    )
    return network(body, net, dialect, **more)


def find_marks(image: np.ndarray, number: int) -> np.ndarray:
    """Where a picture (3, h, w) has the colour of class `number`."""
    others = np.delete(image, number, 0).max(0)
    return np.asarray((image[number] > others * 2) & (image[number] > 0.25))

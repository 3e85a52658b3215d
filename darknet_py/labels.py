"""Label files: where they are, and the boxes, tags and numbers in them."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from darknet_py.bad_list import Problem
from darknet_py.cfg import read_text
from darknet_py.errors import DarknetWarning, DataError

_YEARS = ("2017", "2014")
_FOLDERS = (
    *((f"/images/{part}{year}/", f"/labels/{part}{year}/") for year in _YEARS
      for part in ("train", "val")),
    ("/JPEGImages/", "/labels/"),
)  # fmt: skip
_ENDINGS = tuple(
    ending for name in ("jpg", "jpeg", "png", "bmp", "ppm", "tiff")
    for ending in (f".{name}", f".{name.upper()}")
)  # fmt: skip
_ANYWHERE = (("images", "labels"), ("JPEGImages", "labels"), ("raw", "labels"))
_MASKS = (("images", "mask"), ("JPEGImages", "mask"))
_REGRESSION_ENDINGS = (".BMP", ".JPEG", ".JPG", ".JPeG", ".Jpeg", ".PNG", ".TIF", ".bmp", ".jpeg",
                       ".jpg", ".png", ".tif")  # fmt: skip
_TRACKS = 4000


def label_path(image: str, rule: Literal["anywhere", "folders"]) -> str:
    """The label file of an image, by the rule of `Dialect.label_path`."""
    if rule == "folders":
        return _replace_folders(image)
    return _replace(image, _ANYWHERE, (".jpg", ".png", ".JPG", ".JPEG"))


def grid_label_path(image: str, rule: Literal["anywhere", "folders"]) -> str:
    """The label file of an image for [detection] (C: data.c:fill_truth_region)."""
    if rule == "folders":
        return _replace_folders(image)
    return _replace(image, _ANYWHERE[:2], (".jpg", ".png", ".JPG", ".JPEG"))


def mask_path(image: str) -> str:
    """The file of an image's masks (C: data.c:fill_truth_iseg)."""
    return _replace(image, _MASKS, (".jpg", ".JPG", ".JPEG"))


def regression_path(image: str) -> str:
    """The file of an image's numbers (C: data.c:load_regression_labels_paths)."""
    return _replace(image, _ANYWHERE[:2], _REGRESSION_ENDINGS)


def tag_paths(image: str, rule: Literal["images", "imgs"]) -> list[str]:
    """Where an image's tags may stand: the first file that is there counts.

    C: data.c:load_tags_paths; `rule` is `Dialect.tag_path`.
    """
    if rule == "images":
        return [image.replace("images", "labels", 1).replace(".jpg", ".txt", 1)]
    path = image.replace("imgs", "labels", 1).replace("_iconl.jpeg", ".txt", 1)
    return [path, path.replace("labels", "labels2", 1)]


def _replace(path: str, words: Iterable[tuple[str, str]], endings: Iterable[str]) -> str:
    # PARITY: each word once, wherever it stands first, in a folder's name or in the file's
    # (C: utils.c:find_replace).
    for old, new in words:
        path = path.replace(old, new, 1)
    for ending in endings:
        path = path.replace(ending, ".txt", 1)
    return path


def _replace_folders(path: str) -> str:
    for old, new in _FOLDERS:
        path = path.replace(old, new, 1)
        path = path.replace(old.replace("/", "\\"), new.replace("/", "\\"), 1)
    path = path.strip(" \t")
    for ending in _ENDINGS:
        if path.endswith(ending):
            path = path.removesuffix(ending) + ".txt"
    return path


@dataclass(frozen=True)
class BoxLabels:
    """The boxes in a label file; n of them."""

    classes: np.ndarray
    """(n,) whole numbers."""
    boxes: np.ndarray
    """(n, 4) float32: centre x, y, width, height, as parts of the image."""
    tracks: np.ndarray
    """(n,) AlexeyAB's number of each box (C: data.c:read_boxes)."""

    def __len__(self) -> int:
        """How many boxes there are."""
        return len(self.classes)


def read_boxes(path: str, classes: int) -> tuple[BoxLabels, list[Problem]]:
    """The usable boxes of a label file, and what is wrong with it.

    A line is `class x y width height`. A file that is missing holds no box, and is a problem.
    """
    rows: list[tuple[int, ...]] = []
    boxes: list[list[float]] = []
    problems: list[Problem] = []
    text, missing = _read(path)
    if missing is not None:
        problems.append(missing)
    first = _hash(path) % _TRACKS * _TRACKS
    count = 0
    for number, line in enumerate(text.split("\n"), start=1):
        for words in _fives(line.split()):
            problem, usable = _judge(path, number, words, classes)
            if problem is not None:
                problems.append(problem)
            if usable:
                rows.append((int(words[0]), first + count))
                boxes.append([float(word) for word in words[1:]])
            count += 1
    table = np.array(rows, np.int64).reshape(-1, 2)
    values = np.array(boxes, np.float32).reshape(-1, 4)
    return BoxLabels(table[:, 0], values, table[:, 1]), problems


def _read(path: str) -> tuple[str, Problem | None]:
    if not path.endswith(".txt"):  # C would take the image itself for a label file
        return "", Problem(path, 0, "is no label file: the image's ending is not one that is known")
    try:
        data = Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf")
        return data.decode("latin-1"), None
    except (OSError, ValueError):
        return "", Problem(path, 0, "there is no label file here: no objects")


def _fives(words: list[str]) -> list[list[str]]:
    """The words by fives, as C reads them; a line that holds no whole fives stays one."""
    if words and len(words) % 5 == 0:
        return [words[i : i + 5] for i in range(0, len(words), 5)]
    return [words] if words else []


def _judge(path: str, line: int, words: list[str], classes: int) -> tuple[Problem | None, bool]:
    """What is wrong with a label, and whether it can be used."""

    def wrong(message: str, annotation: str = "", *, usable: bool = False) -> tuple[Problem, bool]:
        annotation = annotation and f"Wrong annotation: {annotation}"
        return Problem(path, line, message, annotation), usable

    try:
        name, x, y, width, height = int(words[0]), *(float(word) for word in words[1:])
    except ValueError:
        text = " ".join(words)
        return wrong(f"a label is 'class x y width height', got {text[:60]!r}; skipped")
    if not 0 <= name < classes:
        return wrong(
            f"class {name} is not one of 0 to {classes - 1}; skipped",
            f"class_id = {name}. But class_id should be [from 0 to {classes - 1}]",
        )
    if not all(math.isfinite(value) for value in (x, y, width, height)):
        return wrong("the box is not of numbers; skipped", f"x = {x}, y = {y}")
    outside = x + width / 2 < 0 or y + height / 2 < 0 or x - width / 2 > 1 or y - height / 2 > 1
    if (x == 0 and y == 0) or outside:
        what = "has its centre at 0, 0" if x == y == 0 else "is outside of the image"
        return wrong(f"the box {what} (x={x:g}, y={y:g}); skipped", "x = 0 or y = 0")
    if width <= 0 or height <= 0:
        return wrong(f"the box is empty (width={width:g}, height={height:g}); skipped")
    for letter, side in (("w", width), ("h", height)):
        if side > 1.001:  # more than a rounding
            return wrong(
                f"the box is larger than the image ({letter}={side:g}) and is cut",
                f"{letter} = {side:f}",
                usable=True,
            )
    return None, True


def _hash(text: str) -> int:
    """C: utils.c:custom_hash, with its signed characters and 64 bits."""
    value = 5381
    for byte in text.encode("utf-8", "surrogateescape"):
        value = (value * 33 + (byte if byte < 128 else byte - 256)) & 0xFFFFFFFFFFFFFFFF
    return value


def read_numbers(path: str, count: int) -> np.ndarray:
    """The first `count` numbers of a file, float32.

    Raises:
        DataError: it is missing or holds fewer.
    """
    try:
        words = Path(path).read_bytes().decode("latin-1").split()[:count]
        numbers = np.array([float(word) for word in words], np.float32)
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from None
    except ValueError:
        raise DataError(
            f"{path}: must hold {count} numbers, got {' '.join(words)[:60]!r}"
        ) from None
    if len(numbers) < count:
        raise DataError(f"{path}: must hold {count} numbers, got {len(numbers)}")
    return numbers


def read_tags(paths: list[str], count: int) -> np.ndarray:
    """1 for each tag below `count` in the first file that is there (C: load_tags_paths)."""
    truth = np.zeros(count, np.float32)
    for path in paths:
        try:
            words = Path(path).read_bytes().decode("latin-1").split()
        except OSError:
            continue
        for word in words:
            if not word.lstrip("+-").isdigit():
                break
            if 0 <= int(word) < count:
                truth[int(word)] = 1
        break
    return truth


def read_labels(path: str | os.PathLike[str]) -> np.ndarray:
    """The boxes in a label file, float32 `(n, 5)`: class, x, y, width, height, relative.

    A line that is no box is left out, with a warning (C: data.c:read_boxes stops there).

    Raises:
        CfgError: the file cannot be opened.
    """
    boxes = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        for words in _fives(line.split()):
            try:
                name, x, y, width, height = int(words[0]), *(float(word) for word in words[1:])
            except ValueError:
                where, text = f"{os.fspath(path)}:{number}", " ".join(words)
                message = f"{where}: is no 'class x y width height': {text!r}"
                warnings.warn(message, DarknetWarning, stacklevel=2)
            else:
                boxes.append((name, x, y, width, height))
    return np.array(boxes, np.float32).reshape(-1, 5)

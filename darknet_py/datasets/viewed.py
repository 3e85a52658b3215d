"""Pictures under random views, with numbers beside them: classes, tags, measures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from darknet_py.augmentation import geometry
from darknet_py.augmentation.views import View, ViewOptions, recolour
from darknet_py.datafile import Tree
from darknet_py.datasets.base import Listed
from darknet_py.datasets.pictures import Pictures
from darknet_py.datasets.truths import ClassTruth
from darknet_py.image import resize
from darknet_py.labels import read_numbers, read_tags, regression_path, tag_paths


@dataclass
class Viewed(Listed):
    """What they share. C: data.c:load_image_augment_paths."""

    options: ViewOptions = field(default_factory=ViewOptions)
    crop: tuple[float, float] = (0, 0)
    """What the shorter side becomes before the window is cut: from, to."""
    relative: bool = False
    """Whether `crop` is in network widths, not in pixels."""
    pictures: Pictures = field(default_factory=Pictures)

    def look(self, random: np.random.Generator, path: str, image: np.ndarray) -> None:
        """Fill `image` (channels, height, width) with a view of a picture."""
        pixels = self.pictures.read(path).pixels
        height, width = image.shape[1:]
        size = (width, height) if self.options.wanders else (max(width, height),) * 2
        low, high = self.crop_pixels(width)
        sides = (pixels.shape[1], pixels.shape[0])
        view = View.of(random, self.options, sides, (low, high), size)
        seen, _ = recolour(random, view.cut(pixels, *size), self.options)
        if size != (width, height):
            seen = resize(seen, width, height)
        geometry.to_input(seen, image)

    def crop_pixels(self, width: int) -> tuple[int, int]:
        """`crop` in pixels, in a network of this width."""
        low, high = self.crop
        factor = width if self.relative else 1
        return int(low * factor), int(high * factor)

    @abstractmethod
    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """See `Dataset.row`."""


@dataclass
class Regression(Viewed):
    """Pictures with `count` numbers each, in a file beside. C: data.c:load_data_regression."""

    count: int = 1

    @property
    def truths(self) -> int:
        """The numbers."""
        return self.count

    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """Fill one row."""
        random = self.random(iteration, place)
        path = self.paths[self.draw(random)]
        self.look(random, path, image)
        truth[:] = read_numbers(regression_path(self.pictures.find(path)), self.count)
        return path


@dataclass
class Tagged(Viewed):
    """Pictures with any number of tags. C: data.c:load_data_tag."""

    count: int = 1
    rule: Literal["images", "imgs"] = "images"
    """`Dialect.tag_path`."""

    @property
    def truths(self) -> int:
        """One for each tag."""
        return self.count

    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """Fill one row."""
        random = self.random(iteration, place)
        path = self.paths[self.draw(random)]
        self.look(random, path, image)
        truth[:] = read_tags(tag_paths(self.pictures.find(path), self.rule), self.count)
        return path


@dataclass
class PlainClassification(Listed):
    """Pictures just resized, with their classes. C: data.c:load_data_old."""

    labels: Sequence[str] = ()
    tree: Tree | None = None
    pictures: Pictures = field(default_factory=Pictures)
    classes: ClassTruth = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.classes = ClassTruth(tuple(self.labels), self.bad, self.tree)

    @property
    def truths(self) -> int:
        """One for each class."""
        return len(self.labels)

    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """Fill one row."""
        path = self.paths[self.draw(self.random(iteration, place))]
        fill_resized(self.pictures.read(path).pixels, image)
        truth[:] = self.classes.of(path)
        return path


def fill_resized(pixels: np.ndarray, image: np.ndarray) -> None:
    """Fill `image` (channels, height, width) with a uint8 picture. C: image.c:load_image_color."""
    picture = np.divide(pixels, np.float32(255), dtype=np.float32)
    geometry.to_input(resize(picture, image.shape[2], image.shape[1]), image)

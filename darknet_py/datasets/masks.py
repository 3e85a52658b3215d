"""Training data of segmenters: pictures with a mask for each object."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darknet_py.augmentation import geometry
from darknet_py.augmentation.views import View, recolour
from darknet_py.datasets.viewed import Viewed
from darknet_py.errors import DataError
from darknet_py.image import resize
from darknet_py.labels import mask_path

_LINE = re.compile(r"\s*(\d+)\s+(\d+(?:,\d+)*)\s*")


def read_masks(path: str, width: int, height: int) -> Iterator[tuple[int, np.ndarray]]:
    """The (class, mask) of each object in a file; a mask is float32 (height, width), 0 or 1.

    A line is `class n,n,n,…`: runs of 0 and of 1 by turns, row by row, starting with 0.
    C: data.c:get_segmentation_image, load_rle.

    Raises:
        DataError: the file cannot be read, or a line is something else.
    """
    try:
        text = Path(path).read_text(encoding="latin-1")
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            text = line.strip()[:40]
            raise DataError(f"{path}:{number}: must be 'class n,n,n…', got {text!r}")
        runs = np.array(match[2].split(","), np.int64)
        ends = np.minimum(np.cumsum(runs), width * height)
        mask = np.zeros(width * height, np.float32)
        for start, end in zip(ends[0::2], [*ends[1::2], *[width * height] * (len(ends) % 2)],
                              strict=True):  # fmt: skip
            mask[start:end] = 1  # what follows the last run goes on with the other value
        yield int(match[1]), mask.reshape(height, width)


@dataclass
class Masked(Viewed):
    """What both kinds share: a view of the picture, and the same of its masks."""

    classes: int = 80
    divisor: int = 1
    """How many times smaller than the picture the truth's sides are."""

    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """Fill one row."""
        random = self.random(iteration, place)
        path = self.paths[self.draw(random)]
        pixels = self.pictures.read(path).pixels
        height, width = image.shape[1:]
        sides = (pixels.shape[1], pixels.shape[0])
        view = View.of(random, self.options, sides, self.crop_pixels(width), (width, height))
        seen, mirrored = recolour(random, view.cut(pixels, width, height), self.options)
        geometry.to_input(seen, image)
        file = mask_path(self.pictures.find(path))
        known = (pair for pair in read_masks(file, *sides) if pair[0] < self.classes)
        for number, (name, mask) in enumerate(known):
            self.fill(truth, number, name, mask[:, :, None], view, mirrored, (width, height))
        self.finish(truth)
        return path

    @abstractmethod
    def fill(
        self,
        truth: np.ndarray,
        number: int,
        name: int,
        mask: np.ndarray,
        view: View,
        mirrored: bool,
        size: tuple[int, int],
    ) -> None:
        """Add an object's mask (height, width, 1) to the truth."""

    def finish(self, truth: np.ndarray) -> None:
        """Complete the truth; nothing."""
        del truth


@dataclass
class Segmentation(Masked):
    """Truth: a map of each class. C: data.c:load_data_seg."""

    @property
    def truths(self) -> int:
        """A value for each class and position."""
        return self.classes * (self.form.height // self.divisor) * (self.form.width // self.divisor)

    def fill(
        self,
        truth: np.ndarray,
        number: int,
        name: int,
        mask: np.ndarray,
        view: View,
        mirrored: bool,
        size: tuple[int, int],
    ) -> None:
        """Join it into its class's map."""
        seen = view.cut(mask, *size, self.divisor)[:, :, 0]
        target = truth.reshape(self.classes, *seen.shape)[name]
        np.maximum(target, seen[:, ::-1] if mirrored else seen, out=target)


@dataclass
class InstanceSegmentation(Masked):
    """Truth: for each of `most` objects its class and mask; class -1 ends it.

    C: data.c:load_data_iseg.
    """

    most: int = 90

    @property
    def truths(self) -> int:
        """A mask and one for each object."""
        return self.most * (
            1 + (self.form.height // self.divisor) * (self.form.width // self.divisor)
        )

    def fill(
        self,
        truth: np.ndarray,
        number: int,
        name: int,
        mask: np.ndarray,
        view: View,
        mirrored: bool,
        size: tuple[int, int],
    ) -> None:
        """Write its class and mask, the first time in front."""
        if number >= self.most:
            return
        seen = view.cut(mask, *size)
        if mirrored:
            seen = geometry.flip(seen)
        row = truth.reshape(self.most, -1)[number]
        row[0] = name
        row[1:] = resize(seen, size[0] // self.divisor, size[1] // self.divisor).ravel()
        if number + 1 < self.most:
            truth.reshape(self.most, -1)[number + 1, 0] = -1

    def finish(self, truth: np.ndarray) -> None:
        """A picture without objects ends at once."""
        if not truth.any():
            truth[0] = -1

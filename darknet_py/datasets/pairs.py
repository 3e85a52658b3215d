"""Pictures whose truth is another picture, and pairs of pictures to compare."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from darknet_py.augmentation import draws, geometry
from darknet_py.datasets.base import Listed
from darknet_py.datasets.pictures import Pictures
from darknet_py.datasets.truths import NOT_COUNTED
from darknet_py.datasets.viewed import fill_resized
from darknet_py.image import crop, resize

_GREY = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass
class Paired(Listed):
    """What they share."""

    pictures: Pictures = field(default_factory=Pictures)


@dataclass
class Writing(Paired):
    """The truth of `a.png` is `a-label.png`, in grey. C: data.c:load_data_writing."""

    out: tuple[int, int] = (1, 1)
    """(height, width) of the network's output."""

    @property
    def truths(self) -> int:
        """One for each position."""
        return self.out[0] * self.out[1]

    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """Fill one row."""
        path = self.paths[self.draw(self.random(iteration, place))]
        fill_resized(self.pictures.read(path).pixels, image)
        label = self.pictures.read(path.replace(".png", "-label.png", 1)).pixels
        colours = np.empty((label.shape[2], *self.out), np.float32)
        fill_resized(label, colours)
        grey = colours[0] if len(colours) == 1 else np.tensordot(_GREY, colours, 1)
        truth[:] = grey.ravel()
        return path


@dataclass
class SuperResolution(Paired):
    """The truth is a random piece of a picture, the input the same, smaller.

    C: data.c:load_data_super.
    """

    scale: int = 4

    @property
    def truths(self) -> int:
        """The values of the large picture."""
        return self.form.channels * self.form.height * self.form.width * self.scale**2

    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """Fill one row."""
        random = self.random(iteration, place)
        path = self.paths[self.draw(random)]
        pixels = self.pictures.read(path).pixels
        channels, height, width = image.shape
        high, wide = height * self.scale, width * self.scale
        left = draws.whole(random, 0, pixels.shape[1] - wide)
        top = draws.whole(random, 0, pixels.shape[0] - high)
        piece = crop(pixels, left, top, wide, high) * np.float32(1 / 255)
        if draws.coin(random):
            piece = geometry.flip(piece)
        geometry.to_input(piece, truth.reshape(channels, high, wide))
        geometry.to_input(resize(piece, width, height), image)
        return path


@dataclass
class Comparison(Paired):
    """Two pictures in six channels; which of them shows more of each class.

    Truth: two values for each class. C: data.c:load_data_compare.
    """

    classes: int = 20

    @property
    def truths(self) -> int:
        """Two for each class."""
        return 2 * self.classes

    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """Fill one row."""
        random = self.random(iteration, place)
        shares = np.zeros((2, self.classes), np.float32)
        paths = []
        for i, half in enumerate((image[:3], image[3:])):
            path = self.paths[self.draw(random)]
            fill_resized(self.pictures.read(path).pixels, half)
            self._read(self.pictures.find(path), shares[i])
            paths.append(path)
        first = (shares[0] > 0.5) & (shares[1] < 0.5)
        second = (shares[0] < 0.5) & (shares[1] > 0.5)
        rows = truth.reshape(self.classes, 2)
        rows[:] = NOT_COUNTED
        rows[first], rows[second] = (1, 0), (0, 1)
        return paths[0]

    def _read(self, path: str, shares: np.ndarray) -> None:
        file = path.replace("imgs", "labels", 1).replace("jpg", "txt", 1)
        try:
            words = Path(file).read_text(encoding="latin-1").split()
        except OSError:
            return
        for name, share in zip(words[0::2], words[1::2], strict=False):
            try:
                number, value = int(name), float(share)
            except ValueError:  # C's fscanf stops here, too
                return
            if 0 <= number < self.classes:
                shares[number] = max(shares[number], value)

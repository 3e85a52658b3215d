"""Training data of classifiers: pictures by a list, their classes by their paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from darknet_py.augmentation import draws, geometry
from darknet_py.augmentation.mosaic import draw_cut
from darknet_py.datafile import Tree
from darknet_py.datasets.truths import ClassTruth
from darknet_py.datasets.viewed import Viewed

Mixing = Literal["", "mixup", "cutmix", "mosaic", "cutmix or mosaic"]
_LEAST_CUT, _MOST_CUT = 0.3, 0.8
_USUAL_BLUR = 15


@dataclass
class Classification(Viewed):
    """Views of pictures, with the classes of their paths; AlexeyAB's mixes several.

    C: data.c:load_data_augment.
    """

    labels: Sequence[str] = ()
    tree: Tree | None = None
    smooth: float = 0.0
    mixing: Mixing = ""
    blur: int = 0
    contrastive: bool = False
    """Rows by twos are views of the same picture."""
    unsupervised: int = 0
    """How many classes there are without labels; 0: labels are used."""
    classes: ClassTruth = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.classes = ClassTruth(tuple(self.labels), self.bad, self.tree, self.smooth)

    @property
    def truths(self) -> int:
        """One for each class."""
        return self.unsupervised or len(self.labels)

    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """Fill one row."""
        random = self.random(iteration, place)
        path = self._fill(iteration, place, 0, image, truth)
        if self.mixing and draws.coin(random):
            self._mix(iteration, place, random, image, truth)
        if self.blur and draws.whole(random, 0, 3) == 0:
            self._blur(image)
        return path

    def _fill(
        self, iteration: int, place: int, stage: int, image: np.ndarray, truth: np.ndarray
    ) -> str:
        """Picture `stage` of a row."""
        shared = place - place % 2 if self.contrastive else place
        number = self.draw(self.random(iteration, shared, 3, stage))
        path = self.paths[number]
        self.look(self.random(iteration, place, 2, stage), path, image)
        if self.unsupervised:
            truth[number % self.unsupervised] = 1
        else:
            truth[:] = self.classes.of(path)
        return path

    def _mix(
        self,
        iteration: int,
        place: int,
        random: np.random.Generator,
        image: np.ndarray,
        truth: np.ndarray,
    ) -> None:
        mixing = self.mixing
        if mixing == "cutmix or mosaic":
            mixing = "cutmix" if draws.coin(random) else "mosaic"
        others = []
        for stage in range(1, 4 if mixing == "mosaic" else 2):
            other, labels = np.empty_like(image), np.zeros_like(truth)
            self._fill(iteration, place, stage, other, labels)
            others.append((other, labels))
        if mixing == "mosaic":
            mosaic(random, image, truth, others)
        else:
            (mixup if mixing == "mixup" else cutmix)(random, image, truth, *others[0])

    def _blur(self, image: np.ndarray) -> None:
        side = (_USUAL_BLUR if self.blur == 1 else self.blur) | 1
        pixels = (image.transpose(1, 2, 0) * np.float32(255)).astype(np.uint8)
        geometry.to_input(geometry.blur(pixels, side), image)


def mixup(
    random: np.random.Generator,
    image: np.ndarray,
    truth: np.ndarray,
    other: np.ndarray,
    labels: np.ndarray,
) -> None:
    """The mean of two pictures, and of their truths."""
    image += other
    image /= 2
    truth += labels
    truth /= 2


def cutmix(
    random: np.random.Generator,
    image: np.ndarray,
    truth: np.ndarray,
    other: np.ndarray,
    labels: np.ndarray,
) -> None:
    """A rectangle of the other picture, and its share of the truth."""
    height, width = image.shape[1:]
    wide = draws.whole(random, int(width * _LEAST_CUT), int(width * _MOST_CUT))
    high = draws.whole(random, int(height * _LEAST_CUT), int(height * _MOST_CUT))
    left, top = draws.whole(random, 0, width - wide - 1), draws.whole(random, 0, height - high - 1)
    part = np.s_[:, top : top + high, left : left + wide]
    image[part] = other[part]
    share = np.float32(wide * high / (width * height))
    truth *= 1 - share
    truth += labels * share


def mosaic(
    random: np.random.Generator,
    image: np.ndarray,
    truth: np.ndarray,
    others: Sequence[tuple[np.ndarray, np.ndarray]],
) -> None:
    """Quarters of four pictures, and of their truths by area."""
    height, width = image.shape[1:]
    x, y = draw_cut(random, width, height)
    parts = [np.s_[:, :y, x:], np.s_[:, y:, :x], np.s_[:, y:, x:]]
    truth *= np.float32(x * y / (width * height))
    for part, (other, labels) in zip(parts, others, strict=True):
        image[part] = other[part]
        truth += labels * np.float32(image[part][0].size / (width * height))

"""How often a classifier is right: among its first, or first few answers (C: classifier.c)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from darknet_py import image as images
from darknet_py.datafile import Tree
from darknet_py.hierarchy import multiply_down
from darknet_py.image import crop, to_float, to_planar
from darknet_py.pictures import BATCH, read_picture
from darknet_py.pipeline import overlap
from darknet_py.scorer import Scorer, top_k
from darknet_py.shape import Shape

View = Callable[[np.ndarray, Shape], list[np.ndarray]]
"""What a network sees of a float32 picture: one or more others, and for which of them a class
tree counts."""
SHIFT = 32


def middle(picture: np.ndarray, shape: Shape) -> list[np.ndarray]:
    """The largest square in the middle (C: validate_classifier_single)."""
    return [images.center_crop(picture, shape.width, shape.height)]


def short_side(picture: np.ndarray, shape: Shape) -> list[np.ndarray]:
    """The middle, of the picture with its short side as the network's (C: label_classifier)."""
    small = images.resize_min(picture, shape.width)
    return [images.crop_middle(small, shape.width, shape.height)]


def whole(picture: np.ndarray, shape: Shape) -> list[np.ndarray]:
    """All of it, with its short side as the network's (C: validate_classifier_full)."""
    return [images.resize_min(picture, shape.width)]


def squashed(picture: np.ndarray, shape: Shape) -> list[np.ndarray]:
    """Stretched (C: validate_classifier_crop)."""
    return [images.resize(picture, shape.width, shape.height)]


def letterboxed(picture: np.ndarray, shape: Shape) -> list[np.ndarray]:
    """On grey (C: csv_classifier)."""
    return [images.letterbox(picture, shape.width, shape.height)]


def ten(picture: np.ndarray, shape: Shape) -> list[np.ndarray]:
    """Four corners and the middle, and of the mirror image (C: validate_classifier_10).

    PARITY: the corners start at -32 and 32, outside of the picture, where the edge repeats.
    """
    large = images.resize(picture, shape.width + SHIFT, shape.height + SHIFT)
    places = ((-SHIFT, -SHIFT), (SHIFT, -SHIFT), (0, 0), (-SHIFT, SHIFT), (SHIFT, SHIFT))
    return [
        crop(side, left, top, shape.width, shape.height)
        for side in (large, large[:, ::-1])
        for left, top in places
    ]


def scaled(
    resize: Callable[[np.ndarray, int], np.ndarray],
    scales: Sequence[int],
    picture: np.ndarray,
    shape: Shape,
) -> list[np.ndarray]:
    """Several sizes, each also mirrored (C: validate_classifier_multi)."""
    views = []
    for scale in scales:
        view = resize(picture, scale)
        views += [view, np.ascontiguousarray(view[:, ::-1])]
    return views


MULTI: dict[str, View] = {
    "pjreddie": partial(scaled, images.resize_max, (224, 256, 288, 320)),
    "alexeyab": partial(scaled, images.resize_min, (224, 288, 320, 352, 384)),
}


def score_all(
    scorer: Scorer,
    paths: Sequence[str],
    view: View,
    *,
    tree: Tree | None = None,
    leaves: np.ndarray | None = None,
    every_second: bool = False,
    batch: int = BATCH,
) -> Iterator[np.ndarray]:
    """Each picture's scores, summed over what the network sees of it, `(outputs,)`.

    Args:
        scorer: without a tree of its own.
        paths: of the pictures.
        view: what it sees.
        tree: makes the scores probabilities.
        leaves: `(classes,)`: the classes of the tree that keep theirs; None: all.
        every_second: the tree counts for every second view only.
        batch: how many pictures are looked at at once.
    """

    def read(path: str) -> list[np.ndarray]:
        picture = to_float(read_picture(path, scorer.image.channels))
        return [to_planar(seen) for seen in view(picture, scorer.image)]

    for result in overlap(paths, read, partial(_run, scorer), batch):
        _, rows = result.get()
        if tree is not None:
            _use_tree(rows[:: 2 if every_second else 1], tree, leaves)
        yield np.asarray(rows.sum(0, dtype=np.float32))


def _use_tree(rows: np.ndarray, tree: Tree, leaves: np.ndarray | None) -> None:
    multiply_down(rows, tree)
    if leaves is not None:
        rows[:, ~leaves] = 0


def _run(scorer: Scorer, pictures: Sequence[list[np.ndarray]]) -> list[np.ndarray]:
    """The scores of each picture's views; views of one size run together."""
    views = [view for views in pictures for view in views]
    by_shape = defaultdict(list)
    for index, seen in enumerate(views):
        by_shape[seen.shape].append(index)
    scores: list[np.ndarray] = [np.empty(0)] * len(views)
    for indices in by_shape.values():
        found = scorer.run(np.concatenate([views[i] for i in indices]))
        for index, row in zip(indices, found, strict=True):
            scores[index] = row
    left = iter(scores)
    return [np.stack([next(left) for _ in views]) for views in pictures]


@dataclass
class TopCounter:
    """Counts how often the right class is the first, and among the first `k`."""

    labels: Sequence[str]
    """A picture is of the first class whose label its path holds."""
    k: int
    images: int = 0
    first: int = 0
    among: int = 0

    def find_class(self, path: str) -> int:
        """The class of a picture; -1: none (C: classifier.c, strstr)."""
        return next((i for i, label in enumerate(self.labels) if label in path), -1)

    def add(self, path: str, scores: np.ndarray) -> int:
        """Count a picture's scores; gives its class."""
        wanted = self.find_class(path)
        best = top_k(scores[: len(self.labels)], self.k)
        self.images += 1
        self.first += bool(best) and best[0] == wanted
        self.among += wanted in best
        return wanted

    @property
    def top_1(self) -> float:
        """The share of pictures whose first answer is right."""
        return float(np.float32(self.first) / np.float32(max(self.images, 1)))

    @property
    def top(self) -> float:
        """The share of pictures with the right one among `k` answers."""
        return float(np.float32(self.among) / np.float32(max(self.images, 1)))

    def line(self, number: int | None = None) -> str:
        """What C prints so far."""
        number = self.images - 1 if number is None else number
        return f"{number}: top 1: {self.top_1:f}, top {self.k}: {self.top:f}"


def mark_leaves(tree: Tree, names: Sequence[str] | None = None) -> np.ndarray:
    """Which nodes of a tree are leaves, or are listed (C: tree.c:change_leaves)."""
    if names is None:
        return np.array(tree.leaves)
    chosen = set(names)
    return np.array([name in chosen for name in tree.names])

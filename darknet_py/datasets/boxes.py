"""Truth of boxes: labels moved with their picture, and C's rows and grids of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from darknet_py.augmentation import draws
from darknet_py.bad_list import BadList
from darknet_py.labels import BoxLabels, read_boxes


@dataclass
class LabelFiles:
    """Label files, each read once."""

    classes: int
    bad: BadList
    _read: dict[str, BoxLabels] = field(default_factory=dict)

    def read(self, path: str) -> BoxLabels:
        """The boxes in a file; what is wrong with it is added to `bad`."""
        labels = self._read.get(path)
        if labels is None:
            labels, problems = read_boxes(path, self.classes)
            self.bad.add(problems)
            self._read[path] = labels
        return labels


@dataclass(frozen=True)
class Move:
    """Where a picture goes: `new = old * scale - shift` in parts of its sides, then mirrored."""

    scale_x: float
    scale_y: float
    shift_x: float
    shift_y: float
    mirrored: bool

    def apply(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (n, 4) after the move, cut at the edges. C: data.c:correct_boxes."""
        half = boxes[:, 2:] / 2
        scale = np.array([self.scale_x, self.scale_y], np.float32)
        shift = np.array([self.shift_x, self.shift_y], np.float32)
        low = (boxes[:, :2] - half) * scale - shift
        high = (boxes[:, :2] + half) * scale - shift
        if self.mirrored:
            low[:, 0], high[:, 0] = 1 - high[:, 0], 1 - low[:, 0]
        low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
        return np.concatenate([(low + high) / 2, high - low], 1)


def fill_rows(
    truth: np.ndarray,
    labels: BoxLabels,
    move: Move,
    random: np.random.Generator,
    least: tuple[float, float],
) -> None:
    """Write the boxes into `truth` (most boxes, 5 or 6), in random order, the small ones left out.

    PARITY: what is too small is left out after the surplus over the most boxes is (C:
    data.c:fill_truth_detection). `least` is the least width and height.
    """
    order = draws.shuffle(random, len(labels))[: len(truth)]
    boxes = move.apply(labels.boxes[order])
    kept = (boxes[:, 2] >= least[0]) & (boxes[:, 3] >= least[1])
    count = int(kept.sum())
    truth[:count, :4] = boxes[kept]
    truth[:count, 4] = labels.classes[order][kept]
    if truth.shape[1] > 5:
        truth[:count, 5] = labels.tracks[order][kept]


def fill_grid(
    truth: np.ndarray,
    labels: BoxLabels,
    move: Move,
    random: np.random.Generator,
    least: float,
) -> None:
    """Write the boxes into the cells of `truth` (side, side, 1 + classes + 4).

    A cell holds 1, its class, and the box: centre inside the cell, sides of the image. The first
    box of a cell stays. C: data.c:fill_truth_region.
    """
    side, classes = truth.shape[0], truth.shape[2] - 5
    order = draws.shuffle(random, len(labels))
    for box, name in zip(move.apply(labels.boxes[order]), labels.classes[order], strict=True):
        if box[2] < least or box[3] < least:
            continue
        x, y = box[:2] * np.float32(side)
        column, row = min(int(x), side - 1), min(int(y), side - 1)
        cell = truth[row, column]
        if cell[0]:
            continue
        cell[0] = cell[1 + name] = 1
        cell[1 + classes :] = x - column, y - row, box[2], box[3]

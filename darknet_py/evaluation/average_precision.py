"""Average precision, as AlexeyAB's `detector map` counts it (C: detector.c:validate_detector_map).

Boxes are relative to their image. A truth is found once: by the most probable box of its class
that overlaps it by more than the IoU threshold, and no other truth by more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from darknet_py.boxes import Detections, box_iou
from darknet_py.errors import DarknetError


@dataclass(frozen=True)
class ClassScore:
    """One class: its average precision, and what is right and wrong above the threshold."""

    name: str
    average_precision: float
    true_positives: int
    false_positives: int
    truths: int
    average_iou: float
    """The sum of the true positives' IoU over the number of all positives."""


@dataclass(frozen=True)
class MapReport:
    """What a detector is worth on a set of pictures."""

    classes: tuple[ClassScore, ...]
    mean_average_precision: float
    precision: float
    recall: float
    f1: float
    true_positives: int
    false_positives: int
    false_negatives: int
    average_iou: float
    detections: int
    truths: int
    thresh: float
    iou_thresh: float
    points: int
    """Of the curve: 0 the area under it, 11 as in VOC 2007, 101 as in COCO."""


class PrecisionCounter:
    """Takes the pictures one after the other; at the end it gives the report.

    >>> counter = PrecisionCounter(["cat", "dog"])
    >>> counter.add(detections, truths)
    >>> counter.report().mean_average_precision
    0.5
    """

    def __init__(
        self, names: Sequence[str], *, thresh: float = 0.25, iou_thresh: float = 0.5
    ) -> None:
        """Start with no picture.

        Args:
            names: of the classes.
            thresh: of the probability, for precision, recall, and the average IoU.
            iou_thresh: a box that overlaps a truth by more than this has found it.
        """
        self.names, self.thresh, self.iou_thresh = list(names), thresh, iou_thresh
        self._truths = 0
        self._truths_of = np.zeros(len(self.names), int)
        self._parts: list[tuple[np.ndarray, ...]] = []
        self._positives = np.zeros((2, len(self.names)), int)
        self._ious: list[np.ndarray] = [np.empty((2, 0))]

    def add(
        self, found: Detections, truths: np.ndarray, difficult: np.ndarray | None = None
    ) -> None:
        """Count one picture.

        Args:
            found: its boxes after suppression; scores that do not count are 0.
            truths: `(n, 5)`: class, x, y, width, height.
            difficult: likewise; a box that finds one of these does not count at all.
        """
        classes = truths[:, 0].astype(int)
        known = (classes >= 0) & (classes < len(self.names))
        self._truths_of += np.bincount(classes[known], minlength=len(self.names))
        box, class_of = np.nonzero(found.scores[:, : len(self.names)] > 0)
        scores = found.scores[box, class_of]
        overlap, truth = self._best(found.boxes, truths, box, class_of)
        positive = scores > np.float32(self.thresh)
        first = np.zeros(len(box), bool)
        first[np.unique(truth, return_index=True)[1]] = True
        right = (truth >= 0) & first
        # PARITY: here the first in the order of the suppression counts, not the most probable, and
        # a difficult object's box is a false positive (C: detector.c:validate_detector_map).
        for row, chosen in enumerate((positive & right, positive & ~right)):
            self._positives[row] += np.bincount(class_of[chosen], minlength=len(self.names))
        self._ious.append(np.stack([class_of, overlap])[:, positive & right])
        kept = np.ones(len(box), bool)
        if difficult is not None and len(difficult):
            kept = (truth >= 0) | (self._best(found.boxes, difficult, box, class_of)[1] < 0)
        truth = np.where(truth >= 0, truth + self._truths, -1)
        self._parts.append((scores[kept], class_of[kept], truth[kept]))
        self._truths += len(truths)

    def _best(
        self, boxes: np.ndarray, truths: np.ndarray, box: np.ndarray, class_of: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """For each of the boxes `box` the best IoU with a truth of its class, and which (or -1)."""
        if not len(truths) or not len(box):
            return np.zeros(len(box), np.float32), np.full(len(box), -1)
        overlap = box_iou(boxes[:, None], truths[None, :, 1:5])[box]
        valid = (overlap > np.float32(self.iou_thresh)) & (class_of[:, None] == truths[None, :, 0])
        overlap = np.where(valid, overlap, np.float32(0))
        best = overlap.argmax(1)
        return overlap.max(1), np.where(valid.any(1), best, -1)

    def report(self, points: int = 0) -> MapReport:
        """The figures of all pictures so far.

        Raises:
            DarknetError: `points` is 1 or negative.
        """
        if points < 0 or points == 1:
            raise DarknetError(f"points must be 0 or at least 2 (11 and 101 are), got {points}")
        scores, class_of, truth = self._ranked()
        found = _first_of_each(truth)
        precisions = []
        for number, truths in enumerate(self._truths_of.tolist()):
            mine = class_of == number
            precisions.append(average_precision(found[mine], truths, points))
        right, wrong = (int(row.sum()) for row in self._positives)
        class_ids, ious = np.concatenate(self._ious, axis=1)
        ious = ious.astype(np.float32)
        precision = _ratio(right, right + wrong)
        recall = _ratio(right, self._truths)
        return MapReport(
            classes=tuple(
                ClassScore(
                    name,
                    precisions[i],
                    int(self._positives[0, i]),
                    int(self._positives[1, i]),
                    int(self._truths_of[i]),
                    _mean_iou(ious[class_ids == i], int(self._positives[:, i].sum())),
                )
                for i, name in enumerate(self.names)
            ),
            mean_average_precision=sum(precisions) / max(len(precisions), 1),
            precision=precision,
            recall=recall,
            f1=_f1(precision, recall),
            true_positives=right,
            false_positives=wrong,
            false_negatives=self._truths - right,
            average_iou=_mean_iou(ious, right + wrong),
            detections=len(scores),
            truths=self._truths,
            thresh=self.thresh,
            iou_thresh=self.iou_thresh,
            points=points,
        )

    def voc(self) -> dict[str, tuple[float, float]]:
        """Each class's average precision as VOC 2007 and as VOC 2010 count it."""
        _, class_of, truth = self._ranked()
        found = _first_of_each(truth)
        return {
            name: (
                average_precision(found[class_of == i], truths, 11),
                area_under_curve(found[class_of == i], truths),
            )
            for i, (name, truths) in enumerate(
                zip(self.names, self._truths_of.tolist(), strict=True)
            )
        }

    def _ranked(self) -> tuple[np.ndarray, ...]:
        """Score, class and truth of every detection, the most probable first."""
        if not self._parts:
            return np.empty(0, np.float32), np.empty(0, int), np.empty(0, int)
        scores, class_of, truth = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        order = np.argsort(-scores, kind="stable")
        return scores[order], class_of[order], truth[order]


def mean_average_precision(
    detections: Iterable[Detections],
    truths: Iterable[np.ndarray],
    names: Sequence[str],
    *,
    thresh: float = 0.25,
    iou_thresh: float = 0.5,
    points: int = 0,
) -> MapReport:
    """The report on many pictures: for each its detections and its truths, `(n, 5)`.

    See `PrecisionCounter` for what the arguments mean.
    """
    counter = PrecisionCounter(names, thresh=thresh, iou_thresh=iou_thresh)
    for found, boxes in zip(detections, truths, strict=True):
        counter.add(found, boxes)
    return counter.report(points)


def average_precision(found: np.ndarray, truths: int, points: int = 0) -> float:
    """The average precision of one class.

    Args:
        found: for each detection, the most probable first, whether it is right.
        truths: how many objects there are.
        points: of the curve's recall; 0: the area under the curve.
    """
    if not truths or not found.any():
        return 0.0
    right = np.cumsum(found)
    precision = right / np.arange(1, len(found) + 1)
    recall = right / truths
    best = np.maximum.accumulate(precision[::-1])[::-1]
    if not points:
        # PARITY: a step's area takes the best precision from the point before it on
        # (C: detector.c:validate_detector_map; VOC takes it from the step on).
        return float((np.diff(recall, prepend=0) * np.concatenate((best[:1], best[:-1]))).sum())
    wanted = np.arange(points) * 1.0 / (points - 1)
    place = np.searchsorted(recall, wanted, side="left")
    return float(np.append(best, 0)[place].sum() / points)


def area_under_curve(found: np.ndarray, truths: int) -> float:
    """The area under one class's curve, as VOC has counted since 2010; see average_precision."""
    if not truths or not found.any():
        return 0.0
    right = np.cumsum(found)
    best = np.maximum.accumulate((right / np.arange(1, len(found) + 1))[::-1])[::-1]
    return float((np.diff(right / truths, prepend=0) * best).sum())


def _first_of_each(truth: np.ndarray) -> np.ndarray:
    """Whether each detection has a truth, and is the first to have that one."""
    first = np.zeros(len(truth), bool)
    first[np.unique(truth, return_index=True)[1]] = True
    return first & (truth >= 0)


def _ratio(part: int, whole: int) -> float:
    """A share in float32; of nothing it is not a number, as in C."""
    return float(np.float32(part) / np.float32(whole)) if whole else float("nan")


def _f1(precision: float, recall: float) -> float:
    both = precision + recall
    return 2 * precision * recall / both if both else float("nan")


def _mean_iou(ious: np.ndarray, positives: int) -> float:
    """PARITY: false positives count as an IoU of 0, and floats are added one by one."""
    if not positives or not len(ious):
        return 0.0
    return float(np.cumsum(ious, dtype=np.float32)[-1] / np.float32(positives))

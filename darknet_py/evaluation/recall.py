"""How many of the objects a detector's proposals find (C: detector.c:validate_detector_recall)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from darknet_py.boxes import Detections, box_iou


@dataclass
class RecallCounter:
    """Counts proposals and the objects they find, picture by picture; classes do not matter."""

    thresh: float = 0.001
    """Of the objectness."""
    iou_thresh: float = 0.5
    """A proposal that overlaps an object by more has found it."""
    images: int = 0
    total: int = 0
    """Objects."""
    correct: int = 0
    """Objects that are found."""
    proposals: int = 0
    iou_sum: np.float32 = np.float32(0)  # noqa: RUF009  # an immutable number

    def add(self, found: Detections, truths: np.ndarray) -> None:
        """Count a picture: its boxes and its truths, `(n, 5)`: class, x, y, width, height."""
        good = found.boxes[found.objectness > np.float32(self.thresh)]
        self.images += 1
        self.proposals += len(good)
        self.total += len(truths)
        if not len(truths):
            return
        best = np.zeros(len(truths), np.float32)
        if len(good):
            best = box_iou(good[:, None], truths[None, :, 1:5]).max(0)
        for iou in best:  # one by one, as C adds them
            self.iou_sum = self.iou_sum + iou
        self.correct += int((best > np.float32(self.iou_thresh)).sum())

    @property
    def recall(self) -> float:
        """The share of the objects that are found."""
        return self.correct / self.total if self.total else float("nan")

    @property
    def average_iou(self) -> float:
        """Of the objects with their best proposals."""
        return float(self.iou_sum) / self.total if self.total else float("nan")

    def line(self) -> str:
        """What C prints after each picture."""
        iou = float(self.iou_sum * np.float32(100) / np.float32(self.total)) if self.total else None
        return (
            f"{self.images - 1:5d} {self.correct:5d} {self.total:5d}"
            f"\tRPs/Img: {self.proposals / self.images:.2f}"
            f"\tIOU: {_percent(iou)}%"
            f"\tRecall:{_percent(100 * self.recall if self.total else None)}%"
        )


def _percent(value: float | None) -> str:
    """C's printf writes the quotient of two zeros with a sign."""
    return "-nan" if value is None else f"{value:.2f}"

"""The lines that C prints for what it found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from darknet_py.boxes import Detections
    from darknet_py.results import Classification

HIDDEN = "dont_show"


def pjreddie_boxes(
    found: Detections,
    names: Sequence[str],
    thresh: float,
    size: tuple[int, int] | None,
) -> Iterator[str]:
    """`name: 61%` for each box and each class above `thresh`, in order.

    `size` is the image's (width, height) with -ext_output, else None.
    C: image.c:draw_detections.
    """
    for box, scores in zip(found.boxes, found.scores, strict=True):
        place = _pixels(box, size) if size else ""
        for class_id in np.flatnonzero(scores > np.float32(thresh)).tolist():
            yield f"{names[class_id]}: {_percent(scores[class_id])}{place}"


def alexeyab_boxes(
    found: Detections,
    names: Sequence[str],
    thresh: float,
    size: tuple[int, int] | None,
) -> Iterator[str]:
    """The same from left to right, each box's best class first.

    C: AlexeyAB's image.c:draw_detections_v3.
    """
    shown = np.array([not name.startswith(HIDDEN) for name in names], bool)
    chosen = []
    for index, scores in enumerate(found.scores):
        visible = np.where(shown & (scores > np.float32(thresh)), scores, 0)
        if visible.any():
            chosen.append((index, int(visible.argmax())))
    half = np.float32(2)
    left = found.boxes[:, 0] - found.boxes[:, 2] / half if len(found.boxes) else np.empty(0)
    for index, best in sorted(chosen, key=lambda choice: float(left[choice[0]])):
        scores = found.scores[index]
        others = np.flatnonzero(scores > np.float32(thresh)).tolist()
        place = _pixels(found.boxes[index], size) if size else ""
        for class_id in [best, *(other for other in others if other != best)]:
            yield f"{names[class_id]}: {_percent(scores[class_id])}{place}"


def best_boxes(
    found: Detections,
    names: Sequence[str],
    thresh: float,
    size: tuple[int, int] | None,
) -> Iterator[str]:
    """`name: 61%` for each box's best class, in order (C: AlexeyAB's image.c:draw_detections)."""
    for box, scores in zip(found.boxes, found.scores, strict=True):
        best = int(scores.argmax())
        if scores[best] > np.float32(thresh):
            yield f"{names[best]}: {_percent(scores[best])}{_pixels(box, size) if size else ''}"


def frame_boxes(
    found: Detections,
    names: Sequence[str],
    thresh: float,
    size: tuple[int, int] | None,
) -> Iterator[str]:
    """`name: 61% , other: 30% ` for each box of a video's frame, its classes in order.

    C: AlexeyAB's image_opencv.cpp:draw_detections_cv_v3.
    """
    for box, scores in zip(found.boxes, found.scores, strict=True):
        classes = np.flatnonzero(scores > np.float32(thresh)).tolist()
        shown = [class_id for class_id in classes if not names[class_id].startswith(HIDDEN)]
        if shown:
            line = ", ".join(f"{names[i]}: {_percent(scores[i])} " for i in shown)
            yield line + (_edges(box, size) if size else "")


def percent_lines(answers: Iterable[Classification]) -> Iterator[str]:
    """`14.18%: malamute` (C: classifier.c:predict_classifier)."""
    for answer in answers:
        yield f"{float(np.float32(answer.probability) * np.float32(100)):5.2f}%: {answer.name}"


def number_lines(answers: Iterable[Classification]) -> Iterator[str]:
    """`malamute: 0.141800` (C: AlexeyAB's classifier.c:predict_classifier)."""
    for answer in answers:
        yield f"{answer.name}: {answer.probability:f}"


def _percent(probability: np.float32) -> str:
    return f"{float(probability * np.float32(100)):.0f}%"


def _pixels(box: np.ndarray, size: tuple[int, int]) -> str:
    width, height = np.float32(size[0]), np.float32(size[1])
    x, y, w, h = box.astype(np.float32)
    left, top = (x - w / np.float32(2)) * width, (y - h / np.float32(2)) * height
    return (
        f"\t(left_x: {_round(left):4.0f}   top_y: {_round(top):4.0f}   "
        f"width: {_round(w * width):4.0f}   height: {_round(h * height):4.0f})"
    )


def _edges(box: np.ndarray, size: tuple[int, int]) -> str:
    """The same cut off at the frame's edges, to whole pixels."""
    width, height = size
    x, y, w, h = (min(value, 1.0) for value in np.nan_to_num(box, nan=0.5).tolist())
    left, top = max(int((x - w / 2) * width), 0), max(int((y - h / 2) * height), 0)
    return (
        f"\t(left_x: {left:4.0f}   top_y: {top:4.0f}   "
        f"width: {w * width:4.0f}   height: {h * height:4.0f})"
    )


def _round(value: np.float32) -> float:
    """Halves away from 0, as C's round."""
    return math.copysign(math.floor(abs(float(value)) + 0.5), float(value))

"""What fewer bits or another library cost: answers compared with those of torch in 32 bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from darknet_py.boxes import Detections, box_iou
from darknet_py.finder import Finder
from darknet_py.pictures import Picture, read_picture
from darknet_py.scorer import Scorer

MATCH = 0.5
"""From this overlap on two boxes of one class are the same object."""


def compare_finders(reference: Finder, other: Finder, pictures: Sequence[Picture]) -> Iterator[str]:
    """Lines that tell how far `other` is from `reference` on `pictures`."""
    largest, expected, others = 0.0, 0, 0
    matches: list[tuple[float, float]] = []
    for picture in pictures:
        pixels = read_picture(picture, reference.image.channels)
        found = []
        outputs = []
        for finder in (reference, other):
            values = finder.run(finder.prepare(pixels))
            outputs.append([_array(value) for value in values])
            boxes = finder.boxes([value[0] for value in values], pixels.shape[:2])
            found.append(finder.clean(boxes))
        largest = max(largest, *(_gap(a, b) for a, b in zip(*outputs, strict=True)))
        same = match(found[0], found[1])
        matches += same
        expected += int((found[0].scores > 0).sum())
        others += int((found[1].scores > 0).sum()) - len(same)
    overlap, gap = np.mean(matches, 0) if matches else (0.0, 0.0)
    yield f"Accuracy against torch in 32 bits, {len(pictures)} images:"
    yield f"  largest difference of an output: {largest:.2g}"
    yield f"  detections kept: {len(matches)} of {expected}, {others} others"
    yield f"  mean overlap {overlap:.4f}, mean difference of probability {gap:.4f}"


def compare_scorers(reference: Scorer, other: Scorer, pictures: Sequence[Picture]) -> Iterator[str]:
    """The same for classifiers."""
    a, b = (scorer.predict(pictures) for scorer in (reference, other))
    rows, best = np.arange(len(a)), a.argmax(1)
    same = int((best == b.argmax(1)).sum())
    yield f"Accuracy against torch in 32 bits, {len(pictures)} images:"
    yield f"  largest difference of a probability: {_gap(a, b):.2g}"
    yield f"  the same best class: {same} of {len(a)}"
    gap = float(np.abs(a[rows, best] - b[rows, best]).mean())
    yield f"  mean difference of its probability {gap:.4f}"


def match(expected: Detections, actual: Detections) -> list[tuple[float, float]]:
    """Overlap and difference of probability of each object that both hold, one to one."""
    pairs = []
    for k in np.flatnonzero((expected.scores > 0).any(0)):
        ours, theirs = (np.flatnonzero(d.scores[:, k] > 0) for d in (expected, actual))
        free = np.ones(len(theirs), bool)
        for i in ours[np.argsort(-expected.scores[ours, k], kind="stable")]:
            overlap = np.where(free, box_iou(expected.boxes[i], actual.boxes[theirs]), 0)
            best = int(overlap.argmax()) if len(overlap) else -1
            if best >= 0 and overlap[best] >= MATCH:
                free[best] = False
                gap = abs(float(expected.scores[i, k] - actual.scores[theirs[best], k]))
                pairs.append((float(overlap[best]), gap))
    return pairs


def _array(value: Any) -> np.ndarray:
    """An output as numpy, whichever library it is of."""
    return np.asarray(value if isinstance(value, np.ndarray) else value.float().cpu().numpy())


def _gap(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape:
        b = b.reshape(a.shape)
    return float(np.abs(a - b).max(initial=0))

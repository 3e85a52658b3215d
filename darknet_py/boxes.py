"""Boxes on numpy arrays: IoU, non-maximum suppression as C does it, and undoing the letterbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ROWS = 64
"""Boxes that are compared with all others at once."""
TABLE = 12000
"""The most boxes whose overlaps are held as a table; it takes a byte for each pair."""


@dataclass
class Detections:
    """Boxes of one image, each scored for every class.

    `boxes` `(n, 4)` are `cxcywh`, `objectness` is `(n,)`, `scores` `(n, classes)`; float32.
    """

    boxes: np.ndarray
    objectness: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        """How many boxes there are."""
        return len(self.boxes)

    def take(self, index: np.ndarray) -> Detections:
        """The boxes that `index` chooses, in its order; copies."""
        return Detections(self.boxes[index], self.objectness[index], self.scores[index])


def join_detections(parts: Sequence[Detections]) -> Detections:
    """All boxes of several heads, in order; missing classes score 0."""
    if not parts:
        return Detections(*(np.zeros(shape, np.float32) for shape in ((0, 4), (0,), (0, 0))))
    classes = max(part.scores.shape[1] for part in parts)
    scores = [np.pad(p.scores, ((0, 0), (0, classes - p.scores.shape[1]))) for p in parts]
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.objectness for part in parts]),
        np.concatenate(scores),
    )


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes `(..., 4)` `cxcywh`, broadcast (C: box.c:box_iou).

    Boxes that only touch, and a union of 0, give 0.
    """
    ax, ay, aw, ah = np.moveaxis(np.asarray(a, np.float32), -1, 0)
    bx, by, bw, bh = np.moveaxis(np.asarray(b, np.float32), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        width = np.minimum(ax + aw / 2, bx + bw / 2) - np.maximum(ax - aw / 2, bx - bw / 2)
        height = np.minimum(ay + ah / 2, by + bh / 2) - np.maximum(ay - ah / 2, by - bh / 2)
        shared = np.where((width < 0) | (height < 0), np.float32(0), width * height)
        union = aw * ah + bw * bh - shared
        return np.where((shared == 0) | (union == 0), np.float32(0), shared / union)


def distance_term(a: np.ndarray, b: np.ndarray, beta: float) -> np.ndarray:
    """`(d2 / c2) ** beta`: the squared distance of the centres over the enclosing box's diagonal.

    C: box.c:box_diou (beta .6) and box_diounms, of AlexeyAB.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        low = np.minimum(a[..., :2] - a[..., 2:] / 2, b[..., :2] - b[..., 2:] / 2)
        high = np.maximum(a[..., :2] + a[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2)
        diagonal = ((high - low) ** 2).sum(-1)
        distance = ((a[..., :2] - b[..., :2]) ** 2).sum(-1)
        ratio = (distance / diagonal).astype(np.float64) ** beta
        return np.where(diagonal == 0, np.float32(0), ratio.astype(np.float32))


def suppress(
    detections: Detections, thresh: float, kind: str = "default", beta: float = 0.6
) -> Detections:
    """Non-maximum suppression for each class alone; the result is in C's order.

    A box loses its score of a class where a better one, that kept its own, overlaps it by more
    than `thresh`. Boxes of objectness 0 are dropped. C: box.c:do_nms_sort, diounms_sort.

    Args:
        detections: not changed.
        thresh: the largest overlap of two boxes that are kept, 0 or more.
        kind: "default" and "cornersnms" compare the IoU, "greedynms" the IoU less
            `(d2 / c2) ** 0.6`, "diounms" the IoU less `(d2 / c2) ** beta`.
        beta: see `kind`.
    """
    exponent = {"greedynms": 0.6, "diounms": beta}.get(kind)
    found = detections.take(_with_objectness(detections.objectness))
    scores = found.scores
    scored = np.asarray(scores.any(1))
    first, second = _overlapping(found.boxes, scored, thresh, exponent)
    order = np.arange(len(found))
    place = np.empty_like(order)
    original = scores.copy()
    ranks = _ranks(original)
    table = _table(first, second, len(found))
    for k in np.flatnonzero(scores.any(0)):
        # PARITY: C sorts the whole array once for each class, stably: that is the order in which
        # it prints, and in which equal scores suppress each other (box.c:do_nms_sort).
        order = order[_sorted(ranks[k], order)]
        if table is not None:
            scores[_suppressed_by_table(table, order[original[order, k] > 0]), k] = 0
            continue
        alive = (original[first, k] > 0) & (original[second, k] > 0)
        a, b = first[alive], second[alive]
        if not a.size:
            continue
        place[order] = np.arange(len(order))
        swap = place[a] > place[b]
        better, worse = np.where(swap, b, a), np.where(swap, a, b)
        scores[_suppressed(better, worse, len(found)), k] = 0
    return found.take(order)


def suppress_boxes(detections: Detections, thresh: float) -> Detections:
    """Non-maximum suppression by objectness, all classes at once (C: box.c:do_nms_obj).

    The result is in order of the original objectness; suppressed boxes have 0 everywhere.
    """
    found = detections.take(_with_objectness(detections.objectness))
    found = found.take(np.argsort(-found.objectness, kind="stable"))
    everything = np.ones(len(found), bool)
    a, b = _overlapping(found.boxes, everything, thresh, None)
    gone = _suppressed(np.minimum(a, b), np.maximum(a, b), len(found))
    found.objectness[gone] = 0
    found.scores[gone] = 0
    return found


def _with_objectness(objectness: np.ndarray) -> np.ndarray:
    """The boxes of objectness other than 0, in the order C's swapping leaves them in.

    PARITY: each box of objectness 0 is replaced by the last that has one (box.c:do_nms_sort).
    """
    good = objectness != 0
    count = int(good.sum())
    index = np.arange(count)
    index[~good[:count]] = (np.flatnonzero(good[count:]) + count)[::-1]
    return index


def _overlapping(
    boxes: np.ndarray, wanted: np.ndarray, thresh: float, exponent: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of `wanted` boxes that overlap by more than `thresh`, as two index arrays."""
    index = np.flatnonzero(wanted)
    with np.errstate(invalid="ignore", over="ignore"):
        left = boxes[index, 0] - boxes[index, 2] / 2
        index = index[np.argsort(left, kind="stable")]
        chosen = boxes[index]
        left = chosen[:, 0] - chosen[:, 2] / 2
        # An IoU above thresh needs a shared width of more than thresh * width.
        reach = left + chosen[:, 2] * np.float32(1.0001 - 0.999 * thresh)
    ends = np.searchsorted(left, reach, side="right")
    sides = _Sides(chosen)
    pairs = [(index[:0], index[:0])]
    for start in range(0, len(index), ROWS):
        rows = slice(start, start + ROWS)
        overlap = sides.overlaps(rows, slice(start, int(ends[rows].max())))
        i, j = (overlap > np.float32(thresh)).nonzero()
        later = i < j
        i, j = i[later], j[later]
        a, b = index[i + start], index[j + start]
        if exponent is not None:
            near = overlap[i, j] - distance_term(boxes[a], boxes[b], exponent) > np.float32(thresh)
            a, b = a[near], b[near]
        pairs.append((a, b))
    return np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])


class _Sides:
    """Boxes as contiguous edges and areas; `overlaps` gives `box_iou` bit for bit, but faster."""

    def __init__(self, boxes: np.ndarray) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            x, y, width, height = np.ascontiguousarray(boxes.T)
            self.edges = ((x - width / 2, x + width / 2), (y - height / 2, y + height / 2))
            self.areas = width * height

    @np.errstate(invalid="ignore", divide="ignore", over="ignore")
    def overlaps(self, rows: slice, columns: slice) -> np.ndarray:
        """The IoU of each of `rows` with each of `columns`; without an area perhaps no number."""
        across, down = self.edges
        shared = _shared(across, rows, columns)
        shared *= _shared(down, rows, columns)
        union = self.areas[rows, None] + self.areas[columns]
        union -= shared
        shared[union == 0] = 0
        shared /= union
        return shared


def _shared(edges: tuple[np.ndarray, np.ndarray], rows: slice, columns: slice) -> np.ndarray:
    """The length that each of `rows` has in common with each of `columns`, 0 if none."""
    low, high = edges
    side: np.ndarray = np.minimum(high[rows, None], high[columns])
    side -= np.maximum(low[rows, None], low[columns])
    np.maximum(side, 0, out=side)
    return side


def _ranks(scores: np.ndarray) -> np.ndarray:
    """For each class a whole number for each box, the smaller the better it is scored."""
    with np.errstate(invalid="ignore"):
        plain = bool((scores >= 0).all())
    if plain:  # the bits of such numbers, read as whole numbers, are in their order
        bits = np.ascontiguousarray((scores + np.float32(0)).T).view(np.uint32)
        ranks: np.ndarray = (np.uint32(2**32 - 1) - bits).astype(np.uint64) << np.uint64(32)
        return ranks
    order = np.argsort(-scores, 0, kind="stable")
    steps = np.take_along_axis(-scores, order, 0)
    new = np.zeros(scores.shape, np.uint64)
    new[1:] = ~((steps[1:] == steps[:-1]) | (np.isnan(steps[1:]) & np.isnan(steps[:-1])))
    ranks = np.empty_like(new)
    np.put_along_axis(ranks, order, new.cumsum(0, dtype=np.uint64), 0)
    turned: np.ndarray = np.ascontiguousarray(ranks.T) << np.uint64(32)
    return turned


def _sorted(ranks: np.ndarray, order: np.ndarray) -> np.ndarray:
    """What sorts `order` by rank, stably: with the place below each rank no two are equal."""
    keys = ranks[order] | np.arange(len(order), dtype=np.uint64)
    keys.sort()
    keys &= np.uint64(2**32 - 1)
    places: np.ndarray = keys.astype(np.int64)
    return places


def _table(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray | None:
    """Which boxes leave which alone, `(count, count)`; None where the pairs are faster to use."""
    if len(first) < ROWS * count or count > TABLE:
        return None
    table = np.ones((count, count), bool)
    table[first, second] = table[second, first] = False
    return table


def _suppressed_by_table(table: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Which of the boxes in `order`, best first, a better kept one suppresses."""
    kept = bytearray(b"\1") * len(table)  # indexed faster than an array
    flags = np.frombuffer(kept, bool)
    for i in order.tolist():
        if kept[i]:
            flags &= table[i]
    gone: np.ndarray = order[~flags[order]]
    return gone


def _suppressed(better: np.ndarray, worse: np.ndarray, count: int) -> np.ndarray:
    """Which of `count` boxes a better kept one suppresses, given all pairs that overlap.

    In each round the boxes that no undecided better one overlaps are kept, and end those
    they overlap; the greedy loop in C decides the same.
    """
    gone = np.zeros(count, bool)
    while better.size:
        doubtful = np.zeros(count, bool)
        doubtful[worse] = True
        gone[worse[~doubtful[better]]] = True
        left = doubtful[better] & ~gone[better] & ~gone[worse]
        better, worse = better[left], worse[left]
    return gone


def undo_letterbox(
    detections: Detections, used: tuple[int, int], network: tuple[int, int]
) -> Detections:
    """Boxes relative to the image, of boxes relative to the network's input it was fitted into.

    Args:
        detections: boxes relative to the input; not changed.
        used: the width and height that the image takes in the middle of the input.
        network: the input's width and height.
    """
    size, whole = np.array(used), np.array(network)
    # PARITY: the border is taken as half of what is left over; where that is odd, the image
    # really stands half a pixel further left (C: yolo_layer.c:correct_yolo_boxes).
    border = (whole - size) / 2 / whole
    boxes = np.empty_like(detections.boxes)
    boxes[:, :2] = (detections.boxes[:, :2] - border) / (size / whole).astype(np.float32)
    boxes[:, 2:] = detections.boxes[:, 2:] * (whole / size).astype(np.float32)
    return Detections(boxes, detections.objectness, detections.scores)

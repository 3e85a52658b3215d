"""Boxes under the names of C's functions: read them from a network, thin them out, name them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from darknet_py import image as images
from darknet_py.boxes import (
    Detections,
    join_detections,
    suppress,
    suppress_boxes,
    undo_letterbox,
)
from darknet_py.darknet.coordinates import Bbox
from darknet_py.darknet.networks import LoadedNetwork
from darknet_py.darknet.structures import (
    BOX,
    DETECTION,
    DETNUMPAIR,
    IMAGE,
    float_array,
    read_floats,
)
from darknet_py.errors import DarknetError
from darknet_py.layers.region import Region

Prediction = tuple[str, float, Bbox]


@dataclass
class _Numbered(Detections):
    """Boxes that know which they were before they were sorted."""

    index: np.ndarray

    def take(self, index: np.ndarray) -> _Numbered:
        taken = super().take(index)
        return _Numbered(taken.boxes, taken.objectness, taken.scores, self.index[index])


def get_network_boxes(
    net: LoadedNetwork,
    w: int,
    h: int,
    thresh: float,
    hier: float,
    map: Any = None,
    relative: int = 0,
    num: Any = None,
    letter: int | None = None,
) -> list[DETECTION]:
    """The boxes in what the network gave last, before any suppression.

    Args:
        net: a network after a `predict`.
        w: the picture's width in pixels.
        h: its height.
        thresh: scores not above it are 0.
        hier: the threshold of the walk down a class tree, in pjreddie's dialect.
        map: class numbers of a `.map` file, for a [region] with a class tree.
        relative: whether boxes are parts of the picture instead of pixels.
        num: a ctypes int, or pointer to one, that gets the number of boxes.
        letter: whether the picture was fitted in with its aspect ratio kept; None: whether
            `predict_image` does that.
    """
    found = find_boxes(net, 0, (w, h), thresh, hier, map, relative, letter)
    _store(num, len(found))
    return _list(found)


def network_predict_batch(
    net: LoadedNetwork,
    im: IMAGE,
    batch_size: int,
    w: int,
    h: int,
    thresh: float,
    hier: float,
    map: Any = None,
    relative: int = 0,
    letter: int = 0,
) -> list[DETNUMPAIR]:
    """Run the images whose values stand one after another in `im.data`; the boxes of each.

    `w` and `h` are the size of the pictures that the boxes will be in pixels of.
    """
    net.run(read_floats(im.data, batch_size * net.get().image.size).copy())
    pairs = []
    for sample in range(batch_size):
        found = find_boxes(net, sample, (w, h), thresh, hier, map, relative, letter)
        pairs.append(DETNUMPAIR(len(found), _list(found)))
    return pairs


def find_boxes(
    net: LoadedNetwork,
    sample: int,
    size: tuple[int, int],
    thresh: float,
    hier: float,
    class_map: Any = None,
    relative: int = 0,
    letter: int | None = None,
) -> Detections:
    """The boxes of one sample, in C's order (C: network.c:fill_network_boxes); see above."""
    network = net.get()
    if network.heads and not net.outputs:
        raise DarknetError("there are no boxes before a prediction: call predict_image first")
    shape = network.image
    parts = []
    for head, output in zip(network.heads, net.outputs, strict=True):
        if class_map is not None and isinstance(head, Region):
            numbers = [int(number) for number in class_map]
            parts.append(head.decode(output[sample], shape, thresh, hier, numbers))
        else:
            parts.append(head.decode(output[sample], shape, thresh, hier))
    found = join_detections(parts)
    if network.dialect.letterbox if letter is None else letter:
        used = images.letterbox_size(size[::-1], shape.width, shape.height)
        whole = (shape.width, shape.height)
        found = undo_letterbox(found, (max(used[0], 1), max(used[1], 1)), whole)
    if not relative:
        found.boxes = found.boxes * np.array([*size, *size], np.float32)
    return found


def _list(found: Detections) -> list[DETECTION]:
    classes = found.scores.shape[1]
    best = found.scores.argmax(1) if classes else np.zeros(len(found), int)
    return [
        DETECTION(
            BOX(*box),
            classes,
            number if classes and scores[number] > 0 else -1,
            float_array(scores),
            objectness=objectness,
        )
        for box, objectness, scores, number in zip(
            found.boxes.tolist(),
            found.objectness.tolist(),
            found.scores,
            best.tolist(),
            strict=True,
        )
    ]


def _store(num: Any, count: int) -> None:
    """Write to what may be a pointer, a byref or a c_int."""
    if num is None:
        return
    if hasattr(num, "contents"):
        num[0] = count
    else:
        getattr(num, "_obj", num).value = count


def make_network_boxes(net: LoadedNetwork, thresh: float = 0.5, num: Any = None) -> list[DETECTION]:
    """As many boxes as pass `thresh`, still empty."""
    found = find_boxes(net, 0, (1, 1), thresh, 0.5)
    _store(num, len(found))
    classes = found.scores.shape[1]
    return [DETECTION(prob=float_array(np.zeros(classes, np.float32))) for _ in range(len(found))]


def do_nms_sort(dets: list[DETECTION], total: int, classes: int, thresh: float) -> None:
    """Non-maximum suppression for each class alone, by plain IoU; boxes change places."""
    _suppress(dets, total, classes, thresh, suppress)


def do_nms_obj(dets: list[DETECTION], total: int, classes: int, thresh: float) -> None:
    """Non-maximum suppression by objectness, all classes at once; boxes change places."""
    _suppress(dets, total, classes, thresh, suppress_boxes)


def _suppress(
    dets: list[DETECTION],
    total: int,
    classes: int,
    thresh: float,
    kind: Callable[[Detections, float], Detections],
) -> None:
    some = dets[:total]
    if not some:
        return
    rows = [np.frombuffer(d.prob, np.float32)[:classes] for d in some]
    kept = kind(
        _Numbered(
            np.array([(d.bbox.x, d.bbox.y, d.bbox.w, d.bbox.h) for d in some], np.float32),
            np.array([d.objectness for d in some], np.float32),
            np.stack(rows),
            np.arange(len(some)),
        ),
        thresh,
    )
    assert isinstance(kept, _Numbered)
    order = kept.index.tolist()
    for place, scores, objectness in zip(order, kept.scores, kept.objectness.tolist(), strict=True):
        rows[place][:] = scores
        some[place].objectness = objectness
    rest = sorted(set(range(len(some))) - set(order))
    dets[: len(some)] = [some[i] for i in [*order, *rest]]


def remove_negatives(
    detections: Sequence[DETECTION], class_names: Sequence[str], num: int
) -> list[Prediction]:
    """`(name, probability, (x, y, w, h))` for each box and class that has a score."""
    found = []
    for d in detections[:num]:
        box = (d.bbox.x, d.bbox.y, d.bbox.w, d.bbox.h)
        scores = read_floats(d.prob, min(len(d.prob), len(class_names)))
        found += [
            (class_names[i], float(scores[i]), box) for i in np.flatnonzero(scores > 0).tolist()
        ]
    return found


def remove_negatives_faster(
    detections: Sequence[DETECTION], class_names: Sequence[str], num: int
) -> list[Prediction]:
    """`(name, probability, (x, y, w, h))` for each box and its best class before suppression."""
    return [
        (
            class_names[d.best_class_idx],
            d.prob[d.best_class_idx],
            (d.bbox.x, d.bbox.y, d.bbox.w, d.bbox.h),
        )
        for d in detections[:num]
        if d.best_class_idx != -1
    ]


def decode_detection(detections: Sequence[Prediction]) -> list[tuple[str, str, Bbox]]:
    """The same with probabilities as text, in percent, rounded to two digits."""
    return [(str(name), str(round(p * 100, 2)), bbox) for name, p, bbox in detections]


def non_max_suppression_fast(detections: Sequence[Any], overlap_thresh: float) -> list[Any]:
    """Tuples that end in `(x, y, w, h)`, without those that a lower one covers by more.

    The lowest in the picture comes first; cover is the shared part of a box's own area.
    """
    if not detections:
        return []
    boxes = np.array([detection[-1] for detection in detections], float)
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    area = (high - low + 1).prod(1)
    order, picked = np.argsort(high[:, 1]), []
    while order.size:
        first, order = order[-1], order[:-1]
        picked.append(detections[first])
        sides = np.minimum(high[first], high[order]) - np.maximum(low[first], low[order]) + 1
        order = order[sides.clip(0).prod(1) / area[order] <= overlap_thresh]
    return picked


def free_detections(dets: list[DETECTION], num: int) -> None:
    """Let go of the boxes."""
    dets.clear()


def free_batch_detections(pairs: list[DETNUMPAIR], num: int) -> None:
    """Let go of the boxes of a batch."""
    pairs.clear()


def free_ptrs(pointers: Any, num: int) -> None:
    """Nothing: Python frees what nobody holds."""

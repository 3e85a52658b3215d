"""[detection]: its keys, and the boxes in its output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from darknet_py.anchors import above
from darknet_py.boxes import Detections
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class DetectionOptions(LayerOptions):
    """Keys of [detection] (C: parser.c:parse_detection)."""

    coords: int = key("numbers that place a box: 4", 1)
    classes: int = key("how many classes each cell is scored for", 1)
    num: int = key("boxes of each cell", 1)
    side: int = key("the grid has side x side cells", 7)
    softmax: bool = key("softmax over each cell's classes", False)
    sqrt: bool = key("the layer before gives square roots of width and height", False)
    rescore: bool = key("training: objectness is taught the IoU", False)
    max: int = key("the most boxes of one image that training looks at", 90, alexeyab=200)
    coord_scale: float = key("training: weight of the box loss", 1.0)
    forced: bool = key("training: small objects belong to box 1, large ones to box 0", False)
    object_scale: float = key("training: weight of the objectness of objects", 1.0)
    noobject_scale: float = key("training: weight of the objectness of background", 1.0)
    class_scale: float = key("training: weight of the class loss", 1.0)
    jitter: float = key("training: how far crops wander, as a part of the image", 0.2)
    resize: float = key("training: the range of the random zoom", 1.0, only="alexeyab")
    random: float = key("training: a random box of the cell learns the object at first", 0.0)
    reorg: bool = key("read, and without effect in both forks", False)


@np.errstate(over="ignore", invalid="ignore")
def decode_detection(values: np.ndarray, options: DetectionOptions, thresh: float) -> Detections:
    """All boxes, cell by cell; their objectness is not held against `thresh`.

    Args:
        values: the output of one sample, in a row.
        options: the head's.
        thresh: scores not above it are 0.
    """
    o, cells = options, options.side**2
    scores = values[: cells * o.classes].reshape(cells, 1, o.classes)
    rest = values[cells * o.classes :]
    objectness = rest[: cells * o.num].reshape(cells, o.num)
    raw = rest[cells * o.num :].reshape(cells, o.num, o.coords)
    row, column = np.divmod(np.arange(cells)[:, None], o.side)
    boxes = np.empty((cells, o.num, 4), np.float32)
    boxes[..., 0] = (raw[..., 0] + column) / o.side
    boxes[..., 1] = (raw[..., 1] + row) / o.side
    boxes[..., 2:] = raw[..., 2:4] ** 2 if o.sqrt else raw[..., 2:4]
    return Detections(
        boxes.reshape(-1, 4),
        objectness.reshape(-1),
        above((objectness[..., None] * scores).reshape(-1, o.classes), thresh),
    )

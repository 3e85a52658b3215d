"""A head's boxes as the rows of OpenCV's region layer: x, y, w, h, objectness, class scores.

One row for each cell and anchor, cell by cell, the anchors inside. Centre and sides are relative
to the network's input; a score is the class's probability times the objectness, and 0 unless above
the threshold. Source: OpenCV 4, region_layer.cpp.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from darknet_py.errors import DarknetError
from darknet_py.layers import Head, Shape
from darknet_py.layers.region import Region
from darknet_py.layers.yolo import Yolo

_THRESH = {"region": 0.001, "yolo": 0.2}
_NMS = {"region": 0.4, "yolo": 0.0}


def default_nms(head: Head) -> float:
    """The overlap at which the layer itself drops boxes, 0: never (OpenCV's nms_threshold)."""
    return _read(head, "nms_threshold", _NMS) if head.section.type == "yolo" else _NMS["region"]


def head_rows(head: Head, x: Tensor, image: Shape, nms: float) -> np.ndarray:
    """The rows of one head.

    Args:
        head: the layer.
        x: what it reads, `(batch, c, h, w)`.
        image: the network's input, of which boxes are parts.
        nms: of two boxes of a class that overlap by more, the less sure one loses its score; 0:
            none does.

    Returns:
        `(h w anchors, 5 + classes)`, with a batch `(batch, h w anchors, 5 + classes)`.
    """
    thresh = _read(head, "thresh", _THRESH)
    if isinstance(head, Yolo) or (isinstance(head, Region) and head.tree is None):
        rows = _region_rows(head, x, image, thresh)
    else:
        rows = _decoded_rows(head, x, image, thresh)
    if nms > 0:
        for sample in rows:
            _suppress(sample, thresh, nms)
    return rows[0] if len(rows) == 1 else rows


def _read(head: Head, key: str, defaults: dict[str, float]) -> float:
    """A number that OpenCV reads from the section, also where Darknet has no such key."""
    entry = head.section.options.get(key)
    default = defaults.get(head.section.type, defaults["yolo"])
    if entry is None or entry.value is None:
        return default
    try:
        return float(entry.value)
    except ValueError:
        raise head.section.error(f"{key} must be a number, got {entry.value!r}", key) from None


def _region_rows(head: Yolo | Region, x: Tensor, image: Shape, thresh: float) -> np.ndarray:
    """As OpenCV computes them, in float32."""
    batch, _, height, width = x.shape
    if isinstance(head, Yolo):
        anchors, sides = head.anchors[list(head.mask)], (image.width, image.height)
        scale, squashed = head.options.scale_x_y, head.options.new_coords
        softmax, fix = False, False
    else:
        if head.options.coords != 4:
            raise head.section.error("the rows of cv2 need coords=4", "coords")
        anchors, sides = head.anchors, (width, height)
        scale, squashed = 1.0, False
        softmax, fix = head.options.softmax, head.options.classfix == -1
    values = x.reshape(batch, len(anchors), head.entries, height, width).permute(0, 3, 4, 1, 2)
    xy, wh, objectness, classes = values.float().tensor_split((2, 4, 5), 4)
    if not squashed:
        xy, objectness = xy.sigmoid(), objectness.sigmoid()
        classes = classes.softmax(4) if softmax else classes.sigmoid()
    column, row = torch.arange(width, device=x.device), torch.arange(height, device=x.device)
    cells = torch.stack([column.expand(height, width), row[:, None].expand(height, width)], 2)
    xy = (cells[:, :, None] + (xy - 0.5) * scale + 0.5) / xy.new_tensor((width, height))
    stretched = wh * wh * 4 if squashed else wh.exp()
    wh = stretched * torch.as_tensor(anchors).to(wh) / wh.new_tensor(sides)
    weight = torch.where(objectness < 0.5, 0.0, objectness) if fix else objectness
    scores = classes * weight
    scores = torch.where(scores > thresh, scores, 0.0)
    rows = torch.cat([xy, wh, objectness, scores], 4).view(batch, -1, head.entries)
    return rows.cpu().numpy()


def _decoded_rows(head: Head, x: Tensor, image: Shape, thresh: float) -> np.ndarray:
    """Of a head that OpenCV does not know: every box as Darknet decodes it."""
    output = head(x)
    rows = []
    for sample in output:
        found = head.decode(sample, image, -1.0, 0.5)
        scores = np.where(found.scores > thresh, found.scores, 0)
        rows.append(np.hstack([found.boxes, found.objectness[:, None], scores]))
    if len({len(sample) for sample in rows}) != 1:
        raise DarknetError(f"[{head.section.type}]: the samples give unequal numbers of boxes")
    return np.stack(rows).astype(np.float32)


def _suppress(rows: np.ndarray, thresh: float, nms: float) -> None:
    """Take the score of a class from rows that overlap surer ones of that class, in place."""
    for scores in rows[:, 5:].T:
        (found,) = scores.nonzero()
        if len(found) < 2:
            continue
        sides = rows[found, 2:4].astype(np.float64)
        corners = rows[found, :2].astype(np.float64) - sides / 2
        boxes = np.hstack([corners, sides]).tolist()
        kept = cv2.dnn.NMSBoxes(boxes, scores[found].tolist(), thresh, nms)
        lost = np.ones(len(found), bool)
        lost[np.asarray(kept, np.int64).reshape(-1)] = False
        scores[found[lost]] = 0

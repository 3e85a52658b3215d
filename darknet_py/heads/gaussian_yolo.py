"""[Gaussian_yolo]: its keys, and the boxes in its output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from darknet_py.anchors import YoloHeadOptions, above
from darknet_py.boxes import Detections
from darknet_py.heads.cells import Likely, likely_cells
from darknet_py.options import key
from darknet_py.shape import Shape


@dataclass(frozen=True)
class GaussianYoloOptions(YoloHeadOptions):
    """Keys of [Gaussian_yolo] (C: parser.c:parse_gaussian_yolo)."""

    uc_normalizer: float = key("training: weight of the uncertainty loss", 1.0, only="alexeyab")
    yolo_point: str = key(
        "the point of the box that x and y give: center, left_top or right_bottom",
        "center",
        only="alexeyab",
    )


@np.errstate(over="ignore", invalid="ignore")
def decode_gaussian_yolo(
    output: np.ndarray | Likely,
    options: GaussianYoloOptions,
    anchors: np.ndarray,
    image: Shape,
    thresh: float,
) -> Detections:
    """The boxes whose objectness is above `thresh`, cell by cell, the anchors inside.

    Args:
        output: of one sample, `(n (9 + classes), h, w)`; or what is likely in it.
        options: the head's.
        anchors: `(n, 2)`, those of the mask.
        image: the network's input.
        thresh: scores not above it are 0.
    """
    likely = output
    if not isinstance(likely, Likely):
        likely = likely_cells(likely, anchors, 8, thresh)
    cells, found, sides, height, width = likely
    boxes = np.empty((len(found), 4), np.float32)
    boxes[:, :2] = (cells + found[:, 0:3:2]) / np.array((width, height), np.float32)
    scales = np.exp(found[:, 4:8:2].astype(np.float64))
    boxes[:, 2:] = scales * sides / (image.width, image.height)
    half = {"left_top": 0.5, "right_bottom": -0.5}.get(options.yolo_point, 0.0)
    if half:
        boxes[:, :2] += half * boxes[:, 2:]
    objectness, unsure = found[:, 8], found[:, 1:8:2].sum(1) / 4
    scores = objectness[:, None] * found[:, 9:] * (1 - unsure[:, None])
    return Detections(boxes, objectness, above(scores, thresh))

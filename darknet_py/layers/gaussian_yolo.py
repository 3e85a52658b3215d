"""[Gaussian_yolo]: YOLOv3's head that also tells how unsure each coordinate is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from darknet_py.anchors import (
    YoloHeadOptions,
    above,
    loss_line,
)
from darknet_py.boxes import Detections
from darknet_py.layers.base import Shape, image
from darknet_py.layers.yolo_head import YoloHead
from darknet_py.options import key

POINTS = {"center": 1, "left_top": 2, "right_bottom": 4}
"""AlexeyAB's numbers of the points, which it prints; an unknown name is the centre."""


@dataclass(frozen=True)
class GaussianYoloOptions(YoloHeadOptions):
    """Keys of [Gaussian_yolo] (C: parser.c:parse_gaussian_yolo)."""

    uc_normalizer: float = key("training: weight of the uncertainty loss", 1.0, only="alexeyab")
    yolo_point: str = key(
        "the point of the box that x and y give: center, left_top or right_bottom",
        "center",
        only="alexeyab",
    )


class GaussianYolo(YoloHead):
    """One box for each cell and anchor, with the deviation of each coordinate.

    Input and output `(batch, n (9 + classes), h, w)`, n anchors with the entries x, sx, y, sy,
    w, sw, h, sh, objectness and classes. `forward` applies the logistic function to all but w
    and h, and stretches x and y by `scale_x_y`. The score of a class is objectness times class
    times one minus the mean deviation. Source: Choi et al., "Gaussian YOLOv3", 2019;
    C: gaussian_yolo_layer.c:forward_gaussian_yolo_layer, get_gaussian_yolo_detections.
    """

    Options = GaussianYoloOptions
    options: GaussianYoloOptions

    own_entries = 9

    def forward(self, *inputs: Tensor) -> Tensor:
        """Squash and stretch."""
        x = image(inputs[0])
        raw = x.reshape(len(x), len(self.mask), self.entries, *x.shape[2:])
        smooth, scale = raw.sigmoid(), self.options.scale_x_y
        centre = smooth[:, :, 0:3:2]
        if scale != 1:
            centre = centre * scale - 0.5 * (scale - 1)
        parts = [
            centre[:, :, :1],
            smooth[:, :, 1:2],
            centre[:, :, 1:],
            smooth[:, :, 3:4],
            raw[:, :, 4:5],
            smooth[:, :, 5:6],
            raw[:, :, 6:7],
            smooth[:, :, 7:],
        ]
        return torch.cat(parts, 2).flatten(1, 2)

    @np.errstate(over="ignore", invalid="ignore")
    def decode(self, output: Tensor, image: Shape, thresh: float, hier: float) -> Detections:
        """The boxes whose objectness is above `thresh`, cell by cell, the anchors inside."""
        cells, found, anchors = self.candidates(output, thresh)
        height, width = output.shape[-2:]
        boxes = np.empty((len(found), 4), np.float32)
        boxes[:, :2] = (cells + found[:, 0:3:2]) / np.array((width, height), np.float32)
        scales = np.exp(found[:, 4:8:2].astype(np.float64))
        boxes[:, 2:] = scales * anchors / (image.width, image.height)
        half = {"left_top": 0.5, "right_bottom": -0.5}.get(self.options.yolo_point, 0.0)
        if half:
            boxes[:, :2] += half * boxes[:, 2:]
        objectness, unsure = found[:, 8], found[:, 1:8:2].sum(1) / 4
        scores = objectness[:, None] * found[:, 9:] * (1 - unsure[:, None])
        return Detections(boxes, objectness, above(scores, thresh))

    def row(self) -> str:
        """As parser.c:parse_gaussian_yolo prints it."""
        point = POINTS.get(self.options.yolo_point, 1)
        return (
            f"[Gaussian_yolo] {loss_line(self.options)}, "
            f"scale: {self.options.scale_x_y:2.2f}, point: {point}"
        )

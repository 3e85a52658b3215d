"""[Gaussian_yolo]: YOLOv3's head that also tells how unsure each coordinate is."""

from __future__ import annotations

import torch
from torch import Tensor

from darknet_py.anchors import loss_line
from darknet_py.boxes import Detections
from darknet_py.heads.gaussian_yolo import GaussianYoloOptions, decode_gaussian_yolo
from darknet_py.layers.base import Shape, image, place
from darknet_py.layers.yolo_head import YoloHead
from darknet_py.losses.gaussian_yolo import GaussianYoloLoss

POINTS = {"center": 1, "left_top": 2, "right_bottom": 4}
"""AlexeyAB's numbers of the points, which it prints; an unknown name is the centre."""


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
    Loss = GaussianYoloLoss

    def forward(self, *inputs: Tensor) -> Tensor:
        """Squash and stretch."""
        x = image(inputs[0])
        raw = x.reshape(x.shape[0], len(self.mask), self.entries, *x.shape[2:])
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

    def decode(self, output: Tensor, image: Shape, thresh: float, hier: float) -> Detections:
        """The boxes whose objectness is above `thresh`, cell by cell, the anchors inside."""
        anchors = self.anchors[list(self.mask)]
        likely = self.likely(output, thresh)
        return decode_gaussian_yolo(likely, self.options, anchors, image, thresh)

    def dense(self, output: Tensor, image: Shape) -> tuple[Tensor, Tensor, Tensor]:
        """Every box, cell by cell, the anchors inside."""
        found = self.by_cell(output)
        centres = place(torch.stack([found[..., 0], found[..., 2]], -1))
        scales = torch.stack([found[..., 4], found[..., 6]], -1).exp()
        boxes = self.join_sides(centres, scales, image)
        half = {"left_top": 0.5, "right_bottom": -0.5}.get(self.options.yolo_point, 0.0)
        if half:
            boxes = torch.cat([boxes[..., :2] + half * boxes[..., 2:], boxes[..., 2:]], -1)
        unsure = (found[..., 1] + found[..., 3] + found[..., 5] + found[..., 7]) / 4
        objectness = found[..., 8]
        scores = objectness.unsqueeze(-1) * found[..., 9:] * (1 - unsure).unsqueeze(-1)
        return boxes.flatten(1, 3), objectness.flatten(1, 3), scores.flatten(1, 3)

    def row(self) -> str:
        """As parser.c:parse_gaussian_yolo prints it."""
        point = POINTS.get(self.options.yolo_point, 1)
        return (
            f"[Gaussian_yolo] {loss_line(self.options)}, "
            f"scale: {self.options.scale_x_y:2.2f}, point: {point}"
        )

"""[yolo]: YOLOv3's detection head at one scale."""

from __future__ import annotations

import torch
from torch import Tensor

from darknet_py.anchors import loss_line
from darknet_py.boxes import Detections
from darknet_py.heads.yolo import YoloOptions, decode_yolo
from darknet_py.layers.base import Shape, Site, image, place
from darknet_py.layers.yolo_head import YoloHead
from darknet_py.losses.yolo import YoloLoss
from darknet_py.operations import Operation, Place
from darknet_py.operations.squash import Squash


class Yolo(YoloHead):
    """One box for each cell and anchor of the mask.

    Input and output `(batch, n (5 + classes), h, w)`, n anchors with the entries x, y, w, h,
    objectness and classes. `forward` applies the logistic function to all but w and h, and
    stretches x and y by `scale_x_y`; with `new_coords` there is no logistic.

    A box's centre is `(column + x) / w`, its width `exp(w) anchor / network width` or, with
    `new_coords`, `4 w^2 anchor / network width`. Source: Redmon & Farhadi, "YOLOv3", 2018,
    section 2.1; C: yolo_layer.c:forward_yolo_layer, get_yolo_box, get_yolo_detections.
    """

    Options = YoloOptions
    options: YoloOptions

    own_entries = 5
    Loss = YoloLoss

    def __init__(self, options: YoloOptions, site: Site) -> None:
        super().__init__(options, site)
        if options.embedding_layer != 999999:
            site.source(options.embedding_layer, "embedding_layer")

    def forward(self, *inputs: Tensor) -> Tensor:
        """Squash and stretch."""
        x = image(inputs[0])
        batch, channels, height, width = x.shape
        x = x.reshape(batch, len(self.mask), self.entries, height, width)
        xy, wh, rest = x[:, :, :2], x[:, :, 2:4], x[:, :, 4:]
        if not self.options.new_coords:
            xy, rest = xy.sigmoid(), rest.sigmoid()
        scale = self.options.scale_x_y
        if scale != 1:
            xy = xy * scale - 0.5 * (scale - 1)
        return torch.cat([xy, wh, rest], 2).view(batch, channels, height, width)

    def lower(self, place: Place) -> Operation:
        """The same in place, in float32."""
        squashed = torch.zeros(len(self.mask), self.entries)
        scale, shift = torch.ones_like(squashed), torch.zeros_like(squashed)
        if not self.options.new_coords:
            squashed[:, :2] = squashed[:, 4:] = 1
        scale[:, :2] = self.options.scale_x_y
        shift[:, :2] = -0.5 * (self.options.scale_x_y - 1)
        return Squash(self._squash, squashed.flatten(), scale.flatten(), shift.flatten())

    def _squash(self, x: Tensor) -> Tensor:
        x = image(x)
        values = torch.unflatten(x, 1, (len(self.mask), self.entries))
        if not self.options.new_coords:  # all at once, as they lie in memory, is fastest
            sides = values[:, :, 2:4].clone()
            x.sigmoid_()
            values[:, :, 2:4] = sides
        scale = self.options.scale_x_y
        if scale != 1:
            values[:, :, :2].mul_(scale).sub_(0.5 * (scale - 1))
        return x

    def decode(self, output: Tensor, image: Shape, thresh: float, hier: float) -> Detections:
        """The boxes whose objectness is above `thresh`, cell by cell, the anchors inside."""
        anchors = self.anchors[list(self.mask)]
        return decode_yolo(self.likely(output, thresh), self.options, anchors, image, thresh)

    def dense(self, output: Tensor, image: Shape) -> tuple[Tensor, Tensor, Tensor]:
        """Every box, cell by cell, the anchors inside."""
        found = self.by_cell(output)
        raw = found[..., 2:4]
        scales = raw * raw * 4 if self.options.new_coords else raw.exp()
        boxes = self.join_sides(place(found[..., :2]), scales, image)
        objectness, classes = found[..., 4], found[..., 5:]
        scores = objectness.unsqueeze(-1) * classes
        return boxes.flatten(1, 3), objectness.flatten(1, 3), scores.flatten(1, 3)

    def row(self) -> str:
        """As yolo_layer.c:make_yolo_layer and AlexeyAB's parser.c:parse_yolo print it."""
        if self.dialect.name == "pjreddie":
            return "yolo"
        scale = self.options.scale_x_y
        return f"yolo\n[yolo] params: {loss_line(self.options)}, scale_x_y: {scale:2.2f}"

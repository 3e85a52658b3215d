"""[detection]: YOLOv1's detection head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from darknet_py.anchors import check_counts
from darknet_py.boxes import Detections
from darknet_py.heads.detection import DetectionOptions, decode_detection
from darknet_py.layers.base import Delta, Head, Shape, Site, Step, as_array, flat, place
from darknet_py.losses.detection import detection_delta


class Detection(Head):
    """A grid of `side` x `side` cells, `num` boxes each, which share the cell's classes.

    Input and output `(batch, side^2 (classes + num (1 + coords)))`: the class scores of all
    cells, then all objectnesses, then all boxes. A box is x, y inside its cell and the sides
    relative to the image, or their square roots. Source: Redmon et al., "You Only Look Once",
    2015; C: detection_layer.c:forward_detection_layer, get_detection_detections.
    """

    Options = DetectionOptions
    options: DetectionOptions

    def __init__(self, options: DetectionOptions, site: Site) -> None:
        super().__init__(options, site)
        check_counts(site.section, options.num, options.classes)
        if options.side < 1 or options.coords < 0:
            raise site.section.error(
                f"side must be at least 1 and coords at least 0, got side={options.side}, "
                f"coords={options.coords}"
            )

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes; the number of inputs must stay."""
        (shape,) = inputs
        o = self.options
        need = o.side**2 * (o.classes + o.num * (1 + o.coords))
        if shape.size != need:
            raise self.section.error(
                f"output={need} expected before [detection] with side={o.side}, num={o.num}, "
                f"coords={o.coords} and {o.classes} classes, got {shape.size}"
            )
        self.in_shape = shape
        self.out_shape = Shape(need, 0, 0)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Softmax each cell's classes, if asked to."""
        (x,) = inputs
        x = flat(x)
        if not self.options.softmax:
            return x
        classes = self.options.side**2 * self.classes
        scores = x[:, :classes].reshape(x.shape[0], -1, self.classes).softmax(2)
        return torch.cat([scores.flatten(1), x[:, classes:]], 1)

    def delta(
        self, inputs: Sequence[Tensor], output: Tensor, truth: Tensor, step: Step
    ) -> Delta | None:
        """C's l.delta, in the shape of the input."""
        self._need_boxes()
        delta = detection_delta(output, truth, self.options, step)
        delta.values = delta.values.reshape(inputs[0].shape)
        return delta

    def decode(self, output: Tensor, image: Shape, thresh: float, hier: float) -> Detections:
        """All boxes, cell by cell; their objectness is not held against `thresh`."""
        self._need_boxes()
        return decode_detection(as_array(output), self.options, thresh)

    def dense(self, output: Tensor, image: Shape) -> tuple[Tensor, Tensor, Tensor]:
        """Every box, cell by cell."""
        self._need_boxes()
        o, cells = self.options, self.options.side**2
        classes, objectness, raw = output.tensor_split(
            (cells * o.classes, cells * (o.classes + o.num)), 1
        )
        raw = raw.reshape(-1, o.side, o.side, o.num, o.coords)
        size = raw[..., 2:4].square() if o.sqrt else raw[..., 2:4]
        boxes = torch.cat([place(raw[..., :2]), size], -1).reshape(-1, cells * o.num, 4)
        scores = objectness.reshape(-1, cells, o.num, 1) * classes.reshape(-1, cells, 1, o.classes)
        return boxes, objectness, scores.reshape(-1, cells * o.num, o.classes)

    def _need_boxes(self) -> None:
        if self.options.coords < 4:
            got = self.options.coords
            raise self.section.error(f"coords must be 4 to read boxes, got {got}", "coords")

    def row(self) -> str:
        """As detection_layer.c:make_detection_layer prints it."""
        return "Detection Layer"

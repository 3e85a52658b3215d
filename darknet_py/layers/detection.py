"""[detection]: YOLOv1's detection head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from darknet_py.anchors import above, check_counts
from darknet_py.boxes import Detections
from darknet_py.layers.base import Head, Shape, Site, flat
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
        scores = x[:, :classes].reshape(len(x), -1, self.classes).softmax(2)
        return torch.cat([scores.flatten(1), x[:, classes:]], 1)

    @np.errstate(over="ignore", invalid="ignore")
    def decode(self, output: Tensor, image: Shape, thresh: float, hier: float) -> Detections:
        """All boxes, cell by cell; their objectness is not held against `thresh`."""
        o, cells = self.options, self.options.side**2
        if o.coords < 4:
            raise self.section.error(f"coords must be 4 to read boxes, got {o.coords}", "coords")
        values = output.float().cpu().numpy()
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

    def row(self) -> str:
        """As detection_layer.c:make_detection_layer prints it."""
        return "Detection Layer"

"""[contrastive]: a training loss that pulls embeddings of one object together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from darknet_py.anchors import FLT_MAX
from darknet_py.layers.base import Head, Layer, Shape, Site
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class ContrastiveOptions(LayerOptions):
    """Keys of [contrastive] (C: parser.c:parse_contrastive)."""

    classes: int = key("how many classes there are, without yolo_layer", 1000, only="alexeyab")
    yolo_layer: int = key(
        "the [yolo] whose objects are embedded; a negative one counts back, 0: none",
        0,
        only="alexeyab",
    )
    temperature: float = key("training: divides the similarities", 1.0, only="alexeyab")
    cls_normalizer: float = key("training: weight of the loss", 1.0, only="alexeyab")
    max_delta: float = key("training: the largest gradient", FLT_MAX, only="alexeyab")
    contrastive_neg_max: int = key("training: other objects compared with each", 3, only="alexeyab")


class Contrastive(Layer):
    """A loss on the input; at inference the output is all zero, as C leaves it.

    Output of the input's shape. C: softmax_layer.c:forward_contrastive_layer.
    """

    Options = ContrastiveOptions
    options: ContrastiveOptions

    def __init__(self, options: ContrastiveOptions, site: Site) -> None:
        super().__init__(options, site)
        self.head: int | None = None
        self.per_cell, self.classes = 1, options.classes
        if options.yolo_layer:
            self._attach(site, site.source(options.yolo_layer, "yolo_layer"))

    def _attach(self, site: Site, index: int) -> None:
        layer = site.layers[index]
        if layer.section.type != "yolo":
            raise site.section.error(
                f"yolo_layer={self.options.yolo_layer} must point to a [yolo] layer, layer "
                f"{index} is [{layer.section.type}]",
                "yolo_layer",
            )
        head = cast("Head", layer)
        self.head, self.classes = index, head.classes
        self.per_cell = len(head.options.mask) or head.options.num

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        (shape,) = inputs
        self.in_shape = self.out_shape = shape
        cells = self.per_cell * max(shape.height, 1) * max(shape.width, 1)
        self.embedding_size = shape.size // cells if self.head is not None else shape.channels

    def forward(self, *inputs: Tensor) -> Tensor:
        """Zeros."""
        return torch.zeros_like(inputs[0])

    def row(self) -> str:
        """As softmax_layer.c:make_contrastive_layer prints it."""
        w, h = self.in_shape.width, self.in_shape.height
        step = self.per_cell * h * w
        line = (
            f"contrastive {w:4d} x{h:4d} x{self.per_cell:4d} x emb_size {self.embedding_size:4d} "
            f"x batch:    1  classes = {self.classes:4d}, step = {step:4d} "
        )
        return line if self.head is None else f"{line}\ndetection "

"""[contrastive]: a training loss that pulls embeddings of one object together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from darknet_py.anchors import FLT_MAX
from darknet_py.layers.base import Delta, Head, Layer, Shape, Site, Step
from darknet_py.losses.canvas import squared
from darknet_py.losses.contrastive import Samples, image_steps, object_steps
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
        self.time_steps = max(site.time_steps, 1)
        if options.temperature == 0:
            raise site.section.error("temperature must not be 0", "temperature")
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

    @torch.no_grad()
    def delta(
        self, inputs: Sequence[Tensor], output: Tensor, truth: Tensor, step: Step
    ) -> Delta | None:
        """C's l.delta: like embeddings together, others apart."""
        o, x = self.options, inputs[0].float()
        batch, size = len(x), self.embedding_size
        vectors = x.reshape(batch, self.in_shape.channels, -1)[:, : self.per_cell * size]
        vectors = vectors.reshape(batch, self.per_cell, size, -1).movedim(2, 3).flatten(0, 2)
        images = torch.arange(len(vectors), device=x.device) // (len(vectors) // batch)
        steps = images // max(batch // self.time_steps, 1)
        if self.head is None:
            labels = self._labels(truth, step)[images]
            samples = Samples(vectors, labels, torch.zeros_like(labels), steps)
            chosen = torch.arange(len(vectors), device=x.device)
            moves, accuracy = image_steps(samples, o.temperature)
        else:
            tracks, classes = (mark.flatten() for mark in step.marks[self.head])
            if len(tracks) != len(vectors):
                raise self.section.error(
                    f"has {len(vectors)} embeddings, but the [yolo] has {len(tracks)} boxes"
                )
            chosen = (tracks >= 0).nonzero()[:, 0]
            samples = Samples(vectors[chosen], tracks[chosen], classes[chosen], steps[chosen])
            moves, accuracy = object_steps(samples, o.temperature, o.contrastive_neg_max)
        most = min(o.max_delta, torch.finfo(torch.float32).max)
        values = torch.zeros_like(vectors).index_copy_(0, chosen, moves * o.cls_normalizer)
        values = values.clamp(-most, most)
        cost = squared(values)
        values = values.reshape(batch, self.per_cell, -1, size).movedim(3, 2)
        delta = torch.zeros_like(x).flatten(1)
        delta[:, : values[0].numel()] = values.flatten(1)
        return Delta(delta.view_as(x), cost, {"accuracy": accuracy})

    def _labels(self, truth: Tensor, step: Step) -> Tensor:
        """What each image shows: the last class above the smoothing, or its pair's number."""
        batch = len(truth)
        number = torch.arange(batch, device=truth.device)
        pairs = number % 2 if step.adversarial else number // 2
        above = truth[:, : self.classes] > step.label_smooth_eps
        last = self.classes - 1 - above.flip(1).long().argmax(1)
        return torch.where(above.any(1), last, pairs)

    def row(self) -> str:
        """As softmax_layer.c:make_contrastive_layer prints it."""
        w, h = self.in_shape.width, self.in_shape.height
        step = self.per_cell * h * w
        line = (
            f"contrastive {w:4d} x{h:4d} x{self.per_cell:4d} x emb_size {self.embedding_size:4d} "
            f"x batch:    1  classes = {self.classes:4d}, step = {step:4d} "
        )
        return line if self.head is None else f"{line}\ndetection "

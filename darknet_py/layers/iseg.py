"""[iseg]: instance segmentation, a class map and an embedding of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_py.layers.base import Delta, Layer, Site, Step
from darknet_py.losses.iseg import iseg_delta
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class IsegOptions(LayerOptions):
    """Keys of [iseg] (C: parser.c:parse_iseg)."""

    classes: int = key("how many classes each pixel is scored for", 20)
    ids: int = key("length of each pixel's embedding, near for pixels of one object", 32)


class Iseg(Layer):
    """Class scores and an embedding for each pixel.

    Input and output `(batch, classes + ids, h, w)`; `forward` applies the logistic function
    to the classes. C: iseg_layer.c:forward_iseg_layer.
    """

    Options = IsegOptions
    options: IsegOptions

    def __init__(self, options: IsegOptions, site: Site) -> None:
        super().__init__(options, site)
        if options.classes < 1 or options.ids < 0:
            raise site.section.error(
                f"classes must be at least 1 and ids at least 0, got classes={options.classes}, "
                f"ids={options.ids}"
            )
        need, have = options.classes + options.ids, site.need_image().channels
        if need != have:
            raise site.section.error(
                f"filters={need} expected before [iseg] with {options.classes} classes and "
                f"{options.ids} ids, got {have}"
            )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Squash the classes."""
        (x,) = inputs
        classes = self.options.classes
        return torch.cat([x[:, :classes].sigmoid(), x[:, classes:]], 1)

    def delta(
        self, inputs: Sequence[Tensor], output: Tensor, truth: Tensor, step: Step
    ) -> Delta | None:
        """C's l.delta."""
        return iseg_delta(output, truth, self.options.classes)

    def row(self) -> str:
        """As iseg_layer.c:make_iseg_layer prints it."""
        return "iseg"

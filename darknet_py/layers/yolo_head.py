"""What [yolo] and [Gaussian_yolo] share: anchors, masks, and the boxes worth a look."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from darknet_py.anchors import (
    YoloHeadOptions,
    check_yolo_head,
    count_anchors,
    read_anchors,
    read_mask,
)
from darknet_py.heads.cells import Likely, likely_cells
from darknet_py.hierarchy import read_named_map
from darknet_py.layers.base import Delta, Head, Shape, Site, Step, as_array
from darknet_py.losses.anchored import AnchorLoss


class YoloHead(Head):
    """A head with one box for each cell and anchor of its mask.

    Input `(batch, n entries, h, w)`: n anchors, each with `own_entries` values and the classes;
    the last of its own is the objectness.
    """

    options: YoloHeadOptions
    own_entries: ClassVar[int]
    Loss: ClassVar[type[AnchorLoss]]

    def __init__(self, options: YoloHeadOptions, site: Site) -> None:
        super().__init__(options, site)
        check_yolo_head(options, site.section)
        listed = count_anchors(options)
        self.anchors = read_anchors(site.section, options.anchors, listed)
        self.mask = read_mask(site.section, options.mask, options.num, listed)
        need, have = len(self.mask) * self.entries, site.need_image().channels
        if need != have:
            raise site.section.error(
                f"filters={need} expected before [{site.section.type}] with {len(self.mask)} masks "
                f"and {self.classes} classes, got {have}"
            )

    @property
    def entries(self) -> int:
        """Values of one box."""
        return self.own_entries + self.classes

    @cached_property
    def loss(self) -> AnchorLoss:
        """What training computes."""
        o = self.options
        class_map = read_named_map(self.section, o.map, o.classes)
        return self.Loss(o, self.anchors, self.mask, class_map, self.dialect)

    def delta(
        self, inputs: Sequence[Tensor], output: Tensor, truth: Tensor, step: Step
    ) -> Delta | None:
        """C's l.delta, times `delta_normalizer`."""
        delta = self.loss(output, truth, step, self.index)
        scale = self.options.delta_normalizer
        if scale != 1:
            delta.raw, delta.values = delta.values, delta.values * scale
        return delta

    def likely(self, output: Tensor, thresh: float) -> Likely:
        """The boxes of one sample whose objectness is above `thresh`.

        They are found where the output is, so that nothing else is copied from a GPU.
        """
        place, anchors = self.own_entries - 1, self.anchors[list(self.mask)]
        if output.device.type == "cpu":
            return likely_cells(as_array(output), anchors, place, thresh)
        return self.select(output, thresh)

    def select(self, output: Tensor, thresh: float) -> Likely:
        """The same by torch."""
        height, width = output.shape[-2:]
        values = output.reshape(len(self.mask), self.entries, -1).permute(2, 0, 1)
        cell, anchor = (values[..., self.own_entries - 1] > thresh).nonzero(as_tuple=True)
        found, numbers = as_array(values[cell, anchor]), cell.cpu().numpy()
        cells = np.stack([numbers % width, numbers // width], 1).astype(np.float32)
        sides = self.anchors[list(self.mask)][anchor.cpu().numpy()]
        return Likely(cells, found, sides, height, width)

    def by_cell(self, output: Tensor) -> Tensor:
        """The output as `(batch, h, w, n, entries)`."""
        sides = output.shape[2:]
        return output.reshape(-1, len(self.mask), self.entries, *sides).permute(0, 3, 4, 1, 2)

    def join_sides(self, centres: Tensor, scales: Tensor, image: Shape) -> Tensor:
        """Boxes of centres and of sides, these in multiples of the anchors, along the last axis."""
        anchors = torch.tensor(self.anchors[list(self.mask)]).to(scales)
        size = torch.stack(
            [
                scales[..., 0] * anchors[:, 0] / image.width,
                scales[..., 1] * anchors[:, 1] / image.height,
            ],
            -1,
        )
        return torch.cat([centres, size], -1)

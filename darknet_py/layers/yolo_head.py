"""What [yolo] and [Gaussian_yolo] share: anchors, masks, and the boxes worth a look."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from torch import Tensor

from darknet_py.anchors import (
    YoloHeadOptions,
    check_yolo_head,
    count_anchors,
    read_anchors,
    read_mask,
)
from darknet_py.layers.base import Head, Site


class YoloHead(Head):
    """A head with one box for each cell and anchor of its mask.

    Input `(batch, n entries, h, w)`: n anchors, each with `own_entries` values and the classes;
    the last of its own is the objectness.
    """

    options: YoloHeadOptions
    own_entries: ClassVar[int]

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

    def candidates(
        self, output: Tensor, thresh: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The boxes whose objectness is above `thresh`, cell by cell, the anchors inside.

        Returns:
            Cells `(k, 2)` as column and row, values `(k, entries)`, anchors `(k, 2)`; float32.
        """
        height, width = output.shape[-2:]
        values = output.reshape(len(self.mask), self.entries, height * width).permute(2, 0, 1)
        objectness = values[..., self.own_entries - 1]
        cell, anchor = (objectness > float(np.float32(thresh))).nonzero(as_tuple=True)
        found = values[cell, anchor].float().cpu().numpy()
        row, column = np.divmod(cell.cpu().numpy(), width)
        cells = np.stack([column, row], 1).astype(np.float32)
        return cells, found, self.anchors[list(self.mask)][anchor.cpu().numpy()]

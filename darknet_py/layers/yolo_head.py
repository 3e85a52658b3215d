"""What [yolo] and [Gaussian_yolo] share: anchors, masks, and the boxes worth a look."""

from __future__ import annotations

from typing import ClassVar

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

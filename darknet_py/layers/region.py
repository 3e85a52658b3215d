"""[region]: YOLOv2's detection head, and YOLO9000's with a class tree."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from darknet_py.anchors import check_counts, read_anchors
from darknet_py.boxes import Detections
from darknet_py.datafile import Tree
from darknet_py.heads.region import RegionDecoder, RegionOptions
from darknet_py.hierarchy import read_named_map, read_named_tree
from darknet_py.layers.base import Delta, Head, Shape, Site, Step, as_array, image, place
from darknet_py.losses.region import RegionLoss
from darknet_py.trees import multiply_paths, softmax_groups


class Region(Head):
    """One box for each cell and anchor.

    Input `(batch, num (coords + 1 + classes), h, w)`: for each anchor the coordinates,
    objectness and classes. The output holds the same values, squashed:

    - pjreddie: in the input's order, logistic on x, y and objectness, softmax or logistic
      on the classes (region_layer.c:forward_region_layer; with a tree that of the CUDA path).
    - AlexeyAB: each cell's anchors, each anchor's values in a row (`region_layout`); x and y
      stay raw until they are decoded, and without softmax the classes, too.

    Source: Redmon & Farhadi, "YOLO9000", 2016.
    """

    Options = RegionOptions
    options: RegionOptions

    def __init__(self, options: RegionOptions, site: Site) -> None:
        super().__init__(options, site)
        section = site.section
        check_counts(section, options.num, options.classes)
        if options.coords < 4:
            raise section.error(f"coords must be at least 4, got {options.coords}", "coords")
        self.anchors = read_anchors(section, options.anchors, options.num)
        self.interleaved = site.dialect.region_layout == "interleaved"
        self.tree = self._read_tree(options.tree)
        need, have = options.num * self.entries, site.need_image().channels
        if need != have:
            raise section.error(
                f"filters={need} expected before [region] with num={options.num}, "
                f"coords={options.coords} and {options.classes} classes, got {have}"
            )

    def _read_tree(self, name: str | None) -> Tree | None:
        tree = read_named_tree(self.section, name)
        if tree is not None and len(tree) != self.classes:
            raise self.section.error(
                f"tree={name} holds {len(tree)} classes, but classes={self.classes}", "tree"
            )
        return tree

    @property
    def entries(self) -> int:
        """Values of one box."""
        return self.options.coords + 1 + self.classes

    def forward(self, *inputs: Tensor) -> Tensor:
        """Squash."""
        x = image(inputs[0])
        values = x.reshape(x.shape[0], self.options.num, self.entries, *x.shape[2:])
        squashed = self._squash_raw(values) if self.interleaved else self._squash(values)
        if self.interleaved:
            squashed = squashed.permute(0, 3, 4, 1, 2)
        return squashed.reshape(x.shape)

    def _squash(self, values: Tensor) -> Tensor:
        """`(batch, num, entries, h, w)` as pjreddie squashes them."""
        o, split = self.options, self.options.coords + 1
        coordinates, objectness, classes = values.tensor_split((split - 1, split), 2)
        coordinates = torch.cat([coordinates[:, :, :2].sigmoid(), coordinates[:, :, 2:]], 2)
        if self.tree is not None:
            classes = self._softmax_groups(classes)
        elif o.softmax and o.background:
            scores = values[:, :, split - 1 :].softmax(2)
            return torch.cat([coordinates, scores], 2)
        else:
            classes = classes.softmax(2) if o.softmax else classes.sigmoid()
        if not o.background:
            objectness = objectness.sigmoid()
        return torch.cat([coordinates, objectness, classes], 2)

    def _squash_raw(self, values: Tensor) -> Tensor:
        """`(batch, num, entries, h, w)` as AlexeyAB squashes them.

        PARITY: objectness is entry 4 and the classes start at 5, whatever `coords` says
        (C: region_layer.c:forward_region_layer).
        """
        coordinates, objectness, classes = values.tensor_split((4, 5), 2)
        scores, rest = classes[:, :, : self.classes], classes[:, :, self.classes :]
        if self.tree is not None:
            scores = self._softmax_groups(scores)
        elif self.options.softmax:
            scores = scores.softmax(2)
        return torch.cat([coordinates, objectness.sigmoid(), scores, rest], 2)

    def _softmax_groups(self, classes: Tensor) -> Tensor:
        assert self.tree is not None
        return softmax_groups(classes.movedim(2, -1), self.tree).movedim(-1, 2)

    @cached_property
    def loss(self) -> RegionLoss:
        """What training computes."""
        o = self.options
        class_map = read_named_map(self.section, o.map, o.classes)
        return RegionLoss(o, self.anchors, self.tree, class_map, self.dialect)

    def delta(
        self, inputs: Sequence[Tensor], output: Tensor, truth: Tensor, step: Step
    ) -> Delta | None:
        """C's l.delta; pjreddie's times the logistic function's gradient, as his GPU code."""
        return self.loss(output, truth, step)

    def decode(
        self,
        output: Tensor,
        image: Shape,
        thresh: float,
        hier: float,
        class_map: Sequence[int] | None = None,
    ) -> Detections:
        """All boxes; those of low objectness have no scores (heads/region.py)."""
        decoder = RegionDecoder(self.options, self.anchors, self.tree, self.interleaved)
        near = output.device.type == "cpu"
        values = as_array(output) if near else self.copy_likely(output, thresh)
        return decoder.decode(values, thresh, hier, class_map)

    def copy_likely(self, output: Tensor, thresh: float) -> np.ndarray:
        """The output of one sample on numpy, the classes of boxes of low objectness as zeros.

        Those have no scores anyway, and are most of what a GPU would have to send.
        """
        o, objectness = self.options, 4 if self.interleaved else self.options.coords
        unbounded = self.interleaved and self.tree is None and not o.softmax
        if o.background or unbounded:  # any class may be scored
            return as_array(output)
        if self.interleaved:
            rows = output.reshape(1, -1, self.entries)
        else:
            rows = output.reshape(o.num, self.entries, -1).permute(0, 2, 1)
        first = objectness + 1
        likely = (rows[..., objectness] > float(np.float32(thresh))).nonzero(as_tuple=True)
        found = np.zeros(rows.shape, np.float32)
        found[..., :first] = as_array(rows[..., :first])
        found[tuple(index.cpu().numpy() for index in likely)] = as_array(rows[likely])
        found = found if self.interleaved else found.transpose(0, 2, 1)
        return found.reshape(tuple(output.shape))

    def dense(self, output: Tensor, image: Shape) -> tuple[Tensor, Tensor, Tensor]:
        """Every box; with a tree, each class scored with the product of its path's shares."""
        num, sides, o = self.options.num, output.shape[2:], self.options
        if self.interleaved:
            found = output.reshape(-1, *sides, num, self.entries)
            centres, objectness = place(found[..., :2].sigmoid()), found[..., 4]
            classes = found[..., 5 : 5 + self.classes]
            if o.classfix == -1:
                objectness = torch.where(objectness < 0.5, 0.0, objectness)
        else:
            found = output.reshape(-1, num, self.entries, *sides).permute(0, 3, 4, 1, 2)
            centres, objectness = place(found[..., :2]), found[..., o.coords]
            first = o.coords + (not o.background or self.tree is None)
            classes = found[..., first : first + self.classes]
            if o.background:
                objectness = torch.ones_like(objectness)
        if self.tree is not None:
            classes = multiply_paths(classes, self.tree)
        anchors = torch.tensor(self.anchors).to(found)
        size = torch.stack(
            [
                found[..., 2].exp() * anchors[:, 0] / sides[1],
                found[..., 3].exp() * anchors[:, 1] / sides[0],
            ],
            -1,
        )
        boxes = torch.cat([centres, size], -1)
        scores = objectness.unsqueeze(-1) * classes
        if not self.interleaved:
            boxes, scores = (part.permute(0, 3, 1, 2, 4) for part in (boxes, scores))
            objectness = objectness.permute(0, 3, 1, 2)
        return boxes.flatten(1, 3), objectness.flatten(1, 3), scores.flatten(1, 3)

    def row(self) -> str:
        """As region_layer.c:make_region_layer prints it."""
        return "detection"

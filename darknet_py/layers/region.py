"""[region]: YOLOv2's detection head, and YOLO9000's with a class tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from darknet_py.anchors import above, check_counts, read_anchors
from darknet_py.boxes import Detections
from darknet_py.datafile import Tree
from darknet_py.hierarchy import multiply_down, read_named_tree, walk_down
from darknet_py.layers.base import Head, Shape, Site, image
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class RegionOptions(LayerOptions):
    """Keys of [region] (C: parser.c:parse_region)."""

    coords: int = key("numbers that place a box: 4, those above are a mask", 4)
    classes: int = key("how many classes each box is scored for", 20)
    num: int = key("anchors", 1)
    anchors: tuple[float, ...] = key(
        "width,height of each anchor in cells; missing ones are 0.5", ()
    )
    softmax: bool = key("softmax over a box's classes", False)
    background: bool = key(
        "the objectness is the class of background, in the softmax", False, only="pjreddie"
    )
    tree: str | None = key("the .tree file of the classes: a softmax for each group", None)
    map: str | None = key("training: .map file from the labels' classes to the tree's", None)
    log: bool = key("read, and without effect in both forks", False)
    sqrt: bool = key("read, and without effect in both forks", False)
    max: int = key("the most boxes of one image that training looks at", 30, alexeyab=200)
    jitter: float = key("training: how far crops wander, as a part of the image", 0.2)
    resize: float = key("training: the range of the random zoom", 1.0, only="alexeyab")
    focal_loss: bool = key("training: focal loss of the classes", False, only="alexeyab")
    rescore: bool = key("training: objectness is taught the IoU", False)
    thresh: float = key(
        "training: a box that overlaps a truth by more is not taught to be background", 0.5
    )
    classfix: int = key("training: without a tree, -1 drops boxes below one half (AlexeyAB)", 0)
    absolute: bool = key("read, and without effect in both forks", False)
    random: float = key("training: change the network's size now and then", 0.0)
    coord_scale: float = key("training: weight of the box loss", 1.0)
    object_scale: float = key("training: weight of the objectness of objects", 1.0)
    noobject_scale: float = key("training: weight of the objectness of background", 1.0)
    mask_scale: float = key("training: weight of the mask loss", 1.0)
    class_scale: float = key("training: weight of the class loss", 1.0)
    bias_match: bool = key("training: anchors are matched by their own sides", False)


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
        values = x.reshape(len(x), self.options.num, self.entries, *x.shape[2:])
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
        sizes = [size for _, size in self.tree.groups]
        return torch.cat([group.softmax(2) for group in torch.split(classes, sizes, 2)], 2)

    @np.errstate(over="ignore", invalid="ignore")
    def decode(
        self,
        output: Tensor,
        image: Shape,
        thresh: float,
        hier: float,
        class_map: Sequence[int] | None = None,
    ) -> Detections:
        """All boxes; those whose objectness is not above `thresh` have no scores.

        In pjreddie's order the anchor comes first, then the cell; in AlexeyAB's the cell. With a
        tree a box gets the class that the walk down it ends in, or with `class_map` the score of
        each class in it (C: region_layer.c:get_region_detections, get_region_boxes).
        """
        height, width = output.shape[-2:]
        cells, num = height * width, self.options.num
        if self.interleaved:
            values = output.reshape(cells * num, self.entries)
        else:
            values = output.reshape(num, self.entries, cells).transpose(1, 2)
            values = values.reshape(cells * num, self.entries)
        found = values.float().cpu().numpy()
        index = np.arange(cells * num)
        cell, anchor = (
            (index // num, index % num) if self.interleaved else (index % cells, index // cells)
        )
        xy = found[:, :2].astype(np.float64)
        with np.errstate(over="ignore"):
            if self.interleaved:
                xy = 1 / (1 + np.exp(-xy))
            boxes = np.empty((cells * num, 4), np.float32)
            boxes[:, 0] = (cell % width + xy[:, 0].astype(np.float32)) / width
            boxes[:, 1] = (cell // width + xy[:, 1].astype(np.float32)) / height
            boxes[:, 2:] = np.exp(found[:, 2:4].astype(np.float64)) * self.anchors[anchor]
            boxes[:, 2:] /= (width, height)
        if self.interleaved:
            return self._score_raw(boxes, found, thresh, class_map)
        return self._score(boxes, found, thresh, hier, class_map)

    def _score(
        self,
        boxes: np.ndarray,
        found: np.ndarray,
        thresh: float,
        hier: float,
        class_map: Sequence[int] | None,
    ) -> Detections:
        """As region_layer.c:get_region_detections of pjreddie scores the boxes."""
        coords, background = self.options.coords, self.options.background
        scale = np.ones(len(found), np.float32) if background else found[:, coords]
        objectness = above(scale, thresh)
        if self.tree is None:
            # PARITY: the classes are taken from behind the objectness, with `background` too.
            scores = above(scale[:, None] * found[:, coords + 1 :], thresh)
            scores[objectness == 0] = 0
            return Detections(boxes, objectness, scores)
        predictions = found[:, coords + (not background) :].copy()
        multiply_down(predictions, self.tree)
        if class_map is not None:
            return Detections(
                boxes, objectness, self._mapped(predictions, scale, class_map, thresh)
            )
        scores = np.zeros((len(found), self.classes), np.float32)
        for i in np.flatnonzero(objectness):
            # PARITY: the class gets the box's objectness, not its own probability, and the walk
            # multiplies probabilities that are products already (C: tree.c).
            scores[i, walk_down(predictions[i], self.tree, hier)] = objectness[i]
        return Detections(boxes, objectness, scores)

    def _score_raw(
        self,
        boxes: np.ndarray,
        found: np.ndarray,
        thresh: float,
        class_map: Sequence[int] | None,
    ) -> Detections:
        """As region_layer.c:get_region_boxes of AlexeyAB scores the boxes."""
        scale = found[:, 4]
        if self.options.classfix == -1:
            scale = np.where(scale < 0.5, np.float32(0), scale)
        # PARITY: every box gets objectness 1 (C: network.c:custom_get_region_detections).
        objectness = np.ones(len(found), np.float32)
        predictions = found[:, 5 : 5 + self.classes]
        if self.tree is None:
            return Detections(boxes, objectness, above(scale[:, None] * predictions, thresh))
        predictions = predictions.copy()
        multiply_down(predictions, self.tree)
        if class_map is not None:
            return Detections(
                boxes, objectness, self._mapped(predictions, scale, class_map, thresh)
            )
        # PARITY: the last class above one half is chosen, with its own probability
        # (C: region_layer.c:get_region_boxes).
        scores = np.zeros((len(found), self.classes), np.float32)
        likely = predictions > 0.5
        last = self.classes - 1 - likely[:, ::-1].argmax(1)
        chosen = np.flatnonzero(likely.any(1) & (scale > np.float32(thresh)))
        scores[chosen, last[chosen]] = predictions[chosen, last[chosen]]
        return Detections(boxes, objectness, scores)

    def _mapped(
        self, predictions: np.ndarray, scale: np.ndarray, class_map: Sequence[int], thresh: float
    ) -> np.ndarray:
        # PARITY: no more than 200 classes of a map are scored (C: region_layer.c).
        used = list(class_map[:200])
        scores = np.zeros((len(predictions), max(self.classes, len(used))), np.float32)
        scores[:, : len(used)] = above(scale[:, None] * predictions[:, used], thresh)
        return scores

    def row(self) -> str:
        """As region_layer.c:make_region_layer prints it."""
        return "detection"

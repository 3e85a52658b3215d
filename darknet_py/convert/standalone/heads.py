"""The heads a standalone file may hold: plain torch modules, as those in `parts.py`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Yolo(nn.Module):
    """YOLOv3's head: squashes the raw map, as Darknet's [yolo] gives it.

    Input and output `(batch, anchors * (5 + classes), h, w)`: for each anchor x, y, w, h,
    objectness and classes. A box in pixels: centre `(column + x, row + y) * stride`, sides
    `exp(w, h) * anchor`, or with `new_coords` `4 (w, h)^2 * anchor`.
    """

    def __init__(
        self,
        anchors: Sequence[tuple[float, float]],
        classes: int,
        *,
        scale_x_y: float = 1.0,
        new_coords: bool = False,
    ) -> None:
        super().__init__()
        self.anchors, self.classes = anchors, classes
        self.scale_x_y, self.new_coords = scale_x_y, new_coords

    def forward(self, x: Tensor) -> Tensor:
        """Squash, and stretch the centre."""
        values = torch.unflatten(x, 1, (len(self.anchors), 5 + self.classes))
        xy, wh, scores = values[:, :, :2], values[:, :, 2:4], values[:, :, 4:]
        if not self.new_coords:
            xy, scores = xy.sigmoid(), scores.sigmoid()
        xy = xy * self.scale_x_y - 0.5 * (self.scale_x_y - 1)
        return torch.cat([xy, wh, scores], 2).flatten(1, 2)


class GaussianYolo(nn.Module):
    """YOLOv3's head with the deviation of each coordinate (Choi et al. 2019).

    Input and output `(batch, anchors * (9 + classes), h, w)`: for each anchor x, sx, y, sy, w,
    sw, h, sh, objectness and classes.
    """

    def __init__(
        self, anchors: Sequence[tuple[float, float]], classes: int, *, scale_x_y: float = 1.0
    ) -> None:
        super().__init__()
        self.anchors, self.classes, self.scale_x_y = anchors, classes, scale_x_y

    def forward(self, x: Tensor) -> Tensor:
        """Squash all but w and h, and stretch the centre."""
        raw = torch.unflatten(x, 1, (len(self.anchors), 9 + self.classes))
        x, sx, y, sy, _, sw, _, sh, scores = raw.sigmoid().tensor_split(list(range(1, 9)), 2)
        x, y = (part * self.scale_x_y - 0.5 * (self.scale_x_y - 1) for part in (x, y))
        w, h = raw[:, :, 4:5], raw[:, :, 6:7]
        return torch.cat([x, sx, y, sy, w, sw, h, sh, scores], 2).flatten(1, 2)


class Region(nn.Module):
    """YOLOv2's head, in the order of pjreddie's Darknet: the input's.

    Input and output `(batch, anchors * (coords + 1 + classes), h, w)`: for each anchor x, y, w, h,
    objectness and classes. A box in cells: centre `(column + x, row + y)`, sides
    `exp(w, h) * anchor`. `groups`: the sizes of a class tree's groups, each with its own softmax.
    """

    def __init__(
        self,
        anchors: Sequence[tuple[float, float]],
        classes: int,
        *,
        coords: int = 4,
        softmax: bool = True,
        groups: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.anchors, self.classes, self.coords = anchors, classes, coords
        self.softmax, self.groups = softmax, list(groups) or [classes]

    def forward(self, x: Tensor) -> Tensor:
        """Squash."""
        x = torch.unflatten(x, 1, (len(self.anchors), self.coords + 1 + self.classes))
        split = [2, self.coords - 2, 1, self.classes]
        xy, rest, objectness, classes = torch.split(x, split, 2)
        if self.softmax:
            classes = torch.cat(
                [part.softmax(2) for part in torch.split(classes, self.groups, 2)], 2
            )
        else:
            classes = classes.sigmoid()
        return torch.cat([xy.sigmoid(), rest, objectness.sigmoid(), classes], 2).flatten(1, 2)


class RegionByCell(nn.Module):
    """YOLOv2's head, in the order of AlexeyAB's Darknet: each cell's anchors in a row.

    Input `(batch, anchors * (5 + classes), h, w)`; the output has that shape, but holds
    `(batch, h, w, anchors, 5 + classes)`: raw x, y, w, h, then objectness and classes. A box in
    cells: centre `(column + sigmoid(x), row + sigmoid(y))`, sides `exp(w, h) * anchor`.
    `groups`: the sizes of a class tree's groups, each with its own softmax.
    """

    def __init__(
        self,
        anchors: Sequence[tuple[float, float]],
        classes: int,
        *,
        softmax: bool = True,
        groups: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.anchors, self.classes = anchors, classes
        self.softmax, self.groups = softmax, list(groups) or [classes]

    def forward(self, x: Tensor) -> Tensor:
        """Squash and reorder."""
        values = torch.unflatten(x, 1, (len(self.anchors), 5 + self.classes))
        box, objectness, classes = torch.split(values, [4, 1, self.classes], 2)
        if self.softmax:
            classes = torch.cat(
                [part.softmax(2) for part in torch.split(classes, self.groups, 2)], 2
            )
        values = torch.cat([box, objectness.sigmoid(), classes], 2)
        return values.permute(0, 3, 4, 1, 2).reshape(x.shape)


class TreeSoftmax(nn.Module):
    """A softmax for each group of a class tree, `groups` being their sizes; zeros behind them."""

    def __init__(self, groups: Sequence[int], temperature: float = 1.0) -> None:
        super().__init__()
        self.groups, self.temperature = list(groups), temperature

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, n)` to `(batch, n)`."""
        x = x.flatten(1) / self.temperature
        beyond = x.shape[1] - sum(self.groups)
        parts = torch.split(x, [*self.groups, beyond], 1)
        return torch.cat([*(part.softmax(1) for part in parts[:-1]), parts[-1] * 0], 1)

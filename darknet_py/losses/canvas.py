"""The working copy of a YOLO head's loss: outputs, deltas and boxes of a mini-batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Cells:
    """Some boxes of a mini-batch, one in a row: where they stand, what they give and learn."""

    where: tuple[Tensor, Tensor, Tensor, Tensor]
    """Image, anchor of the mask, row and column of each."""
    out: Tensor
    """(k, entries) of the output."""
    delta: Tensor
    """(k, entries), to be changed and put back."""


@dataclass
class Canvas:
    """A head's output `(batch, n, entries, h, w)` and the delta that grows beside it."""

    out: Tensor
    delta: Tensor
    boxes: Tensor
    """(4, batch, n, h, w): the boxes predicted, cxcywh relative to the image."""
    touched: Tensor
    """(batch, n, h, w): whether the box or the classes have been taught."""
    sums: dict[str, Tensor] = field(default_factory=dict)
    """Figures added up."""

    def take(self, where: tuple[Tensor, ...]) -> Cells:
        """Copies of the boxes at (image, anchor, row, column)."""
        image, anchor, row, column = where
        out = self.out[image, anchor, :, row, column]
        return Cells((image, anchor, row, column), out, self.delta[image, anchor, :, row, column])

    def put(self, cells: Cells) -> None:
        """Their deltas, back in place; they count as touched."""
        image, anchor, row, column = cells.where
        self.delta[image, anchor, :, row, column] = cells.delta
        self.touched[image, anchor, row, column] = True

    def add(self, name: str, values: Tensor) -> None:
        """Add all `values` to a figure."""
        total = values.sum(dtype=torch.float32)
        self.sums[name] = self.sums[name] + total if name in self.sums else total

    def figures(self, *names: str) -> list[float]:
        """The sums of these names, 0 where nothing was added; one transfer from a GPU."""
        zero = self.out.new_zeros((), dtype=torch.float32)
        found = torch.stack([self.sums.get(name, zero) for name in names]).tolist()
        return [float(value) for value in found]


def squared(values: Tensor) -> Tensor:
    """The sum of the squares (C: mag_array, squared)."""
    row = values.reshape(-1)
    return row @ row

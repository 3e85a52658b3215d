"""Which box learns which object, and how well they overlap."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Overlap:
    """How well some boxes overlap their objects; `shown` is the measure that C prints."""

    shown: Tensor
    giou: Tensor


@dataclass(frozen=True)
class Lesson:
    """Objects and the cells that learn them, one in a row."""

    box: Tensor
    """(k, 4) of the object."""
    number: Tensor
    """(k,) its class in the head."""
    cell: Tensor
    """(k, 2) column and row that the box is told from."""
    anchor: Tensor
    """(k, 2) sides of the anchor, in pixels of the network's input."""
    weight: Tensor | None
    """(k,) the class's multiplier."""

    def of(self, rows: Tensor) -> Lesson:
        """Some of them."""
        weight = None if self.weight is None else self.weight[rows]
        return Lesson(self.box[rows], self.number[rows], self.cell[rows], self.anchor[rows], weight)

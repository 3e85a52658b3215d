"""What the readers of both YOLO heads share: the boxes worth a look."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Likely(NamedTuple):
    """The k boxes of one sample that are worth a look, in C's order; float32 but for the sides."""

    cells: np.ndarray
    """`(k, 2)`, column and row."""
    values: np.ndarray
    """`(k, entries)`."""
    anchors: np.ndarray
    """`(k, 2)`."""
    height: int
    """Of the map, in cells."""
    width: int


def likely_cells(output: np.ndarray, anchors: np.ndarray, place: int, thresh: float) -> Likely:
    """The boxes whose objectness is above `thresh`, cell by cell, the anchors inside.

    Args:
        output: of one sample, `(n entries, h, w)`: one box for each of n anchors and each cell.
        anchors: `(n, 2)`.
        place: of the objectness among the entries.
        thresh: of the objectness.
    """
    height, width = output.shape[-2:]
    values = output.reshape(len(anchors), -1, height * width).transpose(2, 0, 1)
    cell, anchor = (values[..., place] > np.float32(thresh)).nonzero()
    row, column = np.divmod(cell, width)
    cells = np.stack([column, row], 1).astype(np.float32)
    return Likely(cells, values[cell, anchor].astype(np.float32), anchors[anchor], height, width)

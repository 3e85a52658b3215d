"""What the readers of both YOLO heads share: the boxes worth a look."""

from __future__ import annotations

import numpy as np


def likely_cells(
    output: np.ndarray, anchors: np.ndarray, place: int, thresh: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The boxes whose objectness is above `thresh`, cell by cell, the anchors inside.

    Args:
        output: of one sample, `(n entries, h, w)`: one box for each of n anchors and each cell.
        anchors: `(n, 2)`.
        place: of the objectness among the entries.
        thresh: of the objectness.

    Returns:
        Cells `(k, 2)` as column and row, values `(k, entries)`, anchors `(k, 2)`; float32.
    """
    height, width = output.shape[-2:]
    values = output.reshape(len(anchors), -1, height * width).transpose(2, 0, 1)
    cell, anchor = (values[..., place] > np.float32(thresh)).nonzero()
    row, column = np.divmod(cell, width)
    cells = np.stack([column, row], 1).astype(np.float32)
    return cells, values[cell, anchor].astype(np.float32), anchors[anchor]

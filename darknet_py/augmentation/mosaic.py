"""Four pictures in one, and two in one: AlexeyAB's mosaic and mixup with their boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from darknet_py.augmentation import draws
from darknet_py.augmentation.windows import Window

LEAST_QUARTER = 0.2
"""The least part of each side that a quarter of a mosaic takes."""


def draw_cut(random: np.random.Generator, width: int, height: int) -> tuple[int, int]:
    """Where the four quarters meet."""
    low, high = LEAST_QUARTER, 1 - LEAST_QUARTER
    x = draws.whole(random, int(width * low), int(width * high))
    return x, draws.whole(random, int(height * low), int(height * high))


@dataclass(frozen=True)
class Quarter:
    """Where a part of one picture goes in a mosaic of `width` x `height`.

    `index` counts 0 top left, 1 top right, 2 bottom left, 3 bottom right. `shifts` are the
    pixels of colour at the left, right, top and bottom of the picture that are left out.
    """

    index: int
    cut: tuple[int, int]
    width: int
    height: int
    shifts: tuple[int, int, int, int] = (0, 0, 0, 0)

    @classmethod
    def of(
        cls,
        index: int,
        cut: tuple[int, int],
        size: tuple[int, int],
        window: Window,
        sides: tuple[int, int],
    ) -> Quarter:
        """For a picture of `sides` (width, height) that was cut by `window`."""
        (x, y), (width, height) = cut, size

        def shift(beyond: int, pixels: int, side: int, most: int) -> int:
            return min(most, max(0, int(-beyond * pixels / side)))

        return cls(index, cut, width, height, (
            shift(window.left, width, sides[0], x),
            shift(window.right, width, sides[0], width - x),
            shift(window.top, height, sides[1], y),
            shift(window.bottom, height, sides[1], height - y),
        ))  # fmt: skip

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """Left, right, top and bottom of the quarter in the mosaic."""
        x, y = self.cut
        left, right = (x, self.width) if self.index % 2 else (0, x)
        top, bottom = (y, self.height) if self.index >= 2 else (0, y)
        return left, right, top, bottom

    @property
    def offset(self) -> tuple[int, int]:
        """How far the picture moves to the right and down."""
        (x, y), (left, right, top, bottom) = self.cut, self.shifts
        across = x - left if self.index % 2 else x + right - self.width
        down = y - top if self.index >= 2 else y + bottom - self.height
        return across, down

    def paste(self, image: np.ndarray, mosaic: np.ndarray) -> None:
        """Copy the quarter's part of `image` into `mosaic`, both (height, width, channels)."""
        (left, right, top, bottom), (across, down) = self.bounds, self.offset
        mosaic[top:bottom, left:right] = image[
            top - down : bottom - down, left - across : right - across
        ]

    def add_boxes(self, truth: np.ndarray, boxes: np.ndarray, *, bound: bool) -> None:
        """Append the boxes (rows of a truth) to `truth`, moved and cut at the edges.

        `bound`: cut at the quarter's edges, else at the mosaic's. PARITY: rows lose their track,
        and room in `truth` is counted before boxes are left out (C: data.c:blend_truth_mosaic).
        """
        start = count_rows(truth)
        rows = boxes[: min(count_rows(boxes), len(truth) - start)]
        sides = np.array([self.width, self.height], np.float32)
        centres = rows[:, :2] + np.array(self.offset, np.float32) / sides
        size = rows[:, 2:4]
        low, high = _edges(centres, size, sides)
        if bound:
            left, right, top, bottom = self.bounds
            low = np.maximum(low, [left, top])
            high = np.minimum(high, [right, bottom])
            centres, size = (low + high) / 2 / sides, (high - low) / sides
        else:
            under = np.minimum(low, 0) / sides
            over = np.maximum(high - sides, 0) / sides
            centres, size = centres - under / 2 - over / 2, size + under - over
            low, high = _edges(centres, size, sides)
        kept = np.concatenate(
            [low >= 0, high <= sides, size > 1 / sides, size < 1, centres > 0, centres < 1], 1
        ).all(1)
        end = start + int(kept.sum())
        truth[start:end, :4] = np.concatenate([centres, size], 1)[kept]
        truth[start:end, 4] = rows[kept, 4]


def _edges(
    centres: np.ndarray, size: np.ndarray, sides: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The low and high edges in whole pixels, cut towards 0."""
    return np.trunc((centres - size / 2) * sides), np.trunc((centres + size / 2) * sides)


def count_rows(truth: np.ndarray) -> int:
    """How many rows hold a box: those before the first whose x is 0."""
    empty = np.flatnonzero(truth[:, 0] == 0)
    return int(empty[0]) if len(empty) else len(truth)


def append_boxes(truth: np.ndarray, boxes: np.ndarray) -> None:
    """Append boxes (rows of a truth) to `truth`, without their tracks. C: data.c:blend_truth."""
    start = count_rows(truth)
    count = min(count_rows(boxes), len(truth) - start)
    truth[start : start + count, :5] = boxes[:count, :5]

"""C's way to resize a picture, in blocks of rows that stay in the cache."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from darknet_py.threads import count_threads

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

BLOCK = 24
"""Rows of the result that are made at once."""
PARALLEL = 200_000
"""From so many values on, two threads share the work."""

_pool: ThreadPoolExecutor | None = None


def stretch(image: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` with `image` stretched to its size: bilinear between aligned corners.

    There is no antialiasing. Across comes first, as in C, so that every bit is C's
    (C: image.c:resize_image).

    Args:
        image: `(height, width, channels)`, float32, or uint8, which counts in 255ths.
        out: float32 `(height, width, channels)`; a window of a larger picture will do.
    """
    work = _Stretch(image, out)
    height = len(out)
    if out.size < PARALLEL or height < 2 * BLOCK or count_threads() < 2:
        work.rows(0, height)
        return
    half = _shared_pool().submit(work.rows, height // 2, height)
    work.rows(0, height // 2)
    half.result()


class _Stretch:
    """What the blocks of one picture share."""

    def __init__(self, image: np.ndarray, out: np.ndarray) -> None:
        self.image, self.out = image, out
        old_height, old_width, channels = image.shape
        height, width = out.shape[:2]
        self.column, right = positions(old_width, width)
        self.column[-1], right[-1] = old_width - 1, 0
        self.next = np.minimum(self.column + 1, old_width - 1)
        self.right = np.repeat(right, channels)
        self.left = 1 - self.right
        self.row, self.below = positions(old_height, height)
        if height == 1:  # C reads before the picture's start
            self.row[-1], self.below[-1] = old_height - 1, 0
        self.next_row = np.minimum(self.row + 1, old_height - 1)
        self.sparse = 4 * height < old_height  # few of the rows are ever read

    def rows(self, start: int, end: int) -> None:
        """Make the rows from `start` to before `end`."""
        _, width, channels = self.out.shape
        values = width * channels
        tallest = 0
        upper, lower = np.empty((2, BLOCK, values), np.float32)
        for first in range(start, end, BLOCK):
            last = min(first + BLOCK, end)
            source, row, next_row = self._source(first, last)
            if len(source) > tallest:
                tallest = len(source)
                part, beyond = np.empty((2, tallest, width, channels), np.float32)
                picked = np.empty(part.shape, source.dtype)
            count = last - first
            across = self._across(source, part[: len(source)], beyond, picked)
            above = np.take(across, row, 0, out=upper[:count], mode="clip")
            above *= (1 - self.below[first:last])[:, None]
            below = np.take(across, next_row, 0, out=lower[:count], mode="clip")
            below *= self.below[first:last, None]
            if last == len(self.out):
                # PARITY: the last row gets only its upper neighbour's share: where rounding puts it
                # just short of the last source row it turns out black (C: image.c:resize_image).
                below[-1] = 0
            shape = (count, width, channels)
            np.add(above.reshape(shape), below.reshape(shape), out=self.out[first:last])

    def _source(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The source rows that a block reads, and where among them each of its rows lies."""
        row, next_row = self.row[first:last], self.next_row[first:last]
        if self.sparse:
            needed = np.concatenate((row, next_row))
            count = len(row)
            return self.image[needed], np.arange(count), np.arange(count, 2 * count)
        top = row[0]
        return self.image[top : next_row[-1] + 1], row - top, next_row - top

    def _across(
        self, source: np.ndarray, part: np.ndarray, beyond: np.ndarray, picked: np.ndarray
    ) -> np.ndarray:
        """`source` stretched in width, in the room of `part`; `beyond`, `picked` are scratch."""
        count = len(source)
        beyond, picked = beyond[:count], picked[:count]
        for column, room in ((self.column, part), (self.next, beyond)):
            if source.dtype == np.float32:
                np.take(source, column, 1, out=room, mode="clip")
            else:
                np.take(source, column, 1, out=picked, mode="clip")
                np.divide(picked, np.float32(255), out=room, dtype=np.float32)
        left, right = part.reshape(count, -1), beyond.reshape(count, -1)
        left *= self.left
        right *= self.right
        left += right
        return left


def positions(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """For each new pixel the old one at or before it, and how far it lies beyond that."""
    scale = np.float32(old - 1) / np.float32(max(new - 1, 1))
    position = np.arange(new, dtype=np.float32) * scale
    whole = position.astype(np.int64)
    return whole, position - whole.astype(np.float32)


def _shared_pool() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        from concurrent.futures import ThreadPoolExecutor  # it takes milliseconds to import

        _pool = ThreadPoolExecutor(1, "resize")
    return _pool


def _forget_pool() -> None:
    """A child process has none of its parent's threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)

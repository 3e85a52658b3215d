"""The window where a box is dragged, and where is chosen what shall be found in it.

C: AlexeyAB's image_opencv.cpp:cv_draw_object.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from darknet_py.errors import DarknetError

if TYPE_CHECKING:
    import numpy as np

    from darknet_py.draw_object import Wish
    from darknet_py.video import Window

ESCAPE = 27
PAUSE = 20
"""Milliseconds between two looks at the window."""
ITERATIONS, RATE, CLASS, ONLY = "iterations", "learning_rate exp", "class_id", "box-only"
"""The sliders, as C names them."""
FRAME = (150, 200, 150)


@dataclass
class Pointer:
    """What the mouse has marked, in pixels of the frame."""

    start: tuple[int, int] = (0, 0)
    end: tuple[int, int] = (0, 0)
    held: bool = False
    done: bool = False
    """Whether the button was let go."""

    def hear(self, what: str, x: int, y: int) -> None:
        """The mouse went "down", "up" or did "move"."""
        if what == "down":
            self.start, self.held, self.done = (x, y), True, False
        self.end = x, y
        if what == "up" and self.held:
            self.held, self.done = False, True

    def edges(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom inside a frame, whichever way the mouse went."""
        (left, right), (top, bottom) = (
            sorted(min(max(place, 0), side) for place in places)
            for *places, side in zip(self.start, self.end, (width, height), strict=True)
        )
        return left, top, right, bottom


def ask_wish(window: Window, picture: np.ndarray, names: Sequence[str], wish: Wish) -> Wish:
    """What the user wishes; Esc: that nothing is found.

    Args:
        window: an open one.
        picture: uint8 RGB, of the network's size.
        names: of the classes.
        wish: what the sliders show first.

    Raises:
        DarknetError: the window was closed.
    """
    from darknet_py.draw import draw_lines

    exponent = round(-math.log2(wish.rate))
    first = min(max(exponent, 0), 20)
    window.show(picture)
    window.add_slider(ITERATIONS, wish.iterations, max(wish.iterations, 1000))
    window.add_slider(RATE, first, max(first, 20))
    if len(names) > 1:
        window.add_slider(CLASS, wish.number, len(names) - 1)
    window.add_slider(ONLY, int(wish.box_only), 1)
    pointer = Pointer()
    window.hear_mouse(pointer.hear)
    while True:
        chosen = _read(window, names, wish, first)
        text = [f"learning_rate = {chosen.rate:g}", names[chosen.number]]
        shown = draw_lines(picture, text)
        if pointer.held:
            _draw_box(shown, pointer)
        if window.show(shown, PAUSE) == ESCAPE:
            return replace(chosen, box=None)
        if not window.is_open:
            raise DarknetError("the window was closed before a box was marked")
        box = _relative(pointer, picture.shape)
        if pointer.done and min(box[2:]) > 0:  # a click marks nothing
            return replace(chosen, box=box)


def _read(window: Window, names: Sequence[str], wish: Wish, first: int) -> Wish:
    """What the sliders say; one for the rate that nobody moved leaves it as it is."""
    exponent = window.slider(RATE)
    return replace(
        wish,
        iterations=max(window.slider(ITERATIONS), 1),
        rate=wish.rate if exponent == first else 2.0**-exponent,
        number=window.slider(CLASS) if len(names) > 1 else 0,
        box_only=bool(window.slider(ONLY)),
    )


def _relative(pointer: Pointer, size: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Centre, width and height relative to a frame of `size` (height, width)."""
    height, width = size[:2]
    left, top, right, bottom = pointer.edges(width, height)
    return (
        (left + right) / 2 / width,
        (top + bottom) / 2 / height,
        (right - left) / width,
        (bottom - top) / height,
    )


def _draw_box(picture: np.ndarray, pointer: Pointer) -> None:
    height, width = picture.shape[:2]
    left, top, right, bottom = pointer.edges(width - 1, height - 1)
    picture[[top, bottom], left : right + 1] = FRAME[: picture.shape[2]]
    picture[top : bottom + 1, [left, right]] = FRAME[: picture.shape[2]]

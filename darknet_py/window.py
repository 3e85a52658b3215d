"""The sliding window of [maxpool] and [local_avgpool]."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from torch import Tensor
from torch.nn import functional as F

from darknet_py.cfg import Section


class Window:
    """A square window with C's odd padding: `padding` is a total for both sides.

    The first window starts `padding // 2` pixels outside the image, and there are
    `(side + padding - size) // stride + 1` of them. C: maxpool_layer.c:make_maxpool_layer.
    """

    def __init__(
        self, size: int, stride_y: int, stride_x: int, padding: int, section: Section
    ) -> None:
        """Check the numbers.

        Raises:
            CfgError: one is too small, or windows would lie outside the image.
        """
        if min(size, stride_x, stride_y) < 1 or padding < 0:
            raise section.error(
                f"size and stride must be at least 1 and padding at least 0, got size={size}, "
                f"stride={stride_x}x{stride_y}, padding={padding}"
            )
        if (padding + 1) // 2 >= size and padding:
            raise section.error(f"padding={padding} leaves windows of size={size} without a pixel")
        self.size, self.padding, self.section = size, padding, section
        self.stride_y, self.stride_x = stride_y, stride_x

    def __str__(self) -> str:
        """As AlexeyAB's table prints it: `2x 2/ 2`."""
        size = f"{self.size:2d}x{self.size:2d}"
        if self.stride_x == self.stride_y:
            return f" {size}/{self.stride_x:2d}   "
        return f"{size}/{self.stride_x:2d}x{self.stride_y:2d} "

    def sides(self, height: int, width: int) -> tuple[int, int]:
        """How many windows there are, down and across.

        Raises:
            CfgError: there are none.
        """
        return self._steps(height, self.stride_y), self._steps(width, self.stride_x)

    def _steps(self, length: int, stride: int) -> int:
        steps = (length + self.padding - self.size) // stride + 1
        if steps < 1:
            raise self.section.error(
                f"size={self.size} is larger than the {length} pixels it pools"
            )
        return steps

    def max(self, x: Tensor) -> Tensor:
        """The largest value of each window of `(batch, c, h, w)`."""
        before, odd = divmod(self.padding, 2)
        if self.size == 2 and min(x.shape[2:]) == 1:  # OpenVINO wants no window beyond its image
            x = F.pad(x, (before, before + odd) * 2, value=-math.inf)
            return F.max_pool2d(x, self.size, (self.stride_y, self.stride_x))
        excess = max(before + odd - self.size // 2, 0)  # torch pads by half a window at most
        if excess:
            x = F.pad(x, (excess,) * 4, value=-math.inf)
        return self._slide(F.max_pool2d, x, before - excess, odd)

    def mean(self, x: Tensor) -> Tensor:
        """The mean of each window, of the pixels inside the image."""
        pool = partial(F.avg_pool2d, count_include_pad=False)
        return self._slide(pool, x, *divmod(self.padding, 2))

    def _slide(self, pool: Callable[..., Tensor], x: Tensor, before: int, odd: int) -> Tensor:
        # PARITY: an odd pixel goes to the bottom and right (C: maxpool_layer.c:
        # forward_maxpool_layer, w_offset = -pad/2); torch pads evenly, or rounds up.
        stride = (self.stride_y, self.stride_x)
        if not odd or stride == (2, 2):
            return pool(x, self.size, stride, before, ceil_mode=bool(odd))
        return pool(x, self.size, 1, before + 1)[..., 1 :: self.stride_y, 1 :: self.stride_x]

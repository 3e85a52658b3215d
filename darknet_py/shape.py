"""The size of one sample."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """The size of one sample: an image, or a plain vector of `channels` values (height 0)."""

    channels: int
    height: int
    width: int

    @property
    def is_image(self) -> bool:
        """Whether a convolution can read it (C: `h && w && c`)."""
        return min(self.channels, self.height, self.width) > 0

    @property
    def size(self) -> int:
        """How many values one sample holds (C: `outputs`)."""
        return self.channels * max(self.height, 1) * max(self.width, 1)

    def __str__(self) -> str:
        """Width first, as C prints it."""
        return f"{self.width} x {self.height} x {self.channels}" if self.height else str(self.size)

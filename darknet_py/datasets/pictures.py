"""Decoded pictures, kept in memory up to a limit."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np

from darknet_py.augmentation.geometry import Colour, mean_colour
from darknet_py.cfg import find_file
from darknet_py.errors import DataError, ImageError
from darknet_py.image import load_image

MEMORY = 1 << 30
"""Bytes of decoded pictures that a process keeps."""


@dataclass
class Picture:
    """A decoded picture, uint8 (height, width, channels)."""

    pixels: np.ndarray
    _mean: Colour | None = None

    @property
    def mean(self) -> Colour:
        """The mean colour."""
        if self._mean is None:
            self._mean = mean_colour(self.pixels)
        return self._mean


@dataclass
class Pictures:
    """Reads pictures; those that came first are kept, as long as there is room."""

    channels: int = 3
    memory: int = MEMORY
    named_in: str = ""
    """The list that the paths are from: they may be relative to it."""
    used: int = 0
    _kept: dict[str, Picture] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __getstate__(self) -> dict[str, object]:
        """For another process, which decodes for itself."""
        return {"channels": self.channels, "memory": self.memory, "named_in": self.named_in}

    def __setstate__(self, state: dict[str, object]) -> None:
        """See `__getstate__`."""
        self.__init__(**state)  # type: ignore[misc]

    def find(self, path: str) -> str:
        """The path from here of one in the list."""
        return str(find_file(path, self.named_in)) if self.named_in else path

    def read(self, path: str) -> Picture:
        """The picture of a path in the list.

        Raises:
            DataError: it cannot be read.
        """
        picture = self._kept.get(path)
        if picture is None:
            try:
                picture = Picture(load_image(self.find(path), self.channels))
            except ImageError as error:
                raise DataError(str(error)) from None
            with self._lock:
                if path not in self._kept and self.used + picture.pixels.nbytes <= self.memory:
                    self.used += picture.pixels.nbytes
                    self._kept[path] = picture
        return picture

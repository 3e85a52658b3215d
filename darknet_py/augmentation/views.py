"""The random views of classifiers: turned, scaled, moved (C: image.c:random_augment_image)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from darknet_py.augmentation import colour, draws, geometry


@dataclass(frozen=True)
class ViewOptions:
    """The limits of a view, and of its colours."""

    angle: float = 0.0
    """Degrees."""
    aspect: float = 1.0
    flip: bool = True
    hue: float = 0.0
    saturation: float = 1.0
    exposure: float = 1.0
    wanders: bool = False
    """Whether a window larger than the picture may be anywhere (`Dialect.classifier_view`)."""


@dataclass(frozen=True)
class View:
    """One view of a picture; what `geometry.rotate_and_crop` takes."""

    angle: float
    scale: float
    dx: float
    dy: float
    aspect: float

    @classmethod
    def of(
        cls,
        random: np.random.Generator,
        options: ViewOptions,
        sides: tuple[int, int],
        crop: tuple[int, int],
        size: tuple[int, int],
    ) -> View:
        """Of a picture of `sides`: its shorter side becomes one of `crop`, then `size` is cut.

        `sides` and `size` are (width, height).
        """
        aspect = draws.scale(random, options.aspect)
        width, height = sides
        shorter = max(int(min(height, width * aspect)), 1)
        scale = max(draws.whole(random, *crop), 1) / shorter
        angle = math.radians(draws.uniform(random, -options.angle, options.angle))
        # PARITY: the window's width is taken for its height, too (C: image.c:random_augment_args)
        dx = (width * scale / aspect - size[0]) / 2
        dy = (height * scale - size[0]) / 2
        if not options.wanders:
            dx, dy = max(dx, 0), max(dy, 0)
        dx, dy = draws.uniform(random, -dx, dx), draws.uniform(random, -dy, dy)
        return cls(angle, scale, dx, dy, aspect)

    def cut(self, image: np.ndarray, width: int, height: int, divisor: int = 1) -> np.ndarray:
        """The view, float32; `divisor` shrinks it all."""
        return geometry.rotate_and_crop(
            image,
            self.angle,
            self.scale / divisor,
            width // divisor,
            height // divisor,
            self.dx / divisor,
            self.dy / divisor,
            self.aspect,
        )


def recolour(
    random: np.random.Generator, image: np.ndarray, options: ViewOptions
) -> tuple[np.ndarray, bool]:
    """A view mirrored half of the time and recoloured; whether it was mirrored."""
    mirrored = options.flip and draws.coin(random)
    if mirrored:
        image = geometry.flip(image)
    changed = colour.random_distort(
        random, image, options.hue, options.saturation, options.exposure
    )
    return changed, mirrored

"""The random window that AlexeyAB's detector cuts (C: data.c:load_data_detection)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from darknet_py.augmentation import draws


@dataclass(frozen=True)
class WindowOptions:
    """How far windows wander, and what else happens to a picture."""

    jitter: float = 0.2
    resize: float = 1.0
    letter_box: bool = False
    flip: bool = True
    hue: float = 0.0
    saturation: float = 1.0
    exposure: float = 1.0
    blur: int = 0
    gaussian_noise: int = 0


@dataclass(frozen=True)
class Draw:
    """The random numbers of one picture."""

    sides: tuple[float, float, float, float]
    zoom: tuple[float, float]
    mirrored: bool
    hue: float
    saturation: float
    exposure: float
    blur: int
    noise: int

    @classmethod
    def of(cls, random: np.random.Generator, options: WindowOptions) -> Draw:
        """Drawn."""
        a, b, c, d, low, high = random.random(6).tolist()
        blur = draws.whole(random, 0, 2) if options.blur else 0
        return cls(
            sides=(a, b, c, d),
            zoom=(low, high),
            mirrored=options.flip and draws.coin(random),
            hue=draws.uniform(random, -options.hue, options.hue),
            saturation=draws.scale(random, options.saturation),
            exposure=draws.scale(random, options.exposure),
            blur=options.blur if blur == 2 else blur,
            noise=options.gaussian_noise if options.gaussian_noise and draws.coin(random) else 0,
        )

    def like(self, first: Draw, *, place: bool, colour: bool) -> Draw:
        """With the place, or the colours, of the first view of the same picture."""
        if place:
            self = replace(self, sides=first.sides, mirrored=first.mirrored)
        if colour:
            self = replace(
                self, hue=first.hue, saturation=first.saturation, exposure=first.exposure
            )
        return self


@dataclass(frozen=True)
class Window:
    """How much is cut off a picture at each side, in its pixels; below 0 is beyond the edge."""

    left: int
    right: int
    top: int
    bottom: int

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """(left, top, width, height) in a picture of these sides; the whole one, if none is left.

        PARITY: with the whole one right and bottom stay what they were (C:
        data.c:load_data_detection, "invalid resize").
        """
        wide, high = width - self.left - self.right, height - self.top - self.bottom
        if min(wide, high, width - self.left, height - self.top) <= 0:
            return 0, 0, width, height
        return self.left, self.top, wide, high

    def to_corner(self, quarter: int, mirrored: bool) -> Window:
        """Moved so that the middle of a mosaic shows more of the picture.

        `quarter` counts 0 top left, 1 top right, 2 bottom left, 3 bottom right.
        """
        left, right, top, bottom = self.left, self.right, self.top, self.bottom
        if (quarter in (0, 2)) != mirrored:
            left, right = 0, right + left
        else:
            left, right = left + right, 0
        if quarter < 2:
            top, bottom = 0, bottom + top
        else:
            top, bottom = top + bottom, 0
        return Window(left, right, top, bottom)

    @classmethod
    def of(
        cls,
        draw: Draw,
        options: WindowOptions,
        sides: tuple[int, int],
        network: tuple[int, int],
    ) -> Window:
        """The window of a picture whose (width, height) are `sides`."""
        cuts = [
            cut
            for side, (a, b) in zip(sides, (draw.sides[:2], draw.sides[2:]), strict=True)
            for cut in _cuts(side, options, (a, b), draw.zoom)
        ]
        if options.letter_box:
            x, y = _letterbox_cuts(sides, network)
            # truncated, as C assigns a float to an int
            cuts = [int(cut - (x if i < 2 else y)) for i, cut in enumerate(cuts)]
        return cls(*cuts)


def _cuts(
    side: int, options: WindowOptions, parts: tuple[float, float], zoom: tuple[float, float]
) -> tuple[int, int]:
    """What is cut off at both ends of a side."""
    reach = int(side * options.jitter)
    resize = options.resize or 1.0
    down, up = min(resize, 1 / resize), max(resize, 1 / resize)
    least = int(side * (1 - 1 / down) / 2)  # below 0: the picture becomes smaller
    most = int(side * (1 - 1 / up) / 2) if resize >= 1 else 0
    cuts = []
    for part, share in zip(parts, zoom, strict=True):
        cut = int(-reach + 2 * reach * part)
        cuts.append(int(cut + least + (most - least) * share))
    return cuts[0], cuts[1]


def _letterbox_cuts(sides: tuple[int, int], network: tuple[int, int]) -> tuple[float, float]:
    """What is added at either end of the width and of the height, to get the network's aspect."""
    (width, height), aspect = sides, network[0] / network[1]
    if width / height > aspect:
        return 0.0, (width / aspect - height) / 2
    return (height * aspect - width) / 2, 0.0

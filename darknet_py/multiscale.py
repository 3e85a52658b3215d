"""The sizes that a network is trained at where `random` is set."""

from __future__ import annotations

import math

import numpy as np

from darknet_py.network import Network
from darknet_py.options import read_options
from darknet_py.schedule import ScheduleOptions


class MultiScale:
    """The (height, width) of an iteration's images: a function of seed and iteration alone.

    The size changes every 10 iterations ([net] random=1 of pjreddie's classifiers: 40).
    C: detector.c:train_detector, pjreddie's classifier.c:train_classifier.
    """

    def __init__(self, network: Network, seed: int = 0) -> None:
        self.dialect, self.seed = network.dialect, seed
        self.options = read_options(ScheduleOptions, network.sections[0], network.dialect)
        self.height, self.width = network.image.height, network.image.width
        self.factor = float(getattr(network[len(network) - 1].options, "random", 0))
        self.steps = 10
        self.of_classifier = not self.factor and bool(self.options.random)
        if self.of_classifier:
            self.factor, self.steps = 1.0, 40

    def __call__(self, iteration: int) -> tuple[int, int] | None:
        """The size for the iteration that follows `iteration` updates; None: the cfg's own."""
        if not self.factor:
            return None
        number = iteration // self.steps
        random = np.random.default_rng((self.seed, 0x512E, number))
        if self.dialect.multiscale == "table":
            return self._from_table(int(random.integers(1 << 31)), number * self.steps)
        return self._by_factor(random, number)

    def _from_table(self, chance: int, iteration: int) -> tuple[int, int]:
        """A square of a whole number of 32 pixels; the last 200 iterations at 608."""
        side = (chance % 11 + 4) * 32 if self.of_classifier else (chance % 10 + 10) * 32
        if not self.of_classifier and iteration + 200 > self.options.max_batches:
            side = 608
        return side, side

    def _by_factor(self, random: np.random.Generator, number: int) -> tuple[int, int]:
        """The cfg's sides times or over a chance factor; at the beginning and end the largest."""
        factor = self.largest_factor
        chance = float(random.uniform(min(1.0, factor), max(1.0, factor)))
        chance = chance if random.integers(2) else 1 / chance
        height, width = self._scaled(chance)
        if chance < 1 and (height > self.height or width > self.width):
            height, width = self.height, self.width
        if number == 0 or number * self.steps > self.options.max_batches - 100:
            height, width = self.largest
        least = int(self.options.resize_step)
        return max(height, least), max(width, least)

    @property
    def largest_factor(self) -> float:
        """By how much images grow or shrink at most."""
        return 1.4 if self.factor == 1 else self.factor

    @property
    def largest(self) -> tuple[int, int]:
        """The size at the beginning, which shows whether the memory is enough."""
        return self._scaled(self.largest_factor)

    def _scaled(self, factor: float) -> tuple[int, int]:
        # PARITY: 1 is added inside the rounding: one step more than the nearest (C: detector.c).
        step = self.options.resize_step
        height, width = (
            int(math.floor(factor * side / step + 1 + 0.5) * step)
            for side in (self.height, self.width)
        )
        return height, width

    def images(self, size: tuple[int, int], images: int) -> int:
        """Images of a mini-batch at that size with dynamic_minibatch=1 (C: detector.c)."""
        if not self.options.dynamic_minibatch:
            return images
        height, width = self.largest
        count = images * height * width // (size[0] * size[1])
        return int(count * 0.8) if int(count * 0.8) > images else count

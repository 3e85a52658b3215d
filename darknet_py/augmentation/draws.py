"""C's random numbers as distributions (utils.c), on numpy's generators."""

from __future__ import annotations

import numpy as np


def generator(seed: int, *key: int) -> np.random.Generator:
    """The random numbers of one key, for example of (iteration, place in the batch)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((abs(seed), *key))))


def uniform(random: np.random.Generator, low: float, high: float) -> float:
    """C: utils.c:rand_uniform; the two limits in any order."""
    return low + (high - low) * random.random()


def whole(random: np.random.Generator, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both among them (C: utils.c:rand_int)."""
    low, high = min(low, high), max(low, high)
    return int(random.integers(low, high + 1))


def coin(random: np.random.Generator) -> bool:
    """True half of the time."""
    return random.random() < 0.5


def scale(random: np.random.Generator, most: float) -> float:
    """A factor from 1 to `most`, or one over it (C: utils.c:rand_scale)."""
    factor = uniform(random, 1, most or 1)  # PARITY: 0 counts as 1 (C: data.c:load_thread)
    return factor if coin(random) else 1 / factor


def shuffle(random: np.random.Generator, count: int) -> list[int]:
    """An order of `count` things.

    PARITY: each is swapped with any other, so not every order is as likely (C:
    data.c:randomize_boxes).
    """
    order = list(range(count))
    for i, j in enumerate(random.integers(count, size=count).tolist() if count else ()):
        order[i], order[j] = order[j], order[i]
    return order

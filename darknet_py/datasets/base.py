"""What every data set is: batches as a function of seed, iteration and place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np

from darknet_py.augmentation import draws
from darknet_py.bad_list import BadList
from darknet_py.errors import DataError


class Batch(NamedTuple):
    """One mini-batch."""

    inputs: np.ndarray
    """float32 (n, channels, height, width), RGB from 0 to 1; or (n, values)."""
    truth: np.ndarray
    """float32 (n, values), each row in C's order."""
    paths: tuple[str, ...]
    """Where each row comes from."""


@dataclass(frozen=True)
class Form:
    """The shapes that a network takes: what a data set must give."""

    images: int
    """Rows of a mini-batch: batch / subdivisions, times time_steps."""
    subdivisions: int
    channels: int
    height: int
    width: int
    time_steps: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width


@dataclass
class Dataset(ABC):
    """Training data; every row depends on `seed`, the iteration and its place there alone.

    So batches can be made in any order, by any number of workers, and training can be resumed
    at any iteration. A place counts the rows of an iteration through its subdivisions: with
    twice the subdivisions an iteration has the same rows.
    """

    is_divisible: ClassVar[bool] = True
    """Whether a mini-batch may be made in parts."""

    form: Form
    seed: int = 0
    bad: BadList = field(default_factory=BadList)

    def batch(
        self,
        iteration: int,
        subdivision: int = 0,
        size: tuple[int, int] | None = None,
        images: int | None = None,
    ) -> Batch:
        """Mini-batch `subdivision` of `iteration`.

        Args:
            iteration: counted from 0.
            subdivision: counted from 0.
            size: the images' (height, width), where the network has another one than its cfg.
            images: rows of a mini-batch, where these are others than the cfg's.

        Raises:
            DataError: a file cannot be read.
        """
        made = self.make(iteration, subdivision, size, images)
        self.bad.tell()
        return made

    def make(
        self,
        iteration: int,
        subdivision: int = 0,
        size: tuple[int, int] | None = None,
        images: int | None = None,
    ) -> Batch:
        """As `batch`, but what is wrong with the data is collected in `bad` and not told."""
        count = images or self.form.images
        first = subdivision * count
        return self.rows(iteration, range(first, first + count), size or self.form.size)

    @property
    @abstractmethod
    def truths(self) -> int:
        """Values of a row of the truth."""

    def rows(self, iteration: int, places: Sequence[int], size: tuple[int, int]) -> Batch:
        """The rows of an iteration at these places."""
        inputs = np.empty((len(places), *self.shape(size)), np.float32)
        truth = np.zeros((len(places), self.truths), np.float32)
        paths = [self.row(iteration, place, inputs[i], truth[i]) for i, place in enumerate(places)]
        return Batch(inputs, truth, tuple(paths))

    def shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """The shape of an input."""
        return (self.form.channels, *size)

    @abstractmethod
    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """Fill one row: `image` (channels, height, width), `truth` (zeros); its path."""

    def random(self, *key: int) -> np.random.Generator:
        """The random numbers of one key: (iteration, place, what for)."""
        return draws.generator(self.seed, *key)

    @property
    @abstractmethod
    def length(self) -> int:
        """How many samples there are: what an epoch is counted in."""


@dataclass
class Listed(Dataset):
    """A data set of the paths in a list."""

    paths: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.paths:
            raise DataError("the list of training images is empty")

    @property
    def length(self) -> int:
        """How many paths the list holds."""
        return len(self.paths)

    def draw(self, random: np.random.Generator) -> int:
        """The number of a path: each is as likely, and comes again (C: get_random_paths)."""
        return int(random.integers(len(self.paths)))

"""Pictures in, classes out, whatever runs the network (C: classifier.c)."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

from darknet_py.datafile import Tree
from darknet_py.dialect import Dialect
from darknet_py.errors import DarknetError, DarknetWarning
from darknet_py.pictures import Fit, Picture, fit_picture
from darknet_py.pipeline import batch_size, overlap
from darknet_py.results import Classification
from darknet_py.shape import Shape


class Scorer(ABC):
    """What scores whole pictures: a subclass says how the network runs."""

    names: list[str]
    """Of the classes."""
    classes: int
    channels: int
    """What AlexeyAB's program calls the output in the cfg: those the last layer reads."""
    tree: Tree | None
    """Of the classes."""
    preprocess: Fit
    about: Mapping[str, Any] | None = None
    """What is known of a network that was converted for a backend: `backends.open_cached`."""

    @property
    @abstractmethod
    def image(self) -> Shape:
        """The network's input."""

    @property
    @abstractmethod
    def dialect(self) -> Dialect:
        """Whose rules hold."""

    @abstractmethod
    def run(self, inputs: np.ndarray) -> np.ndarray:
        """The probabilities for prepared inputs, `(batch, channels, height, width)`."""

    def settle(self) -> None:  # noqa: B027  (most are so from the start)
        """Be as fast from now on as after many runs."""

    @overload
    def classify(  # type: ignore[overload-overlap]  # a str is a sequence of str, too
        self, image: Picture, top: int = 5
    ) -> list[Classification]: ...

    @overload
    def classify(self, image: Sequence[Picture], top: int = 5) -> list[list[Classification]]: ...

    def classify(
        self, image: Picture | Sequence[Picture], top: int = 5
    ) -> list[Classification] | list[list[Classification]]:
        """The `top` most probable classes, best first; a list of them for a list of pictures.

        Raises:
            ImageError: a picture cannot be read, or has not the network's channels.
        """
        if top < 1:
            raise DarknetError(f"top must be at least 1, got {top}")
        if isinstance(image, str | os.PathLike | np.ndarray):
            return self._best(self.predict([image])[0], top)
        return list(self.classify_each(image, top))

    def classify_each(
        self, pictures: Iterable[Picture], top: int = 5
    ) -> Iterator[list[Classification]]:
        """The `top` most probable classes of each of many pictures, in order, as they are found.

        The next pictures are read and the network runs while the caller works on an answer; only
        a few batches are in memory at once, so that `pictures` may be endless.

        Raises:
            ImageError: a picture cannot be read, or has not the network's channels.
        """
        return (self._best(row, top) for row in self._rows(pictures))

    def _rows(self, pictures: Iterable[Picture]) -> Iterator[np.ndarray]:
        """Each picture's probabilities."""
        if self.preprocess == "resize_min":  # each picture gives the network another size
            for picture in pictures:
                yield self.run(self.prepare(picture))[0]
            return
        for result in overlap(pictures, self.prepare, self._run, batch_size(self.image)):
            yield result.get()[1]

    def _run(self, batch: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        return list(self.run(np.concatenate(batch))) if batch else []

    def _best(self, scores: np.ndarray, top: int) -> list[Classification]:
        return [Classification(i, self.names[i], float(scores[i])) for i in top_k(scores, top)]

    def predict(self, pictures: Sequence[Picture]) -> np.ndarray:
        """Every class's probability for each picture, `(pictures, classes)`.

        With a class tree a probability is multiplied by those of the classes above it.

        Raises:
            ImageError: a picture cannot be read, or has not the network's channels.
        """
        out = np.empty((len(pictures), self.classes), np.float32)
        if len(pictures) == 1:
            out[0] = self._run([self.prepare(pictures[0])])[0]
            return out
        for number, row in enumerate(self._rows(pictures)):
            out[number] = row
        return out

    def prepare(self, picture: Picture) -> np.ndarray:
        """A picture as the network's input, float32 `(1, channels, height, width)`."""
        return fit_picture(picture, self.image, self.preprocess)


def top_k(scores: np.ndarray, count: int) -> list[int]:
    """The indices of the largest scores, best first.

    PARITY: of equal scores a later one may come first, when a better one moved the earlier one
    down (C: utils.c:top_k).
    """
    count = min(count, scores.size)
    least = np.partition(scores, scores.size - count)[scores.size - count]
    best: list[int] = []
    for candidate in np.flatnonzero(~(scores < least)).tolist():
        current = candidate
        for place, held in enumerate(best):
            if scores[current] > scores[held]:
                best[place], current = current, held
        if len(best) < count:
            best.append(current)
    return best


def fit_names(names: Sequence[str] | None, classes: int) -> list[str]:
    """A name for each class; numbers, where the list is too short to be this network's."""
    numbers = [str(number) for number in range(classes)]
    if names is None:
        return numbers
    if len(names) < classes:
        warnings.warn(
            f"{len(names)} names for {classes} classes: the classes are numbered instead",
            DarknetWarning,
            stacklevel=3,
        )
        return numbers
    return list(names[:classes])

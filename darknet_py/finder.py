"""Pictures in, objects out, whatever runs the network (C: detector.c:test_detector)."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

from darknet_py import image as images
from darknet_py.boxes import Detections, suppress, undo_letterbox
from darknet_py.dialect import Dialect
from darknet_py.errors import DarknetError, DarknetWarning
from darknet_py.pictures import Picture, fit_picture, read_picture
from darknet_py.pipeline import batch_size, overlap
from darknet_py.results import Detection, list_detections
from darknet_py.shape import Shape


class Finder(ABC):
    """What finds objects: a subclass says how the network runs and how its outputs are read."""

    names: list[str]
    """Of the classes."""
    classes: int
    letterbox: bool
    """Whether pictures keep their aspect ratio, on grey, or are stretched."""
    nms_kind = "default"
    beta_nms = 0.6
    about: Mapping[str, Any] | None = None
    """What is known of a network that was converted for a backend: `backends.open_cached`."""

    def __init__(self, thresh: float, nms: float, hier: float) -> None:
        self.thresh, self.nms, self.hier = thresh, nms, hier
        for what, value in (("thresh", thresh), ("nms", nms), ("hier", hier)):
            if not 0 <= value <= 1:
                raise DarknetError(f"{what} must be from 0 to 1, got {value}")

    @property
    @abstractmethod
    def image(self) -> Shape:
        """The network's input."""

    @property
    @abstractmethod
    def dialect(self) -> Dialect:
        """Whose rules hold."""

    @property
    @abstractmethod
    def head_types(self) -> list[tuple[int, str]]:
        """The number and the section's type of each head, in order."""

    @abstractmethod
    def run(self, inputs: np.ndarray) -> Sequence[Any]:
        """The outputs, a batch each, for prepared inputs `(batch, channels, height, width)`."""

    def settle(self) -> None:  # noqa: B027  (most are so from the start)
        """Be as fast from now on as after many runs."""

    @abstractmethod
    def decode(self, outputs: Sequence[Any]) -> Detections:
        """The boxes in one sample of the outputs, relative to the network's input."""

    @overload
    def detect(self, image: Picture) -> list[Detection]: ...  # type: ignore[overload-overlap]

    @overload
    def detect(self, image: Sequence[Picture]) -> list[list[Detection]]: ...

    def detect(self, image: Picture | Sequence[Picture]) -> list[Detection] | list[list[Detection]]:
        """The objects in a picture, most probable first; a list of such lists for a list.

        A box appears once for each class whose probability is above `thresh`.

        Args:
            image: a file's path, a uint8 RGB array `(height, width, channels)`, or a list.

        Raises:
            ImageError: a picture cannot be read, or has not the network's channels.
        """
        if isinstance(image, str | os.PathLike | np.ndarray):
            prepared = self.read(image)
            return self._objects(self.run_each([prepared])[0], prepared[1])
        return list(self.detect_each(image))

    def detect_each(self, pictures: Iterable[Picture]) -> Iterator[list[Detection]]:
        """The objects in each of many pictures, in order, as they are found.

        The next pictures are read and the network runs while the caller works on an answer; only
        a few batches are in memory at once, so that `pictures` may be endless.

        Raises:
            ImageError: a picture cannot be read, or has not the network's channels.
        """
        for result in overlap(pictures, self.read, self.run_each, batch_size(self.image)):
            (_, size), outputs = result.get()
            yield self._objects(outputs, size)

    def _objects(self, outputs: Sequence[Any], size: tuple[int, int]) -> list[Detection]:
        found = self.clean(self.boxes(outputs, size))
        objects = list_detections(found, self.names, size[1], size[0])
        return sorted(objects, key=lambda d: -d.probability)

    def read(self, picture: Picture) -> tuple[np.ndarray, tuple[int, int]]:
        """The network's input, and the picture's height and width.

        Raises:
            ImageError: it cannot be read, or has not the network's channels.
        """
        pixels = read_picture(picture, self.image.channels)
        return self.prepare(pixels), (pixels.shape[0], pixels.shape[1])

    def run_each(self, batch: Sequence[tuple[np.ndarray, tuple[int, int]]]) -> list[list[Any]]:
        """The outputs for each of what `read` gave; they run together."""
        if not batch:
            return []
        outputs = self.run(np.concatenate([inputs for inputs, _ in batch]))
        return [[output[i] for output in outputs] for i in range(len(batch))]

    def find(self, pictures: Sequence[np.ndarray]) -> list[Detections]:
        """The boxes of each picture, relative to it, after non-maximum suppression.

        They stand in C's order, that of the lines it prints; scores not above `thresh` are 0.

        Args:
            pictures: uint8 RGB arrays `(height, width, channels)`; they run as one batch.
        """
        if not pictures:
            return []
        batch = np.concatenate([self.prepare(picture) for picture in pictures])
        outputs = self.run(batch)
        return [
            self.clean(self.boxes([output[i] for output in outputs], picture.shape[:2]))
            for i, picture in enumerate(pictures)
        ]

    def prepare(self, picture: np.ndarray) -> np.ndarray:
        """A picture as the network's input, float32 `(1, channels, height, width)`."""
        return fit_picture(picture, self.image, "letterbox" if self.letterbox else "squash")

    def boxes(self, outputs: Sequence[Any], size: tuple[int, ...]) -> Detections:
        """The boxes in one sample of the outputs, before any suppression, in C's order.

        Args:
            outputs: as `run` gives them, without the batch axis.
            size: height and width of the picture that the boxes will be relative to.
        """
        found, shape = self.decode(outputs), self.image
        if not self.letterbox:
            return found
        used = images.letterbox_size(size, shape.width, shape.height)
        return undo_letterbox(
            found, (max(used[0], 1), max(used[1], 1)), (shape.width, shape.height)
        )

    def clean(self, detections: Detections) -> Detections:
        """Non-maximum suppression as the last head asks for (C: detector.c:test_detector)."""
        if not self.nms:
            return detections
        return suppress(detections, self.nms, self.nms_kind, self.beta_nms)

    def clean_in_place(self, detections: Detections) -> Detections:
        """The same with every box where it was (C: AlexeyAB's box.c:do_nms_sort_v2)."""
        numbers = np.arange(1, len(detections) + 1, dtype=np.float32)
        found = self.clean(Detections(detections.boxes, numbers, detections.scores))
        order = np.argsort(found.objectness)
        return Detections(found.boxes[order], detections.objectness, found.scores[order])


def fill_names(names: Sequence[str] | None, classes: int, path: str) -> list[str]:
    """The classes' names; their numbers where the count is wrong."""
    numbers = [str(number) for number in range(classes)]
    if names is None:
        return numbers
    if len(names) != classes:
        warnings.warn(
            f"{path}: {len(names)} names for {classes} classes: classes are numbered",
            DarknetWarning,
            stacklevel=3,
        )
        return numbers
    return list(names)

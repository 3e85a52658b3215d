"""A detector over many pictures: files are read and prepared while the network runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from darknet_py.boxes import Detections
from darknet_py.finder import Finder
from darknet_py.pictures import BATCH
from darknet_py.pipeline import WORKERS, overlap


@dataclass(frozen=True)
class Found:
    """The boxes in one picture, relative to it, after suppression."""

    index: int
    """The picture's place in the list."""
    path: str
    width: int
    """Of the picture, in pixels."""
    height: int
    detections: Detections


def find_all(
    finder: Finder, paths: Sequence[str], batch: int = BATCH, *, in_pixels: bool = False
) -> Iterator[Found]:
    """The boxes in each picture, in order.

    Args:
        finder: with the thresholds that hold.
        paths: of the pictures.
        batch: how many run at once.
        in_pixels: compare boxes in pixels, as `detector valid` does; where the suppression looks
            at distances, that is another comparison.

    Raises:
        ImageError: a picture cannot be read.
    """

    def answer(index: int, outputs: list[Any], size: tuple[int, int]) -> Found:
        detections = finder.boxes(outputs, size)
        scale = np.array((size[1], size[0]) * 2 if in_pixels else 1, np.float32)
        detections.boxes = detections.boxes * scale
        detections = finder.clean(detections)
        detections.boxes = detections.boxes / scale
        return Found(index, paths[index], size[1], size[0], detections)

    answers: deque[Future[Found]] = deque()
    with ThreadPoolExecutor(WORKERS) as pool:
        for index, result in enumerate(overlap(paths, finder.read, finder.run_each, batch)):
            (_, size), outputs = result.get()
            answers.append(pool.submit(answer, index, outputs, size))
            if len(answers) > batch:
                yield answers.popleft().result()
        while answers:
            yield answers.popleft().result()

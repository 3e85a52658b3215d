"""A detector over many pictures: files are read and prepared while the network runs."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from darknet_py.boxes import Detections
from darknet_py.finder import Finder
from darknet_py.pictures import BATCH, read_picture

T = TypeVar("T")
WORKERS = min(4, os.cpu_count() or 1)


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

    def read(path: str) -> tuple[np.ndarray, tuple[int, int]]:
        picture = read_picture(path, finder.image.channels)
        return finder.prepare(picture), (picture.shape[0], picture.shape[1])

    def answer(index: int, outputs: list[Any], size: tuple[int, int]) -> Found:
        detections = finder.boxes(outputs, size)
        scale = np.array((size[1], size[0]) * 2 if in_pixels else 1, np.float32)
        detections.boxes = detections.boxes * scale
        detections = finder.clean(detections)
        detections.boxes = detections.boxes / scale
        return Found(index, paths[index], size[1], size[0], detections)

    answers: deque[Future[Found]] = deque()
    with ThreadPoolExecutor(WORKERS) as pool:
        for start, ready in in_batches(pool, read, paths, batch):
            outputs = finder.run(np.concatenate([inputs for inputs, _ in ready]))
            for i, (_, size) in enumerate(ready):
                sample = [output[i] for output in outputs]
                answers.append(pool.submit(answer, start + i, sample, size))
            while len(answers) > batch:
                yield answers.popleft().result()
        while answers:
            yield answers.popleft().result()


def in_batches(
    pool: ThreadPoolExecutor, read: Callable[[str], T], paths: Sequence[str], batch: int
) -> Iterator[tuple[int, list[T]]]:
    """What `read` makes of the paths, `batch` at a time, each with the first one's place.

    The next batch is being read while one is worked on.
    """
    waiting: deque[Future[T]] = deque()
    left = iter(paths)
    waiting.extend(pool.submit(read, path) for path in islice(left, 2 * batch))
    start = 0
    while waiting:
        ready = [waiting.popleft().result() for _ in range(min(batch, len(waiting)))]
        waiting.extend(pool.submit(read, path) for path in islice(left, batch))
        yield start, ready
        start += len(ready)

"""Training: iteration after iteration of mini-batches, with C's average of the loss."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from darknet_py.datasets import Dataset
from darknet_py.errors import DarknetWarning, TrainError
from darknet_py.learning import Learner, Loss
from darknet_py.loader import Loader
from darknet_py.multiscale import MultiScale


class Rows(NamedTuple):
    """One mini-batch as `train` takes it (a data set's Batch will do)."""

    inputs: np.ndarray
    truth: np.ndarray
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress:
    """What an iteration came to.

    `loss` is C's: the sum of the mini-batches' costs over the number of images; `average` moves
    by a tenth of it. `seconds` are those of learning, `waited` those spent on data.
    """

    iteration: int
    loss: float
    average: float
    rate: float
    seconds: float
    waited: float
    images: int
    figures: list[dict[int, dict[str, float]]] = field(default_factory=list)


def load(
    learner: Learner, dataset: Dataset, seed: int, *, workers: int = 1, processes: bool = False
) -> Loader:
    """This process's part of every mini-batch to the end, from where `learner` is.

    Args:
        learner: what learns; with no `max_batches` there is no end.
        dataset: what makes the batches.
        seed: of the sizes, where they change.
        workers: how many make batches ahead; 0: none.
        processes: whether the workers are processes instead of threads.

    Raises:
        DataError: the rows of an iteration cannot be divided over the processes.
    """
    sizes = MultiScale(learner.network, seed)
    return Loader(
        dataset,
        range(learner.iteration, learner.options.max_batches or 1 << 62),
        share=learner.group.share,
        size_of=sizes,
        images_of=sizes.images,
        workers=workers,
        processes=processes,
    )


def train(
    learner: Learner, batches: Iterable[Rows], *, average: float = -1.0
) -> Iterator[Progress]:
    """Learn from `batches` until they or [net]'s `max_batches` are at an end.

    What a caller does between two iterations (save, evaluate, print) it does between two values;
    all that a resumed run needs is in `learner` then.

    Args:
        learner: what learns.
        batches: mini-batches, `learner.subdivisions` for every iteration.
        average: the average loss of a run that goes on; below 0: none yet.

    Raises:
        TrainError: the loss is nan or infinite (the batch's images and the first bad layer are
            named), or the memory does not hold a single image.
    """
    source, end = iter(batches), learner.options.max_batches
    parts = 1
    while not end or learner.iteration < end:
        start = time.perf_counter()
        rows = [batch for _, batch in zip(range(learner.subdivisions), source, strict=False)]
        if not rows:
            return
        loaded = time.perf_counter()
        losses, parts = _learn(learner, rows, parts)
        rate = learner.update()
        count = sum(len(batch.inputs) for batch in rows) * learner.group.ranks
        loss = learner.group.total(sum(loss.cost for loss in losses)) / count
        average = loss if average < 0 else average
        average = average * 0.9 + loss * 0.1
        figures = [loss.figures for loss in losses]
        seconds = time.perf_counter() - loaded
        images = learner.iteration * count
        yield Progress(
            learner.iteration, loss, average, rate, seconds, loaded - start, images, figures
        )


def _learn(learner: Learner, rows: list[Rows], parts: int) -> tuple[list[Loss], int]:
    """Learn from an iteration's mini-batches, each in `parts`; in more where memory runs out."""
    while True:
        begin = learner.seen
        try:
            return [_learn_part(learner, part) for part in _split(learner, rows, parts)], parts
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            largest = max(len(batch.inputs) for batch in rows) // learner.time_steps
            if parts >= largest:
                raise TrainError("the memory does not hold one image at this size") from None
        learner.forget(begin)
        if learner.device.type == "cuda":
            torch.cuda.empty_cache()
        parts = min(parts * 2, largest)
        message = f"there is not enough memory: mini-batches are learned in {parts} parts"
        warnings.warn(message, DarknetWarning, stacklevel=3)


def _learn_part(learner: Learner, rows: Rows) -> Loss:
    try:
        height, width = rows.inputs.shape[2:] if rows.inputs.ndim == 4 else (0, 0)
        image = learner.network.image
        if height and (height, width) != (image.height, image.width):
            learner.network.resize(height, width)
        return learner.learn(rows.inputs, rows.truth)
    except TrainError as error:
        images = f" (images: {', '.join(rows.paths)})" if rows.paths else ""
        raise type(error)(f"{error}{images}") from None


def _split(learner: Learner, rows: list[Rows], parts: int) -> Iterator[Rows]:
    """Every mini-batch in so many parts; of sequences the first step of all comes first."""
    if parts == 1:
        yield from rows
        return
    steps = learner.time_steps
    for inputs, truth, paths in rows:
        places = np.arange(len(inputs)).reshape(steps, -1)
        for chosen in np.array_split(places, min(parts, places.shape[1]), axis=1):
            index = chosen.flatten()
            names = tuple(paths[i] for i in index) if len(paths) == len(inputs) else paths
            yield Rows(inputs[index], truth[index], names)


def _is_out_of_memory(error: BaseException) -> bool:
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "allocate memory" in str(error) or "out of memory" in str(error)

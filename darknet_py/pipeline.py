"""Many pictures: reading, computing and answering at the same time, in order, in little memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from darknet_py.errors import DarknetError
from darknet_py.shape import Shape

if TYPE_CHECKING:
    from concurrent.futures import Future

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
Output = TypeVar("Output")

WORKERS = min(4, max(2, os.cpu_count() or 2))
"""Threads that prepare items."""
LARGEST = 16
"""The most pictures of a batch."""
PIXELS = 2**20
"""The most pixels of a batch, unless one picture has more."""


@dataclass(frozen=True)
class Result(Generic[Item, Prepared, Output]):
    """What became of an item; with `error` there is nothing else."""

    item: Item
    prepared: Prepared | None = None
    output: Output | None = None
    error: DarknetError | None = None

    def get(self) -> tuple[Prepared, Output]:
        """What was made of it.

        Raises:
            DarknetError: it failed.
        """
        if self.error is not None:
            raise self.error
        return cast("Prepared", self.prepared), cast("Output", self.output)


def batch_size(shape: Shape) -> int:
    """How many pictures of that size run at once."""
    return max(1, min(LARGEST, PIXELS // max(shape.height * shape.width, 1)))


def overlap(
    items: Iterable[Item],
    prepare: Callable[[Item], Prepared],
    run: Callable[[Sequence[Prepared]], Sequence[Output]],
    batch: int,
) -> Iterator[Result[Item, Prepared, Output]]:
    """Every item with what `run` made of it, in order.

    While the caller works on one result the next batches are prepared and run, in other threads;
    no more than four batches are held at once. An item that fails, or whose batch does, comes with
    its error.

    Args:
        items: may be endless.
        prepare: called for each, in several threads.
        run: called for a batch, in one thread.
        batch: how many items run at once.
    """
    from concurrent.futures import ThreadPoolExecutor  # it takes milliseconds to import

    source = iter(items)
    waiting: deque[tuple[Item, Future[Prepared]]] = deque()
    running: deque[tuple[list[Result[Item, Prepared, Output]], Future[Sequence[Output]]]] = deque()
    readers = ThreadPoolExecutor(WORKERS, "prepare")
    runner = ThreadPoolExecutor(1, "run")
    try:
        while True:
            while len(running) < 2:
                _fill(waiting, source, lambda item: readers.submit(prepare, item), 2 * batch)
                if not waiting:
                    break
                group: list[Result[Item, Prepared, Output]] = _collect(waiting, batch)
                good = [cast("Prepared", r.prepared) for r in group if r.error is None]
                running.append((group, runner.submit(run, good)))
            if not running:
                return
            yield from _join(*running.popleft())
    finally:
        for pool in (readers, runner):
            pool.shutdown(wait=True, cancel_futures=True)


def _fill(
    waiting: deque[tuple[Item, Future[Prepared]]],
    source: Iterator[Item],
    submit: Callable[[Item], Future[Prepared]],
    count: int,
) -> None:
    """Have `count` items in preparation, if there are so many."""
    while len(waiting) < count:
        try:
            item = next(source)
        except StopIteration:
            return
        waiting.append((item, submit(item)))


def _collect(
    waiting: deque[tuple[Item, Future[Prepared]]], batch: int
) -> list[Result[Item, Prepared, Output]]:
    """The next items, prepared; those that failed count for nothing in the batch."""
    group: list[Result[Item, Prepared, Output]] = []
    good = 0
    while waiting and good < batch:
        item, future = waiting.popleft()
        try:
            group.append(Result(item, future.result()))
            good += 1
        except DarknetError as error:
            group.append(Result(item, error=error))
    return group


def _join(
    group: Sequence[Result[Item, Prepared, Output]], future: Future[Sequence[Output]]
) -> Iterator[Result[Item, Prepared, Output]]:
    """The results of a batch that ran."""
    failure: DarknetError | None = None
    outputs: Iterator[Output] = iter(())
    try:
        outputs = iter(future.result())
    except DarknetError as error:
        failure = error
    for result in group:
        if result.error is not None:
            yield result
        elif failure is not None:
            yield Result(result.item, error=failure)
        else:
            yield Result(result.item, result.prepared, next(outputs))

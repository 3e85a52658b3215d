"""Batches made ahead of time, by threads or by processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from concurrent.futures import ThreadPoolExecutor as Threads
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory
from types import TracebackType
from typing import NamedTuple

import numpy as np

from darknet_py.augmentation import use_one_thread
from darknet_py.bad_list import Problem
from darknet_py.datasets.base import Batch, Dataset
from darknet_py.errors import DataError

Size = tuple[int, int]
_Task = tuple[int, int, Size | None, int]


class _Sent(NamedTuple):
    """A batch in shared memory, from another process."""

    memory: str
    inputs: tuple[int, ...]
    truth: tuple[int, ...]
    paths: tuple[str, ...]
    problems: list[Problem]


class Loader:
    """Iterates over the mini-batches of `iterations`, subdivision by subdivision.

    They are the same whatever the number of workers. Use it in `with`, or call `close`: the
    batches under way are dropped then.
    """

    def __init__(
        self,
        dataset: Dataset,
        iterations: Iterable[int],
        *,
        subdivisions: int | None = None,
        share: tuple[int, int] = (0, 1),
        size_of: Callable[[int], Size | None] | None = None,
        images_of: Callable[[Size, int], int] | None = None,
        workers: int = 1,
        processes: bool = False,
        ahead: int | None = None,
    ) -> None:
        """Start.

        Args:
            dataset: what makes the batches.
            iterations: which ones; a resumed run starts at another.
            subdivisions: mini-batches of an iteration, where these are others than the cfg's;
                an iteration has the same rows.
            share: (rank, ranks): of each mini-batch this one's part, for training in several
                processes.
            size_of: the images' (height, width) in an iteration; None: as in the cfg.
            images_of: the rows of a mini-batch at a size, where the cfg's are so many.
            workers: how many make batches; 0: the caller's thread does, when it asks.
            processes: whether the workers are processes instead of threads.
            ahead: how many batches are made ahead (workers + 1).

        Raises:
            DataError: the rows of an iteration cannot be divided so.
        """
        self.dataset = dataset
        if share[1] > 1 and not dataset.is_divisible:
            raise DataError("a text is learned from in one process, not in several")
        form = dataset.form
        self.subdivisions = subdivisions or form.subdivisions
        rows, (rank, ranks) = form.images * form.subdivisions, share
        self.images = rows // (self.subdivisions * ranks)
        if self.images * self.subdivisions * ranks != rows:
            raise DataError(
                f"{rows} images of an iteration cannot be divided into {self.subdivisions} "
                f"subdivisions" + f" of {ranks} processes" * (ranks > 1)
            )
        self._size_of = size_of or (lambda iteration: None)
        self._images_of = images_of or (lambda size, images: images)
        self._ahead = max(ahead or workers + 1, 1)
        self._under_way: deque[Future[Batch | _Sent]] = deque()
        self._tasks = self._plan(iterations, rank, ranks)
        self._stack = ExitStack()
        self._executor = self._start(workers, processes)

    def _plan(self, iterations: Iterable[int], rank: int, ranks: int) -> Iterator[_Task]:
        for iteration in iterations:
            size, images = self._size_of(iteration), self.images
            if size is not None:
                images = self._images_of(size, images)
            for subdivision in range(self.subdivisions):
                yield iteration, subdivision * ranks + rank, size, images

    def _start(self, workers: int, processes: bool) -> Executor | None:
        if workers < 1:
            return None
        if processes:
            return ProcessPoolExecutor(
                workers, get_context("spawn"), initializer=_begin, initargs=(self.dataset,)
            )
        self._stack.enter_context(use_one_thread())
        return Threads(workers, thread_name_prefix="images")

    def __iter__(self) -> Iterator[Batch]:
        """The batches."""
        return self

    def __next__(self) -> Batch:
        """The next batch.

        Raises:
            DataError: a file cannot be read.
        """
        if self._executor is None:
            iteration, subdivision, size, images = next(self._tasks)
            return self.dataset.batch(iteration, subdivision, size, images)
        while len(self._under_way) < self._ahead:
            task = next(self._tasks, None)
            if task is None:
                break
            self._under_way.append(self._submit(self._executor, task))
        if not self._under_way:
            self.close()
            raise StopIteration
        try:
            made = self._under_way.popleft().result()
        except BrokenExecutor:
            self.close()
            raise DataError(
                "a process that reads images died: is there too little memory?"
            ) from None
        except BaseException:
            self.close()
            raise
        batch = self._receive(made) if isinstance(made, _Sent) else made
        self.dataset.bad.tell()
        return batch

    def _submit(self, executor: Executor, task: _Task) -> Future[Batch | _Sent]:
        if isinstance(executor, ProcessPoolExecutor):
            return executor.submit(_send, task)
        return executor.submit(self.dataset.make, *task)

    def _receive(self, sent: _Sent) -> Batch:
        memory = SharedMemory(sent.memory)
        try:
            inputs, truth = (part.copy() for part in _parts(memory, sent.inputs, sent.truth))
        finally:
            memory.close()
            memory.unlink()
        self.dataset.bad.add(sent.problems)
        return Batch(inputs, truth, sent.paths)

    def close(self) -> None:
        """Stop the workers; batches under way are dropped."""
        executor, self._executor = self._executor, None
        self._tasks = iter(())
        if executor is not None:
            under_way, self._under_way = self._under_way, deque()
            for future in under_way:
                future.cancel()
            executor.shutdown(wait=True, cancel_futures=True)
            for future in under_way:
                if not future.cancelled() and not future.exception():
                    made = future.result()
                    if isinstance(made, _Sent):
                        self._receive(made)
        self._stack.close()

    def __enter__(self) -> Loader:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


def _parts(
    memory: SharedMemory, inputs: tuple[int, ...], truth: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    first: np.ndarray = np.ndarray(inputs, np.float32, memory.buf)
    return first, np.ndarray(truth, np.float32, memory.buf, first.nbytes)


_dataset: Dataset


def _begin(dataset: Dataset) -> None:
    """In a new process: take the data set, and end when the parent does."""
    global _dataset
    _dataset = dataset
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    use_one_thread().__enter__()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _send(task: _Task) -> _Sent:
    """In a process: make a batch and lay it into shared memory."""
    batch = _dataset.make(*task)
    size = batch.inputs.nbytes + batch.truth.nbytes
    memory = SharedMemory(create=True, size=max(size, 1))
    inputs, truth = _parts(memory, batch.inputs.shape, batch.truth.shape)
    inputs[:], truth[:] = batch.inputs, batch.truth
    del inputs, truth  # which hold the memory open
    memory.close()
    problems = _dataset.bad.take()
    return _Sent(memory.name, batch.inputs.shape, batch.truth.shape, batch.paths, problems)

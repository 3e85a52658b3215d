"""Text and tokens for recurrent networks: streams of one-hot rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from darknet_py.datasets.base import Batch, Dataset
from darknet_py.errors import DataError


def read_characters(path: str, limit: int) -> np.ndarray:
    """The bytes of a text, as numbers below `limit`. C: rnn.c:train_char_rnn.

    Raises:
        DataError: the file cannot be opened, is empty, or holds other bytes; C: "Bad char".
    """
    try:
        symbols = np.frombuffer(Path(path).read_bytes(), np.uint8).astype(np.int64)
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from None
    return _check(path, symbols, 1, limit, "character")


def read_tokens(path: str, limit: int) -> np.ndarray:
    """The numbers in a file of tokens, below `limit`. C: rnn.c:read_tokenized_data.

    Raises:
        DataError: the file cannot be opened, is empty, or holds others.
    """
    try:
        words = Path(path).read_text(encoding="latin-1").split()
        symbols = np.array([int(word) for word in words], np.int64)
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path}: must hold whole numbers: {error}") from None
    return _check(path, symbols, 0, limit, "token")


def _check(path: str, symbols: np.ndarray, low: int, limit: int, what: str) -> np.ndarray:
    if not len(symbols):
        raise DataError(f"{path}: is empty")
    wrong = np.flatnonzero((symbols < low) | (symbols >= limit))
    if len(wrong):
        at = int(wrong[0])
        raise DataError(
            f"{path}: {what} {int(symbols[at])} at {at} is not one of {low} to {limit - 1}, "
            f"which the network's inputs={limit} can take"
        )
    return symbols


@dataclass
class Text(Dataset):
    """Streams through a text: the input is a symbol, the truth the next one.

    Rows are (step, stream): all streams' first symbols, then their second ones, … A stream goes
    on where its last mini-batch ended; once in `jump` mini-batches it starts somewhere else,
    and the network forgets its state (`jumps`). C: rnn.c:get_rnn_data, train_char_rnn.
    """

    is_divisible: ClassVar[bool] = False

    symbols: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    jump: int = 64
    path: str = ""

    @property
    def length(self) -> int:
        """Symbols of the text."""
        return len(self.symbols)

    @property
    def truths(self) -> int:
        """One for each symbol that there may be."""
        return self.form.channels

    def shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """As many values as there may be symbols."""
        return (self.form.channels,)

    def make(
        self,
        iteration: int,
        subdivision: int = 0,
        size: tuple[int, int] | None = None,
        images: int | None = None,
    ) -> Batch:
        """A mini-batch; its rows are not to be split otherwise than the cfg does."""
        steps = max(self.form.time_steps, 1)
        streams = self.form.images // steps
        time = iteration * self.form.subdivisions + subdivision
        places = [self._place(time, stream, steps) for stream in range(streams)]
        where = (np.array(places)[None, :] + np.arange(steps)[:, None]) % self.length
        rows = np.arange(steps * streams)
        inputs = np.zeros((len(rows), self.truths), np.float32)
        truth = np.zeros_like(inputs)
        inputs[rows, self.symbols[where.ravel()]] = 1
        truth[rows, self.symbols[(where.ravel() + 1) % self.length]] = 1
        return Batch(inputs, truth, (self.path,) * len(rows))

    def jumps(self, iteration: int, subdivision: int = 0) -> Sequence[int]:
        """The streams that start anew with this mini-batch: their states are to be reset."""
        streams = self.form.images // max(self.form.time_steps, 1)
        time = iteration * self.form.subdivisions + subdivision
        return [stream for stream in range(streams) if self._start(time, stream) is not None]

    def _start(self, time: int, stream: int) -> int | None:
        """Where a stream starts anew at mini-batch `time`; None: it goes on."""
        random = self.random(time, stream)
        if time and random.integers(self.jump):
            return None
        return int(random.integers(self.length))

    def _place(self, time: int, stream: int, steps: int) -> int:
        """Where a stream is at mini-batch `time`: back to where it started."""
        last = time
        while (start := self._start(last, stream)) is None:
            last -= 1
        return start + (time - last) * steps

    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """Not used: rows come by mini-batches."""
        raise NotImplementedError

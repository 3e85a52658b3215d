"""Signals that end a long command tidily."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):
    """A signal came while something long was under way."""


class Signals:
    """Takes SIGINT, SIGTERM and SIGHUP: the first ends the run tidily, the second at once."""

    def __init__(self) -> None:
        self.caught = 0
        self.is_silent = False

    @contextmanager
    def __call__(self) -> Iterator[Signals]:
        """While this lasts."""
        names = ("SIGINT", "SIGTERM", "SIGHUP")
        known = [getattr(signal, name) for name in names if hasattr(signal, name)]
        before = {number: signal.signal(number, self._take) for number in known}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.caught:
            raise KeyboardInterrupt
        self.caught = number
        if not self.is_silent:
            print("\ndarknet-py: ending after this iteration", file=sys.stderr, flush=True)

    def check(self) -> None:
        """Raise Interrupted if one came."""
        if self.caught:
            raise Interrupted

"""What is wrong with training data: told once, and written down as AlexeyAB's program does."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from darknet_py.errors import DarknetWarning

MOST_WARNINGS = 10
"""How many problems are told one by one; the others stand in bad.list only."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the data, and was left out."""

    path: str
    line: int
    """The line in that file; 0: the file as a whole."""
    message: str
    annotation: str = ""
    """AlexeyAB's words for a wrong label, which go to bad_label.list."""

    def __str__(self) -> str:
        """`file:line: what`."""
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.message}"


class BadList:
    """Collects problems; `tell` warns and appends to `bad.list` and `bad_label.list`.

    bad.list gets a line for each problem: the path of a file that is missing, as from C, or
    `file:line: what is wrong`. bad_label.list gets AlexeyAB's line for each wrong label
    (C: data.c:read_boxes, fill_truth_detection).
    """

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is where the lists are written; None: nowhere."""
        self.folder = folder
        self.told = 0
        self._known: set[Problem] = set()
        self._new: list[Problem] = []
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        """For another process: nothing is known there, and nothing written from there."""
        return {"folder": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        """See `__getstate__`."""
        self.__init__()  # type: ignore[misc]

    def add(self, problems: Iterable[Problem]) -> None:
        """Remember those that are new; any thread may call this."""
        with self._lock:
            for problem in problems:
                if problem not in self._known:
                    self._known.add(problem)
                    self._new.append(problem)

    def take(self) -> list[Problem]:
        """What was added since the last time."""
        with self._lock:
            new, self._new = self._new, []
        return new

    def tell(self) -> None:
        """Warn of what was added since the last time, and write it down."""
        new = self.take()
        if not new:
            return
        if self.folder is not None:
            with contextlib.suppress(OSError):  # the lists are a service: training goes on
                self._append("bad.list", [_line(problem) for problem in new])
                annotations = [f"{p.path} {p.annotation}" for p in new if p.annotation]
                self._append("bad_label.list", annotations)
        for problem in new:
            self.told += 1
            if self.told <= MOST_WARNINGS:
                warnings.warn(str(problem), DarknetWarning, stacklevel=3)
            elif self.told == MOST_WARNINGS + 1:
                where = f"{self.folder / 'bad.list'} names them" if self.folder else "not told"
                warnings.warn(f"more labels are bad: {where}", DarknetWarning, stacklevel=3)

    def _append(self, name: str, lines: list[str]) -> None:
        assert self.folder is not None
        if lines:
            with (self.folder / name).open("a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in lines))


def _line(problem: Problem) -> str:
    return str(problem) if problem.line else problem.path

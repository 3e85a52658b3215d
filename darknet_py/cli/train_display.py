"""How a training run is shown by default: a live line on a terminal, else a line now and then."""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darknet_py.session import Session
    from darknet_py.train import Progress

PAUSE = 10.0
"""Seconds between two lines where there is no terminal."""


@dataclass
class Display:
    """Loss, average, rate, images a second, time left, last and best score."""

    session: Session
    shown: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.live = sys.stdout.isatty()
        self._last = -PAUSE
        self._times: deque[float] = deque(maxlen=50)

    def begin(self) -> None:
        """What is trained."""
        learner, run = self.session.learner, self.session.run
        end = learner.options.max_batches
        print(
            f"Training on {self.session.dataset.length} samples, "
            f"{learner.batch * learner.subdivisions} an iteration, from iteration "
            f"{learner.iteration} to {end or 'the end of time'} (seed {run.seed})",
            flush=True,
        )

    def show(self, progress: Progress) -> None:
        """One iteration."""
        self._times.append(progress.seconds + progress.waited)
        line, now = self._line(progress), time.monotonic()
        if self.live:
            width = max(shutil.get_terminal_size().columns - 1, 20)
            line = (line if len(line) <= width else _short(line))[:width]
            print(f"\r{line:<{len(self.shown)}}", end="", flush=True)
            self.shown = line
        elif now >= self._last + PAUSE or progress.iteration == self.end:
            self._last = now
            print(line, flush=True)

    @property
    def end(self) -> int:
        """The last iteration."""
        return self.session.learner.options.max_batches

    def show_score(self, score: float, *, is_best: bool) -> None:
        """One evaluation."""
        self.clear()
        examiner, iteration = self.session.examiner, self.session.learner.iteration
        title = examiner.title if examiner else "score"
        best = " (the best so far)" if is_best else f" (best: {self.session.run.best:.2%})"
        print(f"{iteration}: {title} {score:.2%}{best}", flush=True)

    def tell(self, line: str) -> None:
        """Something else, on stderr."""
        self.clear()
        sys.stdout.flush()
        print(f"darknet-py: {line}", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the live line away."""
        if self.shown:
            print(f"\r{'':{len(self.shown)}}\r", end="", flush=True)
            self.shown = ""

    def hours(self, iteration: int) -> float:
        """How much longer it takes."""
        seconds = sum(self._times) / max(len(self._times), 1)
        return max(self.end - iteration, 0) * seconds / 3600

    def _line(self, p: Progress) -> str:
        learner, run = self.session.learner, self.session.run
        count = learner.batch * learner.subdivisions
        seconds = sum(self._times) / len(self._times)
        parts = [
            f"{p.iteration}/{self.end}" if self.end else f"{p.iteration}",
            f"loss {p.loss:.4g}",
            f"average {p.average:.4g}",
            f"rate {p.rate:.3g}",
            f"{count / max(seconds, 1e-9):.1f} images/s",
        ]
        if self.end:
            parts.append(f"{_time(self.hours(p.iteration))} left")
        if run.score >= 0 and self.session.examiner is not None:
            title = self.session.examiner.title
            parts.append(f"{title} {run.score:.1%}, best {run.best:.1%}")
        return "  ".join(parts)


def _short(line: str) -> str:
    """The line for a narrow terminal."""
    for word, less in (("average", "avg"), (" images/s", "/s"), (" left", ""), ("  ", " ")):
        line = line.replace(word, less)
    return line


def _time(hours: float) -> str:
    """Hours as `2:05:09`."""
    seconds = round(hours * 3600)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"

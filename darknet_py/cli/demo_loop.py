"""The frames of a video, answered one after the other: for all `demo` commands but detectors'."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from darknet_py.cli.demo_outputs import ESCAPE, Outputs, clear_screen
from darknet_py.pipeline import overlap

if TYPE_CHECKING:
    import numpy as np

Output = TypeVar("Output")


def answer_frames(
    outputs: Outputs,
    clock: Clock,
    prepare: Callable[[np.ndarray], np.ndarray],
    run: Callable[[np.ndarray], Output],
    tell: Callable[[Output], list[str]],
    draw: Callable[[np.ndarray, Output, list[str]], np.ndarray],
) -> None:
    """Answer every frame, until the video ends, the time is over or Esc is pressed.

    Args:
        outputs: where frames come from and go to.
        clock: prints the lines.
        prepare: makes the network's input of a frame, in a thread of its own.
        run: computes, in another.
        tell: the lines of an output.
        draw: a frame with its output and lines, where pictures are wanted.
    """

    def run_one(batch: Sequence[np.ndarray]) -> list[tuple[Output, float]]:
        answers = []
        for inputs in batch:
            start = time.perf_counter()
            output = run(inputs)
            answers.append((output, time.perf_counter() - start))
        return answers

    with closing(overlap(outputs.frames(), prepare, run_one, 1)) as results:  # type: ignore[type-var]  # it is a generator
        for result in results:
            output, seconds = result.get()[1]
            lines = tell(output)
            clock.print(lines)
            if outputs.wants_pictures:
                outputs.show(draw(result.item, output, lines), 1 if clock.alexeyab else 0)
            clock.count(outputs.step(), seconds, outputs)
            if outputs.is_late or outputs.take_key() == ESCAPE:
                return


class Clock:
    """Counts frames a second as the dialect does, and prints them."""

    def __init__(self, alexeyab: bool, benchmark: bool) -> None:
        self.alexeyab, self._benchmark = alexeyab, benchmark
        self._rate = self._steady_rate = 0.0
        self._since = (0.0, 0)

    def print(self, lines: list[str]) -> None:
        """A frame's lines."""
        if not self.alexeyab:
            clear_screen("\033[2J\033[1;1H")
            print("\n".join([f"\nFPS:{self._rate:.0f}", *lines]), flush=True)
            return
        clear_screen("\033[H\033[J")
        if self._benchmark:
            print(f"\rFPS: {self._rate:.2f} \t AVG_FPS = {self._steady_rate:.2f} ", flush=True)
            return
        hint = "(use -benchmark command line flag for correct measurement)"
        print("\n".join([f"\rFPS: {self._rate:.2f}  {hint}", *lines, ""]), flush=True)

    def count(self, seconds: float, computing: float, outputs: Outputs) -> None:
        """A frame that took `seconds`, of which the network took `computing`."""
        now = 1 / max(computing if self.alexeyab else seconds, 1e-6)
        is_first = self.alexeyab and not self._rate
        self._rate = now if is_first else 0.9 * self._rate + 0.1 * now
        start, count = self._since
        if outputs.seconds - start >= 3:
            self._steady_rate = (outputs.count - count) / (outputs.seconds - start)
            self._since = outputs.seconds, outputs.count

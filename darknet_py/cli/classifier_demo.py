"""`classifier demo`: the classes of each frame of a video."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Command, Flag
from darknet_py.cli.demo_outputs import ESCAPE, SHOWS, VIDEO, Outputs, clear_screen, open_video
from darknet_py.cli.flags import (
    BACKEND,
    CFG_OR_MODEL,
    CLASSIFIER_ONLY,
    CUDA,
    MODEL,
    MODEL_DATA,
    MODEL_WEIGHTS,
    TOP,
)
from darknet_py.cli.load import load_scorer
from darknet_py.cli.model import open_data
from darknet_py.errors import DarknetError
from darknet_py.pipeline import overlap

if TYPE_CHECKING:
    import numpy as np

    from darknet_py.scorer import Scorer


def _run(args: Namespace) -> int:
    data = open_data(args, "")
    print("Classifier Demo", flush=True)
    if args.t < 0:
        raise DarknetError(f"-t must not be negative, got {args.t}")
    with ExitStack() as stack:
        video = stack.enter_context(open_video(args))
        scorer = load_scorer(args, data)
        alexeyab = scorer.dialect.name == "alexeyab"
        if alexeyab:  # PARITY: unlike `predict`, which crops (C: AlexeyAB's demo_classifier)
            scorer.preprocess = "squash"
            print(f"Video stream: {video.width} x {video.height} ")
        outputs = stack.enter_context(Outputs(args, video, "Classifier"))
        top = args.t or max(data.number("top", 1) if data else 1, 1)
        _answer_all(scorer, outputs, args, top, stack)
    outputs.print_rate()
    return 0


def _answer_all(
    scorer: Scorer, outputs: Outputs, args: Namespace, top: int, stack: ExitStack
) -> None:
    from darknet_py.scorer import top_k
    from darknet_py.video import to_grey

    grey = scorer.image.channels == 1

    def prepare(frame: np.ndarray) -> np.ndarray:
        return scorer.prepare(to_grey(frame) if grey else frame)

    def run(batch: Sequence[np.ndarray]) -> list[tuple[np.ndarray, float]]:
        answers = []
        for inputs in batch:
            start = time.perf_counter()
            scores = scorer.run(inputs)[0]
            answers.append((scores, time.perf_counter() - start))
        return answers

    clock = _Clock(scorer.dialect.name == "alexeyab", args.benchmark)
    results = overlap(outputs.frames(), prepare, run, 1)
    stack.enter_context(closing(results))  # type: ignore[type-var]  # it is a generator
    for result in results:
        scores, seconds = result.get()[1]
        best = top_k(scores, top)
        lines = [f"{float(scores[i]) * 100:.1f}%: {scorer.names[i]}" for i in best]
        clock.print(lines)
        if outputs.wants_pictures:
            from darknet_py.draw import draw_lines

            outputs.show(draw_lines(result.item, lines), 1 if clock.alexeyab else 0)
        clock.count(outputs.step(), seconds, outputs)
        if outputs.is_late or outputs.take_key() == ESCAPE:
            return


class _Clock:
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


_TAKEN = {flag.name for flag in SHOWS}
DEMO = Command(
    "classifier demo",
    "Name what the frames of a video or a camera show, with the classes of a .data file. Esc in "
    "the window ends it.",
    (MODEL_DATA, CFG_OR_MODEL, MODEL_WEIGHTS, VIDEO),
    (
        TOP,
        *SHOWS,
        *BACKEND,
        *MODEL,
        *(flag for flag in CLASSIFIER_ONLY if flag.name not in _TAKEN),
        Flag("s", kind=int, idle=True),
        *CUDA,
    ),
    _run,
)

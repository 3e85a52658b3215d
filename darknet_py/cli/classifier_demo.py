"""`classifier demo`: the classes of each frame of a video."""

from __future__ import annotations

from argparse import Namespace
from contextlib import ExitStack
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Command, Flag
from darknet_py.cli.demo_loop import Clock, answer_frames
from darknet_py.cli.demo_outputs import SHOWS, VIDEO, Outputs, open_video
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
        _answer_all(scorer, outputs, args, top)
    outputs.print_rate()
    return 0


def _answer_all(scorer: Scorer, outputs: Outputs, args: Namespace, top: int) -> None:
    from darknet_py.draw import draw_lines
    from darknet_py.scorer import top_k
    from darknet_py.video import to_grey

    grey = scorer.image.channels == 1

    def prepare(frame: np.ndarray) -> np.ndarray:
        return scorer.prepare(to_grey(frame) if grey else frame)

    def run(inputs: np.ndarray) -> np.ndarray:
        scores: np.ndarray = scorer.run(inputs)[0]
        return scores

    def tell(scores: np.ndarray) -> list[str]:
        best = top_k(scores, top)
        return [f"{float(scores[i]) * 100:.1f}%: {scorer.names[i]}" for i in best]

    def draw(frame: np.ndarray, scores: np.ndarray, lines: list[str]) -> np.ndarray:
        return draw_lines(frame, lines)

    clock = Clock(scorer.dialect.name == "alexeyab", args.benchmark)
    answer_frames(outputs, clock, prepare, run, tell, draw)


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

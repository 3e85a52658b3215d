"""One run of a train command: what is built, printed, drawn, and how it ends."""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import ExitStack
from typing import TYPE_CHECKING

from darknet_py.cli.signals import Interrupted, Signals
from darknet_py.cli.train_display import Display
from darknet_py.cli.train_lines import CLines
from darknet_py.cli.train_session import Spec, base_name, open_session

if TYPE_CHECKING:
    from darknet_py.session import Session


def run(spec: Spec, args: Namespace) -> int:
    """Train as a line says; the exit status."""
    from darknet_py.group import is_member, join
    from darknet_py.launch import launch, read_gpus
    from darknet_py.parallel import Follower

    gpus = read_gpus(args.gpus)
    if len(gpus) > 1 and not is_member() and not args.nogpu and args.i is None:
        return launch(gpus, [sys.executable, "-m", "darknet_py", *args.words])
    device = "cpu" if args.nogpu else args.device
    with Signals()() as signals, join(device, gpus) as group:
        signals.is_silent = not group.is_first
        session = open_session(spec, args, signals, group)
        if isinstance(session, Follower):
            session.run()
            return 0
        display = Display(session)
        session.tell = display.tell
        lines: CLines | Display = display
        if args.c_lines:
            lines = CLines(session, spec.style, base_name(args), session.examiner)  # type: ignore[arg-type]
        with ExitStack() as stack:
            return _go(args, session, display, lines, signals, stack)


def _go(
    args: Namespace,
    session: Session,
    display: Display,
    lines: CLines | Display,
    signals: Signals,
    stack: ExitStack,
) -> int:
    from darknet_py.cli.train_records import Records

    records = stack.enter_context(Records(args, session, base_name(args)))
    run = session.run

    def show_score() -> None:
        lines.show_score(run.score, is_best=run.best == run.score)
        records.add_score()

    session.scored, session.stop = show_score, lambda: bool(signals.caught)
    lines.begin()
    _warn_if_over(session, display)
    iterations = iter(session)
    try:
        for progress in iterations:
            lines.show(progress)
            records.add(progress, display.hours(progress.iteration))
    except Interrupted:
        session.ended = False
    finally:
        iterations.close()  # type: ignore[attr-defined]
        display.clear()
    if not session.ended:
        return _leave(args, session, display, signals.caught)
    records.save()
    if not session.finish():
        return 1
    checkpoints = session.checkpoints
    if not args.c_lines:
        path = checkpoints.folder / f"{checkpoints.base}_final.weights"
        print(f"Done: {session.learner.iteration} iterations, {path}", flush=True)
    elif session.learner.network.dialect.name == "alexeyab" and lines.style == "detector":  # type: ignore[union-attr]
        print(
            "If you want to train from the beginning, then use flag in the end of training "
            "command: -clear "
        )
    return 0


def _leave(args: Namespace, session: Session, display: Display, number: int) -> int:
    """Save, and say how to go on."""
    display.clear()
    if session.save():
        words = [word for word in (getattr(args, "data", None), args.cfg) if word]
        line = " ".join([args.command, *words, str(session.checkpoints.last)])
        display.tell(
            f"stopped at iteration {session.learner.iteration}; to go on, add -resume to the "
            f"line, or: darknet-py {line}"
        )
    return 128 + number


def _warn_if_over(session: Session, display: Display) -> None:
    learner = session.learner
    end = learner.options.max_batches
    if end and learner.iteration >= end and not session.run.losses:
        display.tell(
            f"the weights have seen {learner.seen} images, iteration {learner.iteration}, and "
            f"max_batches={end}: nothing is left to train (-clear starts from 0)"
        )

"""One run of a train command: what is built, printed, drawn, and how it ends."""

from __future__ import annotations

import signal
import sys
import warnings
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal

from darknet_py.cli.model import choose_device, print_loaded, resolve
from darknet_py.cli.train_display import Display
from darknet_py.cli.train_lines import CLines, Style
from darknet_py.cli.weights import build
from darknet_py.datafile import DataFile, read_data
from darknet_py.errors import DarknetError, DarknetWarning

if TYPE_CHECKING:
    from darknet_py.checkpoints import Cadence, Checkpoints
    from darknet_py.datasets import Dataset
    from darknet_py.examiners import MapExaminer, TopExaminer
    from darknet_py.group import Group
    from darknet_py.learning import Learner
    from darknet_py.network import Network
    from darknet_py.parallel import Follower
    from darknet_py.session import Session
    from darknet_py.training_state import State


@dataclass(frozen=True)
class Spec:
    """What is a train command's own."""

    kind: str
    """Of its data, one of `datasets.KINDS`."""
    cadences: dict[str, Cadence]
    """By dialect."""
    style: Style
    examination: Literal["map", "top"] | None = None
    keep: float = 0.9
    """How much of the average loss an iteration keeps."""


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
            lines = CLines(session, spec.style, _base(args), session.examiner)  # type: ignore[arg-type]
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

    records = stack.enter_context(Records(args, session, _base(args)))
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


def open_session(
    spec: Spec, args: Namespace, signals: Signals, group: Group
) -> Session | Follower:
    """All that a run needs: from the line, the cfg, the .data file and a state, if there is one.

    Raises:
        DarknetError: something is wrong with one of them.
    """
    import torch

    from darknet_py.checkpoints import Checkpoints
    from darknet_py.datasets import dataset_of
    from darknet_py.inputs import find_device
    from darknet_py.learning import Learner
    from darknet_py.parallel import Follower, ParallelLearner
    from darknet_py.session import Session
    from darknet_py.training_checks import check_batch, check_detector
    from darknet_py.training_state import Run

    if not group.is_first:  # the first one prints
        args.quiet = True
        warnings.simplefilter("ignore", DarknetWarning)
    torch.manual_seed(args.seed or 0)
    network = build(args)
    check_batch(network)
    data = read_data(resolve(args.data)) if getattr(args, "data", None) else None
    names = None
    if spec.kind == "detector" and data is not None:
        names = check_detector(network, data, args.map)
    several = group.ranks > 1
    device = find_device(group.device if several else choose_device(args))

    def prepare(seed: int) -> tuple[Learner, Dataset]:
        source = data if data is not None else Path(args.file if spec.kind == "rnn" else args.list)
        bad = Path() if group.is_first else None
        dataset = dataset_of(network, source, _kind(spec, args, data), seed, bad=bad)
        network.to(device)
        if not several:
            return Learner(network, amp=args.amp, seed=seed), dataset
        sync = args.syncbn
        learner = ParallelLearner(network, group, sync_batchnorm=sync, amp=args.amp, seed=seed)
        return learner, dataset

    if not group.is_first:
        seed = group.agree(0)
        learner, dataset = prepare(seed)
        stop = lambda: bool(signals.caught)  # noqa: E731
        return Follower(learner, dataset, seed, args.workers, args.processes, stop)
    dialect = network.dialect.name
    cadence = _adapt(spec.cadences[dialect], data, network)
    checkpoints = Checkpoints(_folder(args, data), _base(args), cadence)
    state = _find_state(args, checkpoints, network)
    if state is None and args.weights:
        _load(args, network)
    if args.clear:
        network.seen = 0
    seed = args.seed if args.seed is not None else state.run.seed if state else 0
    learner, dataset = prepare(group.agree(seed))
    checkpoints.tidy()
    session = Session(
        learner,
        dataset,
        checkpoints,
        Run(seed=seed),
        workers=args.workers,
        processes=args.processes,
        save_seconds=args.save_minutes * 60,
        keep=spec.keep,
    )
    if state is not None:
        session.resume(state)
        session.run.seed = seed
        print(f"Going on from iteration {state.iteration} ({state.path})", file=sys.stderr)
        for change in state.changes(network)[:5]:
            print(f"darknet-py: the cfg has changed since: {change}", file=sys.stderr)
    session.examiner = _examiner(spec, args, session, data, names, signals)
    return session


def _load(args: Namespace, network: Network) -> None:
    from darknet_py.weights import load_weights

    weights = resolve(args.weights)
    load_weights(network, weights)
    if not args.quiet:
        print_loaded(network, weights)


def _find_state(args: Namespace, checkpoints: Checkpoints, network: Network) -> State | None:
    """The state to go on from; a line where there is one that is not used."""
    state = None
    if not args.clear:
        if args.resume:
            state = checkpoints.find(None)
        if state is None and args.weights:
            state = checkpoints.find(resolve(args.weights))
    if state is not None:
        state.check(network)
    elif checkpoints.state.is_file():
        print(
            f"darknet-py: {checkpoints.state} is not used and will be written over: with -resume "
            "the run goes on from there",
            file=sys.stderr,
        )
    return state


def _examiner(
    spec: Spec,
    args: Namespace,
    session: Session,
    data: DataFile | None,
    names: list[str] | None,
    signals: Signals,
) -> MapExaminer | TopExaminer | None:
    """What -map or -topk asks for."""
    wanted = getattr(args, {"map": "map", "top": "topk"}.get(spec.examination or "", ""), False)
    if not wanted or data is None:
        return None
    from darknet_py.evaluation.lists import list_pictures
    from darknet_py.examiners import MapExaminer, TopExaminer, map_pause

    learner = session.learner
    images, batch = session.dataset.length, learner.batch * learner.subdivisions
    paths = list_pictures(data, "valid", "train")
    burn_in = learner.options.burn_in
    if spec.examination == "map":
        return MapExaminer(
            paths,
            names,
            map_pause(images, batch, args.mAP_epochs),
            burn_in,
            args.points,
            args.thresh,
            args.iou_thresh,
            signals.check,
        )
    labels = getattr(session.dataset, "labels", None)
    if not labels:
        raise DarknetError(f"{data.path}: -topk needs labels=...")
    top = data.number("top", 5)
    return TopExaminer(paths, labels, top, 2 * images // batch, burn_in, signals.check)


def _warn_if_over(session: Session, display: Display) -> None:
    learner = session.learner
    end = learner.options.max_batches
    if end and learner.iteration >= end and not session.run.losses:
        display.tell(
            f"the weights have seen {learner.seen} images, iteration {learner.iteration}, and "
            f"max_batches={end}: nothing is left to train (-clear starts from 0)"
        )


def _kind(spec: Spec, args: Namespace, data: DataFile | None) -> str:
    if spec.kind == "classifier" and data is not None and data.number("tag", 0):
        return "tag"
    return "tokens" if getattr(args, "tokenized", False) else spec.kind


def _adapt(cadence: Cadence, data: DataFile | None, network: Network) -> Cadence:
    """With what the .data file says, and the length of the run."""
    from darknet_py.options import read_options
    from darknet_py.schedule import ScheduleOptions

    every, last = cadence.every, cadence.last_every
    if not every and cadence.from_last:
        options = read_options(ScheduleOptions, network.sections[0], network.dialect)
        every = 1000 if options.max_batches < 10000 else 10000
    if data is None:
        return replace(cadence, every=every)
    given = "saveweights" in data
    every, last = data.number("saveweights", every), data.number("savelast", last)
    return replace(cadence, every=every, last_every=last, early=0 if given else cadence.early)


def _folder(args: Namespace, data: DataFile | None) -> Path:
    if args.out is not None:
        return Path(args.out)
    named = data.get("backup") if data is not None else None
    if named and data is not None and not Path(named).is_dir():
        beside = Path(data.path).parent / named
        return beside if beside.is_dir() else Path(named)
    return Path(named or "backup")


def _base(args: Namespace) -> str:
    """C: utils.c:basecfg."""
    return Path(args.cfg).name.partition(".")[0]

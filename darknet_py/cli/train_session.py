"""What a train command builds: network, data, learner, checkpoints, from its line and files."""

from __future__ import annotations

import math
import sys
import warnings
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from darknet_py.cli.arguments import UsageError
from darknet_py.cli.model import choose_device, print_loaded, resolve
from darknet_py.cli.signals import Signals
from darknet_py.cli.train_lines import Style
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


def open_session(spec: Spec, args: Namespace, signals: Signals, group: Group) -> Session | Follower:
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

    if not args.max_norm >= 0:
        raise UsageError(f"-max_norm takes a length from 0 on, got {args.max_norm:g}")
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
        learner: Learner
        source = data if data is not None else Path(args.file if spec.kind == "rnn" else args.list)
        bad = Path() if group.is_first else None
        dataset = dataset_of(network, source, _kind(spec, args, data), seed, bad=bad)
        network.to(device)
        if several:
            sync = args.syncbn
            learner = ParallelLearner(network, group, sync_batchnorm=sync, amp=args.amp, seed=seed)
        else:
            learner = Learner(network, amp=args.amp, seed=seed)
        learner.optimizer.max_norm = args.max_norm or math.inf
        return learner, dataset

    if not group.is_first:
        seed = group.agree(0)
        learner, dataset = prepare(seed)
        stop = lambda: bool(signals.caught)  # noqa: E731
        return Follower(learner, dataset, seed, args.workers, args.processes, stop)
    dialect = network.dialect.name
    cadence = _adapt(spec.cadences[dialect], data, network)
    checkpoints = Checkpoints(_folder(args, data), base_name(args), cadence)
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
    if state is None and checkpoints.state.is_file():
        print(
            f"darknet-py: {checkpoints.state} is not used and will be written over: with -resume "
            "the run goes on from there",
            file=sys.stderr,
        )
    return session


def _load(args: Namespace, network: Network) -> None:
    from darknet_py.weights import load_weights

    weights = resolve(args.weights)
    load_weights(network, weights)
    if not args.quiet:
        print_loaded(network, weights)


def _find_state(args: Namespace, checkpoints: Checkpoints, network: Network) -> State | None:
    """The state to go on from."""
    state = None
    if not args.clear:
        if args.resume:
            state = checkpoints.find(None)
        if state is None and args.weights:
            state = checkpoints.find(resolve(args.weights))
    if state is not None:
        state.check(network)
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


def base_name(args: Namespace) -> str:
    """C: utils.c:basecfg."""
    return Path(args.cfg).name.partition(".")[0]

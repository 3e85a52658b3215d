"""`classifier valid` and its variants, and `label`, `test`, `csv` and `fout`."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Argument, Command, Flag, file_name
from darknet_py.cli.flags import (
    BACKEND,
    CFG_OR_MODEL,
    CLASSIFIER_ONLY,
    CUDA,
    DATA,
    MODEL,
    MODEL_WEIGHTS,
    WINDOWS,
)
from darknet_py.cli.inputs import Bar, write_text
from darknet_py.cli.load import load_scorer
from darknet_py.cli.model import resolve
from darknet_py.datafile import DataFile, read_data, read_names
from darknet_py.errors import DarknetError

if TYPE_CHECKING:
    import numpy as np

    from darknet_py.datafile import Tree
    from darknet_py.evaluation.top_k import TopCounter, View
    from darknet_py.scorer import Scorer

SPLIT = 1000
"""How many pictures `validcrop` takes at once."""


def _open(args: Namespace) -> tuple[DataFile, Scorer, Tree | None]:
    """The .data file, the classifier without its tree, and the tree."""
    args.preprocess = None
    data = read_data(resolve(args.data))
    scorer = load_scorer(args, data)
    tree, scorer.tree = scorer.tree, None
    return data, scorer, tree


def _labels(data: DataFile, scorer: Scorer) -> list[str]:
    """What stands in the paths of each class's pictures."""
    found = data.find("labels") or data.find("names")
    if found is None:
        raise DarknetError(f"{data.path}: has no line labels=... that names a list of labels")
    labels = read_names(resolve(str(found)))
    classes = data.number("classes", scorer.classes)
    if not classes <= min(len(labels), scorer.classes):
        raise DarknetError(
            f"{data.path}: classes={classes}, but there are {len(labels)} labels in {found} and "
            f"{scorer.classes} outputs of the network"
        )
    return labels[:classes]


def _valid(mode: str, args: Namespace) -> int:
    from darknet_py.evaluation import top_k
    from darknet_py.evaluation.lists import list_pictures

    data, scorer, tree = _open(args)
    labels = _labels(data, scorer)
    dialect = scorer.dialect.name
    views: dict[str, View] = {
        "valid": top_k.middle if dialect == "pjreddie" else top_k.short_side,
        "validfull": top_k.whole,
        "validmulti": top_k.MULTI[dialect],
        "valid10": top_k.ten,
        "validcrop": top_k.squashed,
    }
    paths = list_pictures(data, "valid")
    listed = data.find("leaves") if mode == "valid" else None
    leaves = None
    if tree is not None:
        leaves = top_k.mark_leaves(tree, None if listed is None else read_names(listed))
    counter = top_k.TopCounter(labels, min(data.number("top", 1), len(labels)))
    scores = top_k.score_all(
        scorer,
        paths,
        views[mode],
        # PARITY: here C sets the tree aside, and in validmulti for each mirror image.
        tree=None if mode == "validcrop" else tree,
        leaves=leaves,
        every_second=mode == "validmulti",
        batch=args.batch,
    )
    if mode == "validcrop":
        _print_splits(counter, paths, scores)
    else:
        _print_each(counter, paths, scores, mode == "valid", dialect)
    if args.out is not None:
        figures = {
            "images": counter.images,
            "top_1": counter.top_1,
            f"top_{counter.k}": counter.top,
        }
        write_text(Path(args.out), json.dumps(figures, indent=1) + "\n")
    return 0


def _print_each(
    counter: TopCounter, paths: list[str], scores: Iterable[np.ndarray], single: bool, dialect: str
) -> None:
    if single and dialect == "alexeyab":
        print(" TOP calculation...")
    for path, row in zip(paths, scores, strict=True):
        wanted = counter.add(path, row)
        if single and dialect == "pjreddie":
            second = float(row[1]) if len(row) > 1 else 0.0
            print(f"{path}, {wanted}, {float(row[0]):f}, {second:f}, ")
        if single and dialect == "alexeyab":
            print(f"\n{counter.line()}", end="", flush=True)
        else:
            print(counter.line(), flush=True)


def _print_splits(counter: TopCounter, paths: list[str], scores: Iterable[np.ndarray]) -> None:
    """C's lines on each thousand pictures; it fails where there are less."""
    splits = max(len(paths) // SPLIT, 1)
    ends = [(i + 1) * len(paths) // splits for i in range(splits)]
    start, before = time.perf_counter(), 0
    bar = Bar()
    for number, (path, row) in enumerate(zip(paths, scores, strict=True), start=1):
        bar.show(number, len(paths))
        counter.add(path, row)
        if number in ends:
            now = time.perf_counter()
            bar.clear()
            print(
                f"{counter.line(ends.index(number) + 1)}, {now - start:f} seconds, "
                f"{number - before} images",
                flush=True,
            )
            start, before = now, number


def _label(args: Namespace) -> int:
    from darknet_py.evaluation.top_k import short_side

    data, scorer, _ = _open(args)
    return _print_scores(args, data, scorer, short_side, lambda _, row: _best_name(scorer, row))


def _best_name(scorer: Scorer, row: np.ndarray) -> str:
    return scorer.names[int(row.argmax())]


def _test(args: Namespace) -> int:
    from darknet_py.evaluation.top_k import squashed

    data, scorer, _ = _open(args)
    return _print_scores(args, data, scorer, squashed, _all_scores)


def _csv(args: Namespace) -> int:
    from darknet_py.evaluation.top_k import letterboxed
    from darknet_py.scorer import top_k

    data, scorer, tree = _open(args)
    count = args.t or data.number("top", 1)

    def numbers(path: str, row: np.ndarray) -> str:
        return "\t".join([path, *(str(i) for i in top_k(row, count))])

    return _print_scores(args, data, scorer, letterboxed, numbers, tree, leaves_only=True)


def _fout(args: Namespace) -> int:
    from darknet_py.evaluation.lists import read_pictures
    from darknet_py.evaluation.top_k import short_side

    data, scorer, tree = _open(args)
    paths = read_pictures(args.file)
    return _print_scores(args, data, scorer, short_side, _all_scores, tree, paths=paths)


def _all_scores(path: str, row: np.ndarray) -> str:
    return "\t".join([path, *(f"{value:g}" for value in row.tolist())])


def _print_scores(
    args: Namespace,
    data: DataFile,
    scorer: Scorer,
    view: View,
    line: Callable[[str, np.ndarray], str],
    tree: Tree | None = None,
    *,
    leaves_only: bool = False,
    paths: list[str] | None = None,
) -> int:
    """A line for each picture of `test`, and how long it took on stderr."""
    from darknet_py.evaluation.lists import list_pictures
    from darknet_py.evaluation.top_k import mark_leaves, score_all

    paths = list_pictures(data, "test") if paths is None else paths
    leaves = mark_leaves(tree) if tree is not None and leaves_only else None
    start = time.perf_counter()
    scores = score_all(scorer, paths, view, tree=tree, leaves=leaves, batch=args.batch)
    for path, row in zip(paths, scores, strict=True):
        print(line(path, row), flush=True)
    seconds = time.perf_counter() - start
    print(f"{seconds:f} seconds, {len(paths)} images, {len(paths)} total", file=sys.stderr)
    return 0


BATCH = Flag("batch", "how many pictures run at once (default: 16)", int, 16)
JSON = Flag("out", "a JSON file with the figures", file_name)
TOP = Flag("t", "how many classes (default: the .data file's top, else 1)", int, 0, also=("top",))
_REST = (BATCH, *MODEL, *BACKEND, *WINDOWS, *CLASSIFIER_ONLY, *CUDA)
_WORDS = (DATA, CFG_OR_MODEL, MODEL_WEIGHTS)
_IDLE_TOP = Flag("t", kind=int, idle=True)


def _valid_command(name: str, doc: str) -> Command:
    text = f"Print how often the first answers are right for the pictures of valid=. {doc}"
    run = partial(_valid, name)
    return Command(f"classifier {name}", text, _WORDS, (JSON, _IDLE_TOP, *_REST), run)


COMMANDS = (
    _valid_command(
        "valid",
        "The square in the middle is looked at (alexeyab: the middle, of the picture whose short "
        "side is the network's). A picture is of the first class whose label, of labels=, its "
        "path holds; top= says how many answers count.",
    ),
    _valid_command("validcrop", "Pictures are stretched; a line for each thousand."),
    _valid_command("validfull", "The network is resized to each picture."),
    _valid_command("validmulti", "Several sizes and their mirror images are summed."),
    _valid_command("valid10", "Ten crops are summed."),
    Command(
        "classifier label",
        "Print the best name for each picture of test=.",
        _WORDS,
        (_IDLE_TOP, *_REST),
        _label,
    ),
    Command(
        "classifier test",
        "Print every probability for each picture of test=, stretched.",
        _WORDS,
        (_IDLE_TOP, *_REST),
        _test,
    ),
    Command(
        "classifier csv",
        "Print the numbers of the best classes for each picture of test=, letterboxed.",
        _WORDS,
        (TOP, *_REST),
        _csv,
    ),
    Command(
        "classifier fout",
        "Print every probability for each picture of a list.",
        (*_WORDS, Argument("file", "the list of pictures")),
        (_IDLE_TOP, *_REST),
        _fout,
    ),
)

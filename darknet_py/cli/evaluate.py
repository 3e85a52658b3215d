"""`detector map`, `valid`, `valid2` and `recall`, and those of `yolo` and `coco`."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from darknet_py.cli.arguments import Command, Flag, file_name
from darknet_py.cli.evaluation_styles import (
    COCO_RECALL,
    COCO_VALID,
    MAP,
    RECALL,
    VALID,
    YOLO_RECALL,
    YOLO_VALID,
    Style,
    both,
)
from darknet_py.cli.flags import (
    BACKEND,
    CAMERA,
    CFG_OR_MODEL,
    CUDA,
    DETECTOR_ONLY,
    MODEL,
    MODEL_WEIGHTS,
    WINDOWS,
)
from darknet_py.cli.flags import DATA as DATA_ARGUMENT
from darknet_py.cli.inputs import Bar, write_text
from darknet_py.cli.load import load_finder
from darknet_py.cli.model import resolve
from darknet_py.datafile import DataFile, read_data, read_map

if TYPE_CHECKING:
    from darknet_py.finder import Finder

T = TypeVar("T")


def _load(args: Namespace, data: DataFile, style: Style) -> Finder:
    """The detector, set up as the command wants it."""
    from darknet_py.evaluation.variants import Variant

    squash = False if style.squash else None
    named = None if style.paths else data
    finder = load_finder(args, named, hier=style.hier, letterbox=squash)
    dialect = finder.dialect.name
    finder.thresh, finder.nms = style.thresh[dialect], style.nms[dialect]
    if getattr(args, "letter_box", False):
        finder.letterbox = True
    elif style.squash is False and dialect == "alexeyab":
        finder.letterbox = _asks_for_letterbox(finder)
    suppression = style.suppression
    if suppression == "in place" and dialect == "pjreddie":
        suppression = "classes"
    class_map = None
    if "map" in data and any(kind == "region" for _, kind in finder.head_types):
        class_map = read_map(resolve(str(data.find("map"))))
    return Variant(finder, mirrored=style.mirrored, class_map=class_map, suppression=suppression)


def _asks_for_letterbox(finder: Finder) -> bool:
    """Whether the cfg does."""
    network = getattr(finder, "network", None)
    return finder.letterbox if network is None else bool(network.net.letter_box)


def _map(args: Namespace) -> int:
    from darknet_py.evaluation.coco_tables import CocoCounter, format_coco
    from darknet_py.evaluation.detection import count_map
    from darknet_py.evaluation.lists import list_pictures, read_pictures
    from darknet_py.evaluation.report import format_heads, format_map, format_voc, map_dict

    data = read_data(resolve(args.data))
    paths = list_pictures(data, "valid")
    hard = data.find("difficult") or data.find("valid_difficult")
    difficult = None if hard is None else read_pictures(hard)
    finder = _load(args, data, MAP)
    if args.nms is not None:
        finder.nms = args.nms
    coco = CocoCounter(finder.names) if args.coco else None
    bar, done = Bar(), 0

    def watch(found: Any, truths: Any) -> None:
        nonlocal done
        done += 1
        bar.show(done, len(paths))
        if coco is not None:
            coco.add(found, truths)

    print(format_heads(finder.head_types), end="", flush=True)
    start = time.perf_counter()
    counter = count_map(
        finder,
        paths,
        thresh=args.thresh,
        iou_thresh=args.iou_thresh,
        difficult=difficult,
        batch=args.batch,
        watch=watch,
    )
    bar.clear()
    report = counter.report(args.points)
    seconds = time.perf_counter() - start
    print(format_map(report), end="", flush=True)
    print(f"Total Detection Time: {int(seconds)} Seconds", file=sys.stderr)
    found = {**map_dict(report), "images": len(paths), "seconds": seconds}
    if coco is not None:
        found["voc"] = counter.voc()
        found["coco"] = coco.figures()
        print(f"\n{format_voc(found['voc'])}\n{format_coco(found['coco'])}", end="")
    _write_json(args, found)
    return 0


def _valid(style: Style, args: Namespace) -> int:
    from darknet_py.evaluation.result_files import FORMATS, FirstVoc, Voc, writing
    from darknet_py.evaluation.stream import find_all

    data, paths = _data(args, style)
    finder = _load(args, data, style)
    kind = style.eval or data.get("eval", "voc") or "voc"
    format_ = FirstVoc if kind == "first voc" else FORMATS.get(kind, Voc)
    folder = Path(data.get("results", "results") or "results")
    file = format_(folder, args.out, finder.names)
    if finder.dialect.name == "alexeyab" and not style.paths:
        from darknet_py.evaluation.report import head_lines

        print(head_lines(finder.head_types), end="", flush=True)
    start = time.perf_counter()
    with writing(file):
        for found in _watched(find_all(finder, paths, args.batch, in_pixels=True), len(paths)):
            file.add(found)
    seconds = time.perf_counter() - start
    print(f"Total Detection Time: {seconds:f} Seconds", file=sys.stderr)
    return 0


def _recall(style: Style, args: Namespace) -> int:
    from darknet_py.evaluation.detection import find_labels
    from darknet_py.evaluation.recall import RecallCounter
    from darknet_py.evaluation.stream import find_all

    data, paths = _data(args, style)
    finder = _load(args, data, style)
    counter = RecallCounter(finder.thresh)
    for found in find_all(finder, paths, args.batch):
        counter.add(found.detections, find_labels(found.path))
        print(counter.line(), file=sys.stderr)
    figures = {
        name: getattr(counter, name)
        for name in ("images", "total", "correct", "proposals", "recall", "average_iou")
    }
    _write_json(args, {k: None if v != v else v for k, v in figures.items()})
    return 0


def _data(args: Namespace, style: Style) -> tuple[DataFile, list[str]]:
    """The .data file, or an empty one, and the pictures of `valid`."""
    from darknet_py.evaluation.lists import list_pictures, read_pictures

    if style.paths is None:
        data = read_data(resolve(args.data))
        return data, list_pictures(data, "valid")
    path = args.list or style.paths["pjreddie" if args.dialect != "alexeyab" else "alexeyab"]
    return DataFile("", ()), read_pictures(path)


def _watched(items: Iterable[T], total: int) -> Iterator[T]:
    bar = Bar()
    for number, item in enumerate(items):
        bar.show(number, total)
        yield item
    bar.clear()


def _write_json(args: Namespace, found: dict[str, Any]) -> None:
    if args.out is not None:
        write_text(Path(args.out), json.dumps(found, indent=1, ensure_ascii=False) + "\n")


DATA = replace(DATA_ARGUMENT, doc="the .data file: valid= is the list of pictures, names= a list")
BATCH = Flag("batch", "how many pictures run at once (default: 16)", int, 16)
JSON = Flag("out", "a JSON file with all the figures", file_name)
RESULTS = Flag(
    "out",
    "the files' name without its ending, in the folder results= (default: as in C)",
    file_name,
)
LIST = Flag("list", "the list of pictures (default: the path that C has)", file_name)


def _but(flags: Iterable[Flag], *names: str) -> tuple[Flag, ...]:
    """Those of other names."""
    return tuple(flag for flag in flags if flag.name not in names)


_IDLE = (
    *(*WINDOWS, *CAMERA, *CUDA, *DETECTOR_ONLY),
    Flag("thresh", kind=float, idle=True),
    Flag("hier", kind=float, idle=True),
    Flag("ext_output", idle=True),
)


def _command(
    name: str, doc: str, run: Callable[[Namespace], int], flags: tuple[Flag, ...]
) -> Command:
    """A command with MODEL's flags and C's that do nothing."""
    with_data = name.startswith("detector")
    words = (DATA, CFG_OR_MODEL, MODEL_WEIGHTS) if with_data else (CFG_OR_MODEL, MODEL_WEIGHTS)
    own = {flag.name for flag in flags}
    return Command(name, doc, words, (*flags, BATCH, *MODEL, *BACKEND, *_but(_IDLE, *own)), run)


LETTER_BOX = Flag(
    "letter_box", "keep the pictures' aspect ratio (C: only where the cfg has letter_box=1)"
)

COMMANDS = (
    _command(
        "detector map",
        "Score a detector on the pictures of valid=: average precision of each class and its mean, "
        "precision, recall, F1 and average IoU, as AlexeyAB's program counts and prints them. "
        "Boxes come from suppression at 0.45, those of probability 0.005 and less do not count.",
        _map,
        (
            Flag("points", "0: area under the curve, 11: VOC 2007, 101: COCO", int, 0),
            Flag("thresh", "for precision, recall and average IoU (default: 0.25)", float, 0.25),
            Flag("iou_thresh", "the overlap that counts as found (default: 0.5)", float, 0.5),
            LETTER_BOX,
            Flag("nms", "overlap at which the weaker box goes, 0: none does (0.45)", float),
            Flag("coco", "also VOC's and COCO's tables, of the same boxes (needs the extra coco)"),
            JSON,
        ),
    ),
    _command(
        "detector valid",
        "Write the result files that a data set's own tool scores, in the folder results=: of "
        "VOC, or as eval= says: coco, imagenet, bdd, kitti.",
        partial(_valid, VALID),
        (RESULTS,),
    ),
    _command(
        "detector valid2",
        "The same with each picture and its mirror image averaged.",
        partial(_valid, replace(VALID, thresh=both(0.005), nms=both(0.45), mirrored=True)),
        (RESULTS,),
    ),
    _command(
        "detector recall",
        "Print on stderr, picture by picture, how many objects the proposals find. Pictures are "
        "stretched; classes do not matter.",
        partial(_recall, RECALL),
        (JSON,),
    ),
    _command(
        "yolo valid",
        "Write VOC's result files of a YOLOv1 network, results/comp4_det_test_CLASS.txt.",
        partial(_valid, YOLO_VALID),
        (RESULTS, LIST),
    ),
    _command(
        "yolo recall",
        "As detector recall, without suppression.",
        partial(_recall, YOLO_RECALL),
        (JSON, LIST),
    ),
    _command(
        "coco valid",
        "Write COCO's result file of a YOLOv1 network, results/coco_results.json.",
        partial(_valid, COCO_VALID),
        (RESULTS, LIST),
    ),
    _command(
        "coco recall",
        "As detector recall, without suppression.",
        partial(_recall, COCO_RECALL),
        (JSON, LIST),
    ),
)  # fmt: skip

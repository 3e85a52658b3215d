"""`detect`, `detector test`, `yolo test` and `coco test`."""

from __future__ import annotations

import os
import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Command
from darknet_py.cli.flags import (
    CAMERA,
    CFG_OR_MODEL,
    CUDA,
    DETECTOR_ONLY,
    EXT_OUTPUT,
    HIER,
    IMAGES,
    LETTERBOX,
    MODEL,
    MODEL_DATA,
    MODEL_WEIGHTS,
    OUT,
    SAVE_LABELS,
    WINDOWS,
    nms,
    thresh,
)
from darknet_py.cli.inputs import for_each_image, write_text
from darknet_py.cli.load import load_finder
from darknet_py.cli.model import open_data
from darknet_py.errors import DarknetError, DarknetWarning

if TYPE_CHECKING:
    from darknet_py.boxes import Detections
    from darknet_py.finder import Finder

PICTURES = (".bmp", ".jpeg", ".jpg", ".png")
LAYER_NUMBERS = {"region": 27, "yolo": 28, "Gaussian_yolo": 29}
"""What AlexeyAB's fork calls the types of heads (darknet.h: LAYER_TYPE)."""


@dataclass(frozen=True)
class Style:
    """Where the four commands differ."""

    thresh: dict[str, float]
    nms: float
    picture: str = "predictions"
    first_yolo: bool = False
    """YOLOv1's commands: the image is stretched, and the forks print alike."""


def _run(style: Style, args: Namespace) -> int:
    data = open_data(args, "cfg/coco.data")
    nms = style.nms if args.nms is None else args.nms
    letterbox = True if args.letter_box else False if style.first_yolo else None
    detector = load_finder(
        args, data, thresh=args.thresh, nms=nms, hier=args.hier, letterbox=letterbox
    )
    if args.thresh is None:
        detector.thresh = style.thresh[detector.dialect.name]
    picture, json = _outputs(args.out, style, detector)
    frames: list[str] = []
    answer = partial(_answer, detector, style, args, picture, None if json is None else frames)
    try:
        return for_each_image(args.image, answer)
    finally:
        if json is not None:
            from darknet_py.results import format_json_file

            write_text(json, format_json_file(frames))


def _outputs(out: str | None, style: Style, detector: Finder) -> tuple[Path | None, Path | None]:
    """The picture and the JSON file to write; no picture where none is asked for nor possible."""
    picture, json = Path(f"{style.picture}.jpg"), None
    if out is not None:
        suffix = Path(out).suffix.lower()
        alexeyab = detector.dialect.name == "alexeyab"
        if suffix == ".json" or (alexeyab and suffix not in PICTURES):
            json = Path(out)
        else:
            picture = Path(out if suffix in PICTURES else f"{out}.jpg")
    for path in (picture, json):
        if path is not None and not os.access(path.parent, os.W_OK):
            if out is None:  # C prints its lines all the same
                warnings.warn(f"{path}: cannot be written here", DarknetWarning, stacklevel=2)
                return None, None
            raise DarknetError(f"{path}: cannot be written: no such folder, or no right to")
    return picture, json


def _answer(
    detector: Finder,
    style: Style,
    args: Namespace,
    picture: Path | None,
    frames: list[str] | None,
    path: str,
) -> Callable[[], None]:
    from darknet_py import results
    from darknet_py.draw import draw_detections
    from darknet_py.image import save_image
    from darknet_py.pictures import read_picture

    pixels = read_picture(path, detector.image.channels)
    height, width = pixels.shape[:2]
    inputs = detector.prepare(pixels)
    start = time.perf_counter()
    outputs = [output[0] for output in detector.run(inputs)]
    seconds = time.perf_counter() - start
    found = _find(detector, detector.boxes(outputs, (height, width)), style)
    names, dialect = detector.names, detector.dialect
    if picture is not None:
        save_image(draw_detections(pixels, found, names, detector.thresh, dialect), picture)
    if frames is not None:
        objects = results.list_detections(found, names, width, height, 0.005)
        frames.append(results.format_json(objects, len(frames) + 1, path))
    if args.save_labels:
        write_text(results.label_path(path), results.format_labels(found, detector.thresh))
    size = (width, height) if args.ext_output else None
    lines = list(_lines(detector, style, found, f"{path}: Predicted in", seconds, size))
    return partial(print, "\n".join(lines))


def _find(detector: Finder, boxes: Detections, style: Style) -> Detections:
    found = detector.clean(boxes)
    if not (style.first_yolo and detector.dialect.name == "alexeyab"):
        return found
    import numpy as np

    # PARITY: here AlexeyAB's fork suppresses through a list of indices: the boxes stay where
    # they were (C: AlexeyAB's box.c:do_nms_sort_v2).
    numbers = np.arange(1, len(boxes) + 1, dtype=np.float32)
    found = detector.clean(type(boxes)(boxes.boxes, numbers, boxes.scores))
    order = np.argsort(found.objectness)
    return type(boxes)(found.boxes[order], boxes.objectness, found.scores[order])


def _lines(
    detector: Finder,
    style: Style,
    found: Detections,
    predicted: str,
    seconds: float,
    size: tuple[int, int] | None,
) -> Iterator[str]:
    """What C prints on one image."""
    from darknet_py.cli.report import alexeyab_boxes, best_boxes, pjreddie_boxes

    alexeyab = detector.dialect.name == "alexeyab"
    if alexeyab and not style.first_yolo:
        for index, kind in detector.head_types:
            if kind in LAYER_NUMBERS:
                yield f" Detection layer: {index} - type = {LAYER_NUMBERS[kind]} "
        yield f"{predicted} {seconds * 1000:f} milli-seconds."
        yield from alexeyab_boxes(found, detector.names, detector.thresh, size)
    else:
        yield f"{predicted} {seconds:f} seconds."
        report = best_boxes if alexeyab else pjreddie_boxes
        yield from report(found, detector.names, detector.thresh, size)


_COMMON = (EXT_OUTPUT, OUT, SAVE_LABELS, LETTERBOX)
_REST = (*MODEL, *WINDOWS, *CAMERA, *CUDA)

DETECT = Command(
    "detect",
    "Find objects in an image and draw them into predictions.jpg.",
    (CFG_OR_MODEL, MODEL_WEIGHTS, IMAGES),
    (thresh("pjreddie 0.5, alexeyab 0.24"), HIER, nms("0.45"), *_COMMON, *_REST, *DETECTOR_ONLY),
    partial(_run, Style({"pjreddie": 0.5, "alexeyab": 0.24}, 0.45)),
)
TEST = Command(
    "detector test",
    "Find objects in an image, with the names of a .data file, and draw them into predictions.jpg.",
    (MODEL_DATA, CFG_OR_MODEL, MODEL_WEIGHTS, IMAGES),
    (thresh("pjreddie 0.5, alexeyab 0.25"), HIER, nms("0.45"), *_COMMON, *_REST, *DETECTOR_ONLY),
    partial(_run, Style({"pjreddie": 0.5, "alexeyab": 0.25}, 0.45)),
)
YOLO = Command(
    "yolo test",
    "Find the VOC classes with a YOLOv1 network. The image is stretched to the network's size.",
    (CFG_OR_MODEL, MODEL_WEIGHTS, IMAGES),
    (thresh("0.2"), HIER, nms("0.4"), *_COMMON, *_REST),
    partial(_run, Style({"pjreddie": 0.2, "alexeyab": 0.2}, 0.4, first_yolo=True)),
)
COCO = Command(
    "coco test",
    "Find the COCO classes with a YOLOv1 network. The image is stretched to the network's size, "
    "and drawn into prediction.jpg.",
    (CFG_OR_MODEL, MODEL_WEIGHTS, IMAGES),
    (thresh("0.2"), HIER, nms("0.4"), *_COMMON, *_REST),
    partial(_run, Style({"pjreddie": 0.2, "alexeyab": 0.2}, 0.4, "prediction", True)),
)

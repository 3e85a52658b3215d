"""`detect`, `detector test`, `yolo test` and `coco test`."""

from __future__ import annotations

import os
import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darknet_py.cli.arguments import Command
from darknet_py.cli.flags import (
    BACKEND,
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
from darknet_py.cli.inputs import for_all_images, write_text
from darknet_py.cli.load import load_finder, print_accuracy
from darknet_py.cli.model import open_data
from darknet_py.errors import DarknetError, DarknetWarning
from darknet_py.pipeline import batch_size

if TYPE_CHECKING:
    import numpy as np

    from darknet_py.boxes import Detections
    from darknet_py.finder import Finder

DRAWN = (".bmp", ".jpeg", ".jpg", ".png")
"""What `-out` draws; every other name is C's: of a JSON file, or of a picture without .jpg."""


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
    if args.accuracy is not None:
        print_accuracy(args, detector)
        if not args.image:
            return 0
    picture, json = _outputs(args.out, style, detector)
    frames: list[str] | None = None if json is None else []
    answers = Answers(detector, style, args, picture, frames)
    batch = batch_size(detector.image)
    try:
        parts = (answers.read, answers.run, answers.show)
        return for_all_images(args.image, *parts, batch, quiet=args.quiet)
    finally:
        answers.close()
        if json is not None and frames is not None:
            from darknet_py.results import format_json_file

            write_text(json, format_json_file(frames))


def _outputs(out: str | None, style: Style, detector: Finder) -> tuple[Path | None, Path | None]:
    """The picture and the JSON file to write; no picture where none is asked for nor possible."""
    picture, json = Path(f"{style.picture}.jpg"), None
    if out is not None:
        suffix = Path(out).suffix.lower()
        alexeyab = detector.dialect.name == "alexeyab"
        if out.endswith(("/", os.sep)):
            picture = Path(out)
            if not picture.is_dir():
                raise DarknetError(f"{out}: is no folder to write the pictures to")
        elif suffix == ".json" or (alexeyab and suffix not in DRAWN):
            json = Path(out)
        else:
            picture = Path(out if suffix in DRAWN else f"{out}.jpg")
    for path in (picture, json):
        if path is not None and not os.access(path.parent, os.W_OK):
            if out is None:  # C prints its lines all the same
                warnings.warn(f"{path}: cannot be written here", DarknetWarning, stacklevel=2)
                return None, None
            raise DarknetError(f"{path}: cannot be written: no such folder, or no right to")
    return picture, json


@dataclass
class Answers:
    """Reads pictures, runs the network, and tells and draws what was found."""

    detector: Finder
    style: Style
    args: Namespace
    picture: Path | None
    """Where to draw; into a folder each picture is drawn under its own name."""
    frames: list[str] | None
    """The pictures' texts for a JSON file."""
    last: tuple[np.ndarray, Detections] | None = None
    """What is yet to be drawn: of many pictures that go into one file only the last one stays."""

    def read(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        """A picture's pixels, and the network's input."""
        from darknet_py.pictures import read_picture

        pixels = read_picture(path, self.detector.image.channels)
        return pixels, self.detector.prepare(pixels)

    def run(self, batch: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[tuple[list[Any], float]]:
        """Each picture's outputs, and the seconds it took."""
        import numpy as np

        if not batch:
            return []
        inputs = np.concatenate([inputs for _, inputs in batch]) if batch[1:] else batch[0][1]
        start = time.perf_counter()
        outputs = self.detector.run(inputs)
        seconds = (time.perf_counter() - start) / len(batch)
        return [([output[i] for output in outputs], seconds) for i in range(len(batch))]

    def show(
        self, path: str, read: tuple[np.ndarray, np.ndarray], ran: tuple[list[Any], float]
    ) -> Callable[[], None]:
        """Write what is asked for, and give back what prints the lines."""
        from darknet_py import results

        (pixels, _), (outputs, seconds), args = read, ran, self.args
        detector, names = self.detector, self.detector.names
        height, width = pixels.shape[:2]
        found = _find(detector, detector.boxes(outputs, (height, width)), self.style)
        if self.picture is not None:
            self.last = pixels, found
            if not args.image:
                self.close()
            elif self.picture.is_dir():
                self.close(self.picture / f"{Path(path).stem}.jpg")
        if self.frames is not None:
            objects = results.list_detections(found, names, width, height, 0.005)
            self.frames.append(results.format_json(objects, len(self.frames) + 1, path))
        if args.save_labels:
            write_text(results.label_path(path), results.format_labels(found, detector.thresh))
        size = (width, height) if args.ext_output else None
        predicted = f"{path}: Predicted in"
        lines = list(_lines(detector, self.style, found, predicted, seconds, size))
        return partial(print, "\n".join(lines))

    def close(self, path: Path | None = None) -> None:
        """Draw what is yet to be drawn."""
        from darknet_py.draw import draw_detections
        from darknet_py.image import save_image

        path = path or self.picture
        if self.last is not None and path is not None:
            detector, (pixels, found) = self.detector, self.last
            self.last = None
            drawn = draw_detections(
                pixels, found, detector.names, detector.thresh, detector.dialect
            )
            save_image(drawn, path)


def _find(detector: Finder, boxes: Detections, style: Style) -> Detections:
    if not (style.first_yolo and detector.dialect.name == "alexeyab"):
        return detector.clean(boxes)
    # PARITY: here AlexeyAB's fork suppresses through a list of indices: the boxes stay where
    # they were (C: AlexeyAB's box.c:do_nms_sort_v2).
    return detector.clean_in_place(boxes)


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
    from darknet_py.evaluation.report import head_lines

    alexeyab = detector.dialect.name == "alexeyab"
    if alexeyab and not style.first_yolo:
        yield from head_lines(detector.head_types).splitlines()
        yield f"{predicted} {seconds * 1000:f} milli-seconds."
        yield from alexeyab_boxes(found, detector.names, detector.thresh, size)
    else:
        yield f"{predicted} {seconds:f} seconds."
        report = best_boxes if alexeyab else pjreddie_boxes
        yield from report(found, detector.names, detector.thresh, size)


_COMMON = (EXT_OUTPUT, OUT, SAVE_LABELS, LETTERBOX)
_REST = (*BACKEND, *MODEL, *WINDOWS, *CAMERA, *CUDA)

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

"""`detector draw`: a picture changed until the network finds a wished object in it."""

from __future__ import annotations

import difflib
import math
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Argument, Command, Flag, UsageError, file_name
from darknet_py.cli.flags import (
    CAMERA,
    CFG,
    CUDA,
    DATA,
    DETECTOR_ONLY,
    EXT_OUTPUT,
    HIER,
    LETTERBOX,
    MODEL,
    SAVE_LABELS,
    WEIGHTS,
    thresh,
)
from darknet_py.cli.inputs import Bar, for_each_image
from darknet_py.cli.marking import ESCAPE, ask_wish
from darknet_py.cli.model import choose_device, detector_names, open_data, print_loading, resolve
from darknet_py.cli.train_session import base_name
from darknet_py.errors import DarknetError

if TYPE_CHECKING:
    import numpy as np

    from darknet_py.boxes import Detections
    from darknet_py.chart import Chart
    from darknet_py.detector import Detector
    from darknet_py.draw_object import Box, Wish
    from darknet_py.video import Window

THRESH, NMS = 0.25, 0.45
NOTHING = (0.0, 0.0, 0.0, 0.0)
MOST_LOSS = 5.0
"""At the top of the chart."""


def _draw(args: Namespace) -> int:
    from darknet_py.draw_object import check_network

    box = _read_box(args.box)
    _check(args)
    detector = _load(args)
    check_network(detector.network)
    wish = _wish(args, detector)

    def answer(path: str) -> Callable[[], None]:
        return _answer(args, detector, path, box, wish)

    return for_each_image([args.image] if args.image else [], answer)


def _check(args: Namespace) -> None:
    """See that the flags can be followed, before anything is loaded."""
    from darknet_py.video import find_window_trouble

    if args.iterations < 1 or not (0 < args.rate < math.inf):
        raise DarknetError("-iterations must be at least 1, -rate above 0")
    if args.box is None:
        trouble = "-dont_show" if args.dont_show else find_window_trouble()
        if trouble:
            raise UsageError(f"-box X,Y,W,H is missing: there is no window to mark it ({trouble})")
    if not os.access(args.out, os.W_OK) or not Path(args.out).is_dir():
        raise DarknetError(f"{args.out}: is no folder to write to, or there is no right to")


def _read_box(text: str | None) -> Box | None:
    """The box of the line, relative to the picture."""
    if text is None:
        return None
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"-box takes four numbers, X,Y,W,H, got {text!r}") from None
    if (x, y, w, h) != NOTHING and not (0 < x < 1 and 0 < y < 1 and 0 < w <= 1 and 0 < h <= 1):
        raise UsageError(f"-box takes a centre and sides from 0 to 1 of the picture, got {text!r}")
    return x, y, w, h


def _load(args: Namespace) -> Detector:
    from darknet_py.detector import Detector

    data = open_data(args, "")
    detector = Detector.load(
        resolve(args.cfg),
        resolve(args.weights),
        dialect=args.dialect or "alexeyab",
        device=choose_device(args),
        thresh=THRESH if args.thresh is None else args.thresh,
        nms=NMS,
        hier=0.0,
        letterbox=True if args.letter_box else None,
    )
    detector.names = detector_names(args, data, detector.classes)
    print_loading(detector.layout, args)
    return detector


def _wish(args: Namespace, detector: Detector) -> Wish:
    """What the line wishes, without its box."""
    from darknet_py.draw_object import Wish

    name, names = getattr(args, "class"), detector.names
    if name in names:
        number = names.index(name)
    elif name.isdecimal() and int(name) < len(names):
        number = int(name)
    else:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise DarknetError(f"-class {name}: there is no such class of {len(names)}{hint}")
    return Wish(None, number, args.iterations, args.rate, args.boxonly)


def _answer(
    args: Namespace,
    detector: Detector,
    path: str,
    box: Box | None,
    wish: Wish,
) -> Callable[[], None]:
    """Change one picture, write what is asked for, and give back what prints the lines."""
    from darknet_py.draw import draw_detections
    from darknet_py.draw_object import quantize, to_input_frame
    from darknet_py.image import save_image, to_bytes, to_planar
    from darknet_py.pictures import read_picture

    pixels = read_picture(path, detector.image.channels)
    picture = detector.prepare(pixels)[0].transpose(1, 2, 0)
    height, width = picture.shape[:2]
    if box is None:
        with _open("Marking image", args) as window:
            assert window is not None  # see _check
            wish = ask_wish(window, to_bytes(picture), detector.names, wish)
    elif box != NOTHING:
        framed = to_input_frame(box, pixels.shape, width, height) if detector.letterbox else box
        wish = replace(wish, box=framed)
    with _open("image_optimization", args) as window:
        picture, chart = _change(args, detector, picture, wish, window)
    drawn = quantize(picture)
    outputs = [output[0] for output in detector.run(to_planar(drawn))]
    found = detector.clean(detector.decode(outputs))
    folder, image = Path(args.out), to_bytes(drawn)
    boxes = draw_detections(image, found, detector.names, detector.thresh, detector.dialect)
    save_image(image, folder / "drawn.png")
    save_image(boxes, folder / "pre_predictions.jpg")
    save_image(chart.picture, folder / f"chart_{base_name(args)}.png")
    return partial(_tell, args, detector, found, boxes)


def _change(
    args: Namespace,
    detector: Detector,
    picture: np.ndarray,
    wish: Wish,
    window: Window | None,
) -> tuple[np.ndarray, Chart]:
    """The picture after all iterations, or those before Esc, and the chart of their losses."""
    from darknet_py.chart import Chart
    from darknet_py.draw_object import draw_object
    from darknet_py.image import to_bytes

    chart, bar, losses = Chart(wish.iterations, MOST_LOSS, ""), Bar(), list[float]()
    start = time.perf_counter()
    with closing(draw_object(detector.network, picture, wish, args.seed)) as steps:  # type: ignore[type-var]  # it is a generator
        for step, loss in steps:
            picture = step
            chart.add(len(losses), loss)
            losses.append(loss)
            bar.show(len(losses), wish.iterations)
            if window is not None and window.show(to_bytes(picture)) == ESCAPE:
                break
    bar.clear()
    chart.tell(len(losses) - 1, losses[-1], 0.0)
    if not args.quiet:
        seconds = time.perf_counter() - start
        change = f"loss {losses[0]:.4g} to {losses[-1]:.4g}"
        print(f"{len(losses)} iterations in {seconds:.2f} seconds: {change}", file=sys.stderr)
    return picture, chart


def _tell(args: Namespace, detector: Detector, found: Detections, picture: np.ndarray) -> None:
    """Print C's lines, and show the picture until a key is pressed."""
    from darknet_py.cli.report import alexeyab_boxes
    from darknet_py.evaluation.report import head_lines

    print(head_lines(detector.head_types), end="")
    size = picture.shape[1], picture.shape[0]
    for line in alexeyab_boxes(found, detector.names, detector.thresh, size):
        print(line)
    with _open("pre_predictions", args) as window:
        if window is not None:
            sys.stdout.flush()
            window.show(picture, 0)


def _open(title: str, args: Namespace) -> AbstractContextManager[Window | None]:
    """A window, where there may be one."""
    from darknet_py.video import Window, find_window_trouble

    if args.dont_show or find_window_trouble():
        return nullcontext()
    return closing(Window(title, 1280, 720))


_IDLE = tuple(replace(flag, idle=True) for flag in (HIER, EXT_OUTPUT, SAVE_LABELS))
DRAW = Command(
    "detector draw",
    "Change an image until the network finds an object where there is none: the weights stay and "
    "the pixels learn. A box is dragged in a window, which has sliders for the rest, or given by "
    "-box. Writes drawn.png, the changed image in the network's size, pre_predictions.jpg, the "
    "same with what the network finds in it, and chart_CFG.png, the loss. What the network finds "
    "elsewhere is made to vanish; Esc in place of a box makes all vanish.",
    (
        DATA,
        CFG,
        WEIGHTS,
        Argument("image", "the image; without it images are asked for", required=False),
    ),
    (
        Flag(
            "box",
            "X,Y,W,H: the box in place of one marked in a window: its centre, width and height "
            "relative to the image, each from 0 to 1, as in label files; 0,0,0,0: no box, all is "
            "to vanish",
            str,
        ),
        Flag("class", "the class of the object, its name or number (default: 0)", str, "0"),
        Flag("iterations", "how many steps (default: 200)", int, 200),
        Flag(
            "rate",
            "how far a step goes (default: 2^-10 = 0.0009765625); the slider is its exponent",
            float,
            2.0**-10,
        ),
        Flag("boxonly", "leave the pixels outside the box as they are"),
        thresh("0.25"),
        LETTERBOX,
        Flag("dont_show", "open no window; needs -box"),
        Flag("out", "the folder to write to (default: here)", file_name, "."),
        Flag("seed", "of what dropout layers draw (default: 0)", int, 0),
        *(flag for flag in MODEL if flag.name != "half"),
        Flag("fullscreen", idle=True),
        *CAMERA,
        *CUDA,
        *DETECTOR_ONLY,
        *_IDLE,
    ),
    _draw,
)

"""`detector demo`, `yolo demo` and `coco demo`: objects in a video, frame by frame."""

from __future__ import annotations

from argparse import Namespace
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from darknet_py.cli.arguments import Command, Flag
from darknet_py.cli.demo_outputs import ESCAPE, SHOWS, VIDEO, Outputs, clear_screen, open_video
from darknet_py.cli.demo_reports import TEXTS, Reports
from darknet_py.cli.flags import (
    BACKEND,
    CFG_OR_MODEL,
    CUDA,
    DETECTOR_ONLY,
    EXT_OUTPUT,
    LETTERBOX,
    MODEL,
    MODEL_DATA,
    MODEL_WEIGHTS,
    nms,
    thresh,
)
from darknet_py.cli.load import load_finder
from darknet_py.cli.model import open_data
from darknet_py.errors import DarknetError
from darknet_py.pipeline import overlap

if TYPE_CHECKING:
    import numpy as np

    from darknet_py.boxes import Detections
    from darknet_py.finder import Finder
    from darknet_py.video import Video

NMS = {"pjreddie": 0.4, "alexeyab": 0.45}
ENTER, LEFT, UP, RIGHT, DOWN = 13, 81, 82, 83, 84
SKIPS = {0: 60, 60: 4, 4: 0}
"""What Enter makes of -s."""


def _run(default: dict[str, float], args: Namespace) -> int:
    data = open_data(args, "cfg/coco.data")
    print("Demo", flush=True)
    with ExitStack() as stack:
        video = stack.enter_context(open_video(args))
        detector = load_finder(
            args,
            data,
            thresh=args.thresh,
            nms=0.45 if args.nms is None else args.nms,
            hier=0.5 if args.hier is None else args.hier,
            letterbox=True if args.letter_box else None,
        )
        name = detector.dialect.name
        if args.thresh is None:
            detector.thresh = default[name]
        if args.nms is None and not _suppresses(detector):
            detector.nms = NMS[name]
        if args.hier is None and name == "alexeyab":
            # PARITY: the threshold stands for that of the tree, too (C: AlexeyAB's demo.c)
            detector.hier = detector.thresh
        outputs = stack.enter_context(Outputs(args, video, "Demo"))
        demo = Demo(detector, args, outputs, Reports(args, stack))
        _print_start(args, video, name)
        _answer_all(demo, stack)
        if name == "alexeyab":
            print("input video stream closed. ", flush=True)
    if name == "alexeyab" and outputs.writer is not None:
        print("output_video_writer closed. ", flush=True)
    outputs.print_rate()
    return 0


def _print_start(args: Namespace, video: Video, dialect: str) -> None:
    if args.video is not None:
        print(f"video file: {args.video}")
    elif dialect == "alexeyab":
        print(f"Webcam index: {args.c}")
    if dialect == "alexeyab":
        print(f"Video stream: {video.width} x {video.height} ")


def _answer_all(demo: Demo, stack: ExitStack) -> None:
    results = overlap(demo.outputs.frames(), demo.prepare, demo.run, 1)
    stack.enter_context(closing(results))  # type: ignore[type-var]  # it is a generator
    for result in results:
        demo.answer(result.item, result.get()[1])
        if demo.outputs.is_late or demo.is_stopped:
            return


@dataclass
class Demo:
    """Runs the network on frames, and tells and shows what was found."""

    detector: Finder
    args: Namespace
    outputs: Outputs
    reports: Reports
    is_stopped: bool = False
    rate: float = 0.0
    """Frames a second, as C counts them."""
    steady_rate: float = 0.0
    """The same over three seconds."""
    _held: np.ndarray | None = None
    _left: int = 0
    _last: deque[list[Any]] = field(default_factory=deque)
    _since: tuple[float, int] = (0.0, 0)

    def __post_init__(self) -> None:
        """See how many frames are averaged."""
        self.alexeyab = self.detector.dialect.name == "alexeyab"
        # PARITY: AlexeyAB's fork means to average as many, and sets that in a copy of the
        # layer, to no effect (C: demo.c:demo).
        asked = self.args.avgframes
        self.average = asked if asked is not None else 1 if self.alexeyab else 3
        self.skip = self.args.s
        if self.average < 1 or self.skip < 0:
            raise DarknetError("-avgframes must be at least 1, -s at least 0")
        if _suppresses(self.detector):
            if asked is not None and asked > 1:
                raise DarknetError("-avgframes: the model suppresses boxes itself (--head nms)")
            self.average = 1

    def prepare(self, frame: np.ndarray) -> np.ndarray:
        """The network's input."""
        from darknet_py.image import resize_bytes, to_float, to_planar
        from darknet_py.video import to_grey

        shape = self.detector.image
        pixels = to_grey(frame) if shape.channels == 1 else frame
        if self.alexeyab and not self.detector.letterbox:
            # PARITY: frames are resized by OpenCV (C: get_image_from_stream_resize)
            pixels = resize_bytes(pixels, shape.width, shape.height)
            pixels = pixels.reshape(shape.height, shape.width, -1)
            return to_planar(to_float(pixels))
        return self.detector.prepare(pixels)

    def run(self, batch: Sequence[np.ndarray]) -> list[list[Any]]:
        """The heads' outputs of each frame."""
        return [[output[0] for output in self.detector.run(inputs)] for inputs in batch]

    def answer(self, frame: np.ndarray, outputs: list[Any]) -> None:
        """Print, draw and show what is on a frame."""
        detector, args = self.detector, self.args
        height, width = frame.shape[:2]
        found = self._clean(detector.boxes(self._averaged(outputs), (height, width)))
        said = self.reports.add(found, detector.names, (width, height))
        draws = not (args.benchmark or args.dontdraw_bbox)
        lines = list(self._lines(found, (width, height))) if draws or not self.alexeyab else []
        shown: list[str] = []
        if self.outputs.wants_pictures:
            picture = self._hold(self._draw(frame, found) if draws else frame)
            shown = self.outputs.show(picture, 1 if self.alexeyab else 0)
        self._print(said, lines, shown)
        self._count()
        self._obey(self.outputs.take_key())

    def _averaged(self, outputs: list[Any]) -> list[Any]:
        """The mean of the last frames' outputs.

        PARITY: those before the first frame count as 0 (C: demo.c:avg_predictions).
        """
        if self.average == 1:
            return outputs
        self._last.append([output + 0 for output in outputs])  # a copy, of torch or numpy
        if len(self._last) > self.average:
            self._last.popleft()
        each = zip(*self._last, strict=True)
        return [sum(frames[1:], start=frames[0]) / self.average for frames in each]

    def _clean(self, boxes: Detections) -> Detections:
        from darknet_py.boxes import suppress_boxes

        detector = self.detector
        if self.alexeyab or not detector.nms or _suppresses(detector):
            return detector.clean(boxes)
        return suppress_boxes(boxes, detector.nms)

    def _draw(self, frame: np.ndarray, found: Detections) -> np.ndarray:
        from darknet_py.draw import draw_detections

        detector = self.detector
        return draw_detections(frame, found, detector.names, detector.thresh, detector.dialect)

    def _hold(self, picture: np.ndarray) -> np.ndarray:
        """The picture to show: of `skip` + 1 frames the first one, for `_left` frames more."""
        if self._held is None or self._left == 0:
            self._held, self._left = picture, self.skip
        else:
            self._left -= 1
        return self._held

    def _lines(self, found: Detections, size: tuple[int, int]) -> Iterator[str]:
        from darknet_py.cli.report import frame_boxes, pjreddie_boxes

        detector = self.detector
        report: Callable[..., Iterator[str]] = frame_boxes if self.alexeyab else pjreddie_boxes
        return report(
            found, detector.names, detector.thresh, size if self.args.ext_output else None
        )

    def _print(self, said: list[str], lines: list[str], shown: list[str]) -> None:
        """Print a frame's lines as the dialect does."""
        if self.alexeyab:
            clear_screen("\033[H\033[J")
            rates = f"\nFPS:{self.rate:.1f} \t AVG_FPS:{self.steady_rate:.1f}"
            whole = ["Objects:\n", *said, *lines, rates, *shown]
        else:
            clear_screen("\033[2J\033[1;1H")
            whole = [f"\nFPS:{self.rate:.1f}\nObjects:\n", *said, *lines]
        print("\n".join(whole), flush=True)

    def _count(self) -> None:
        """Count the frame, and measure."""
        now = 1 / max(self.outputs.step(), 1e-6)
        self.rate = self.rate * 0.9 + now * 0.1 if self.alexeyab else now
        start, count = self._since
        seconds = self.outputs.seconds - start
        if seconds >= 3:
            self.steady_rate = (self.outputs.count - count) / seconds
            self._since = self.outputs.seconds, self.outputs.count

    def _obey(self, key: int) -> None:
        """Do what a key says, as in C."""
        detector = self.detector
        if key == ESCAPE:
            self.is_stopped = True
        elif self.alexeyab and key in (10, ENTER):
            self.skip = SKIPS.get(self.skip, 0)
        elif not self.alexeyab and key in (UP, DOWN):
            detector.thresh = min(max(detector.thresh + (0.02 if key == UP else -0.02), 0.02), 1)
        elif not self.alexeyab and key in (LEFT, RIGHT):
            detector.hier = min(max(detector.hier + (0.02 if key == RIGHT else -0.02), 0), 1)


def _suppresses(detector: Finder) -> bool:
    """Whether it is a converted model that gives what non-maximum suppression left."""
    metadata = getattr(detector, "metadata", None)
    return metadata is not None and metadata.head == "nms"


_OWN = (
    Flag(
        "hier",
        "where the walk down a tree of classes stops (pjreddie 0.5, alexeyab -thresh)",
        float,
    ),
    LETTERBOX,
    EXT_OUTPUT,
    *SHOWS,
    Flag("s", "show each picture for N frames more (Enter in the window changes it)", int, 0),
    Flag(
        "avgframes",
        "average the network's outputs over the last N frames (pjreddie 3, alexeyab 1)",
        int,
        also=("avg",),
    ),
    Flag("dontdraw_bbox", "draw no boxes"),
    *TEXTS,
)
_TAKEN = {flag.name for flag in (*_OWN, *CUDA)}
_REST = (
    *BACKEND,
    *MODEL,
    *(flag for flag in DETECTOR_ONLY if flag.name not in _TAKEN),
    Flag("out", kind=str, idle=True),
    Flag("save_labels", idle=True),
    *CUDA,
)
_DOC = (
    "Frames are read, computed and drawn at the same time. Esc in the window ends it; in dialect "
    "pjreddie the arrow keys change -thresh and -hier."
)


def _command(name: str, doc: str, default: dict[str, float], shown: str, data: bool) -> Command:
    words = (*(data * [MODEL_DATA]), CFG_OR_MODEL, MODEL_WEIGHTS, VIDEO)
    flags = (thresh(shown), nms("pjreddie 0.4, alexeyab 0.45"), *_OWN, *_REST)
    return Command(name, f"{doc} {_DOC}", words, flags, partial(_run, default))


_YOLO = {"pjreddie": 0.2, "alexeyab": 0.2}
COMMANDS = (
    _command(
        "detector demo",
        "Find objects in a video or before a camera, with the names of a .data file.",
        {"pjreddie": 0.5, "alexeyab": 0.25},
        "pjreddie 0.5, alexeyab 0.25",
        True,
    ),
    _command("yolo demo", "Find the VOC classes in a video.", _YOLO, "0.2", False),
    _command("coco demo", "Find the COCO classes in a video.", _YOLO, "0.2", False),
)

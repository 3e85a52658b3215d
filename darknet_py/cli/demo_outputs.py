"""Where the `demo` commands get their frames from, and where they show them."""

from __future__ import annotations

import sys
import time
import warnings
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Argument, Flag, file_name
from darknet_py.errors import DarknetError, DarknetWarning

if TYPE_CHECKING:
    import numpy as np

    from darknet_py.mjpeg import PictureServer
    from darknet_py.video import Video, VideoWriter, Window

VIDEO = Argument(
    "video", "a video file or an address (rtsp://...); without it the camera", required=False
)
CAMERA_NUMBER = Flag("c", "the camera's number (default: 0)", int, 0)
SHOWS = (
    CAMERA_NUMBER,
    Flag("w", "the camera's width", int, 0),
    Flag("h", "the camera's height", int, 0),
    Flag("fps", "the camera's frames a second", int, 0),
    Flag("dont_show", "open no window"),
    Flag("fullscreen", "let the window fill the screen"),
    Flag("prefix", "write frames to TEXT_00000000.jpg and on, and open no window", str),
    Flag("out_filename", "the video to write: .avi, .mkv or .mp4", file_name),
    Flag("mjpeg_port", "show the frames to browsers at http://localhost:N", int, -1),
    Flag("time_limit_sec", "stop after so many seconds", int, 0),
    Flag("benchmark", "run the network on the first frame again and again, and show nothing"),
)
"""What all `demo` commands take."""

ESCAPE = 27


def open_video(args: Namespace) -> Video:
    """The video or camera of the line."""
    from darknet_py.video import Video

    source = args.c if args.video is None else args.video
    return Video(source, args.w, args.h, args.fps)


def clear_screen(codes: str) -> None:
    """Start at the top of a terminal, as C does; elsewhere lines follow each other."""
    if sys.stdout.isatty():
        print(codes, end="")


class Outputs:
    """Window, video, pictures and stream of a run, as its flags say; a context."""

    def __init__(self, args: Namespace, video: Video, title: str) -> None:
        self._args, self._video = args, video
        self._start = self._last = time.perf_counter()
        self._key = -1
        self.count = 0
        """Frames that were answered."""
        self.writer: VideoWriter | None = None
        self.server: PictureServer | None = None
        self.window: Window | None = None
        self._open = ExitStack()
        try:
            if not args.benchmark:
                self._open_all(args, video, title)
        except DarknetError:
            self._open.close()
            raise

    def __enter__(self) -> Outputs:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close what is open."""
        self._open.close()

    @property
    def wants_pictures(self) -> bool:
        """Whether frames go anywhere."""
        return bool(self.writer or self.server or self.window or self._prefix)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self._start

    def frames(self) -> Iterator[np.ndarray]:
        """The frames to answer; -benchmark: the first one for ever."""
        frames = self._video.frames()
        return repeat(next(frames)) if self._args.benchmark else frames

    def show(self, picture: np.ndarray, first: int) -> list[str]:
        """Show a frame; what C says on that.

        Args:
            picture: uint8 RGB.
            first: the number of the first frame in the name of its file.
        """
        from darknet_py.image import save_image, to_jpeg

        said: list[str] = []
        if self.window is not None:
            self._key = self.window.show(picture)
        if self._prefix:
            save_image(picture, Path(f"{self._prefix}_{self.count + first:08d}.jpg"))
        if self.server is not None:
            self.server.show(to_jpeg(picture, 40))
            said.append(" MJPEG-stream sent. ")
        if self.writer is not None:
            self.writer.write(picture)
            said.append("\n cvWriteFrame ")
        return said

    def take_key(self) -> int:
        """The key pressed since the last call, or -1."""
        key, self._key = self._key, -1
        return key

    def step(self) -> float:
        """Count a frame; the seconds since the one before."""
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        self.count += 1
        return seconds

    @property
    def is_late(self) -> bool:
        """Whether -time_limit_sec is over."""
        limit: int = self._args.time_limit_sec
        return 0 < limit < self.seconds

    def print_rate(self) -> None:
        """How many frames a second it were, on stderr."""
        if not self._args.quiet:
            seconds = self.seconds
            rate = f"{self.count / seconds:.1f} frames/s"
            print(f"{self.count} frames in {seconds:.2f} seconds: {rate}", file=sys.stderr)

    @property
    def _prefix(self) -> str | None:
        prefix: str | None = None if self._args.benchmark else self._args.prefix
        return prefix

    def _open_all(self, args: Namespace, video: Video, title: str) -> None:
        from darknet_py.mjpeg import PictureServer
        from darknet_py.video import VideoWriter, Window, find_window_trouble

        if args.out_filename:
            size = video.width, video.height
            self.writer = VideoWriter(args.out_filename, video.rate, *size)
            self._open.callback(self.writer.close)
        if args.mjpeg_port > 0:
            self.server = PictureServer(args.mjpeg_port)
            self._open.callback(self.server.close)
        if args.dont_show or args.prefix:
            return
        trouble = find_window_trouble()
        if trouble:
            warnings.warn(f"{trouble}: -dont_show is taken", DarknetWarning, stacklevel=2)
            return
        self.window = Window(title, 1352, 1013, args.fullscreen)
        self._open.callback(self.window.close)

"""Videos: frames of a file, a stream or a camera, the video to write, and the window to show."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Full, Queue

import cv2
import numpy as np

from darknet_py.errors import DarknetError, ImageError

AHEAD = 4
"""Frames that are read before they are asked for."""
CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v"}
"""What C writes, DIVX, goes into .avi and .mkv."""
_MOUSE = {
    cv2.EVENT_LBUTTONDOWN: "down",
    cv2.EVENT_MOUSEMOVE: "move",
    cv2.EVENT_LBUTTONUP: "up",
}
DEFAULT_RATE = 25.0
"""Frames a second, where the source does not say (C: image_opencv.cpp:get_stream_fps_cpp_cv)."""


class Video:
    """An open video, whose frames are read in a thread of its own."""

    def __init__(
        self, source: str | int, width: int = 0, height: int = 0, rate: float = 0.0
    ) -> None:
        """Open a file, an address (`rtsp://...`) or the camera of that number.

        `width`, `height` and `rate` are asked of a camera, where they are not 0.

        Raises:
            ImageError: it cannot be opened, or holds no frame.
        """
        self.name = f"camera {source}" if isinstance(source, int) else source
        self.is_live = isinstance(source, int) or "://" in source
        """Whether frames that nobody waits for are lost."""
        if isinstance(source, str) and not self.is_live and "%" not in source:
            _check_file(source)
        with _silence():
            self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            why = "cannot be opened" if self.is_live else "is no video, or a broken one"
            raise ImageError(f"{self.name}: {why}")
        wanted = {
            cv2.CAP_PROP_FRAME_WIDTH: width,
            cv2.CAP_PROP_FRAME_HEIGHT: height,
            cv2.CAP_PROP_FPS: rate,
        }
        for setting, value in wanted.items():
            if value and isinstance(source, int):
                self._capture.set(setting, value)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if math.isfinite(rate) and 0 < rate <= 1000 else DEFAULT_RATE
        """Frames a second."""
        first = self._read()
        if first is None:
            self._capture.release()
            raise ImageError(f"{self.name}: holds no frame that can be read")
        self.height, self.width = first.shape[:2]
        self._queue: Queue[np.ndarray | None] = Queue(1 if self.is_live else AHEAD)
        self._queue.put(first)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._read_all, daemon=True)
        self._thread.start()

    def __enter__(self) -> Video:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""
        self.close()

    def frames(self) -> Iterator[np.ndarray]:
        """The frames that are left, uint8 RGB; of a live source the newest one each time."""
        while (frame := self._queue.get()) is not None:
            yield frame
        self._queue.put(None)

    def close(self) -> None:
        """Read no more."""
        self._closed.set()
        self._thread.join(2)
        if not self._thread.is_alive():
            self._capture.release()
        with contextlib.suppress(Empty):
            self._queue.get_nowait()
        with contextlib.suppress(Full):
            self._queue.put_nowait(None)

    def _read_all(self) -> None:
        while not self._closed.is_set():
            frame = self._read()
            self._put(frame)
            if frame is None:
                return

    def _put(self, frame: np.ndarray | None) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(frame, timeout=0.0 if self.is_live else 0.1)
                return
            except (Full, ValueError):
                if self.is_live:
                    with contextlib.suppress(Empty):
                        self._queue.get_nowait()

    def _read(self) -> np.ndarray | None:
        try:
            found, frame = self._capture.read()
        except cv2.error:
            return None
        if not found or frame is None:
            return None
        if frame.ndim == 2:
            return np.asarray(cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB))
        return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


class VideoWriter:
    """A video that is written frame by frame; its format is that of the name's ending."""

    def __init__(self, path: str | os.PathLike[str], rate: float, width: int, height: int) -> None:
        """Start the file.

        Raises:
            ImageError: it cannot be written.
        """
        self.path, self._size = Path(path), (width, height)
        if not os.access(self.path.parent, os.W_OK) or self.path.is_dir():
            raise ImageError(f"{path}: cannot be written: no such folder, or no right to")
        codec = CODECS.get(self.path.suffix.lower(), "DIVX")
        self._writer = self._open(codec, rate)
        if not self._writer.isOpened():  # an OpenCV without FFmpeg writes this into .avi
            self._writer = self._open("MJPG", rate)
        if not self._writer.isOpened():
            raise ImageError(
                f"{path}: this OpenCV writes no such video; the name may end in .avi, .mkv or .mp4"
            )

    def write(self, frame: np.ndarray) -> None:
        """Add a uint8 RGB frame."""
        if (frame.shape[1], frame.shape[0]) != self._size:
            frame = cv2.resize(frame, self._size)
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file."""
        self._writer.release()

    def _open(self, codec: str, rate: float) -> cv2.VideoWriter:
        code = cv2.VideoWriter.fourcc(*codec)
        with _silence():
            return cv2.VideoWriter(str(self.path), code, rate, self._size)


class Window:
    """A window that shows frames and hears keys; for the main thread."""

    def __init__(self, title: str, width: int, height: int, fullscreen: bool = False) -> None:
        """Open it.

        Raises:
            DarknetError: there are no windows here.
        """
        trouble = find_window_trouble()
        if trouble:
            raise DarknetError(trouble)
        self._title = title
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL)
            if fullscreen:
                cv2.setWindowProperty(title, cv2.WND_PROP_FULLSCREEN, cv2.WINDOW_FULLSCREEN)
            else:
                cv2.moveWindow(title, 0, 0)
                cv2.resizeWindow(title, width, height)
        except cv2.error as error:
            raise DarknetError(f"no window can be opened: {error.err}") from None

    def show(self, frame: np.ndarray, wait: int = 1) -> int:
        """Show a uint8 RGB frame for at least `wait` milliseconds; the key pressed, or -1."""
        cv2.imshow(self._title, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        key = int(cv2.waitKey(wait))
        return key if key < 0 else key % 256

    def add_slider(self, name: str, value: int, most: int) -> None:
        """Put a slider from 0 to `most` over the frame."""
        cv2.createTrackbar(name, self._title, value, most, lambda _: None)

    def slider(self, name: str) -> int:
        """Where a slider stands."""
        return int(cv2.getTrackbarPos(name, self._title))

    def hear_mouse(self, hear: Callable[[str, int, int], None]) -> None:
        """Call `hear` with "down", "move" or "up", of the left button, and the frame's pixel."""
        cv2.setMouseCallback(
            self._title,
            lambda event, x, y, *_: hear(_MOUSE[event], x, y) if event in _MOUSE else None,
        )

    @property
    def is_open(self) -> bool:
        """Whether nobody closed it."""
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) > 0
        except cv2.error:
            return False

    def close(self) -> None:
        """Close it."""
        with contextlib.suppress(cv2.error):
            cv2.destroyWindow(self._title)


def find_window_trouble() -> str | None:
    """Why no window can be opened; None: it can."""
    info = cv2.getBuildInformation()
    lines = [line.split() for line in info.splitlines() if line.strip().startswith("GUI:")]
    if lines and lines[0][1:] == ["NONE"]:
        return "this OpenCV was built without windows (opencv-python has them)"
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return "there is no display to open a window on"  # Qt would end the program
    return None


def to_grey(frame: np.ndarray) -> np.ndarray:
    """A uint8 RGB frame as `(height, width, 1)`."""
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))[:, :, None]


def _check_file(name: str) -> None:
    """See that OpenCV, which says nothing else, can open it."""
    try:
        with open(name, "rb") as file:
            if not file.read(1):
                raise ImageError(f"{name}: is empty")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name}: cannot be opened: {reason}") from None


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep OpenCV and FFmpeg from saying on stderr what an error says in a line."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)

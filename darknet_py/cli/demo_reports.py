"""What the `demo` commands tell others in words: a JSON file, a JSON stream, posts."""

from __future__ import annotations

import time
import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

from darknet_py.cli.arguments import Flag, file_name
from darknet_py.errors import DarknetError, DarknetWarning

if TYPE_CHECKING:
    from darknet_py.boxes import Detections
    from darknet_py.stream import JsonServer

TEXTS = (
    Flag("json_port", "send the boxes to who asks at http://localhost:N, as JSON", int, -1),
    Flag("json_file_output", "the JSON file to write all boxes to", file_name),
    Flag(
        "http_post_host",
        "post the objects of each frame to host/path; with -time_limit_sec of one frame",
        str,
    ),
)
LEAST = 0.005
"""Boxes of that probability are told (C: AlexeyAB's network.c:detection_to_json)."""


class Reports:
    """The texts of one run, as its flags say."""

    def __init__(self, args: Namespace, stack: ExitStack) -> None:
        self._file: IO[str] | None = None
        self._server: JsonServer | None = None
        self._host, self._video = args.http_post_host, args.video
        self._once, self._count = args.time_limit_sec > 0, 0
        if args.json_file_output:
            path = args.json_file_output
            try:
                self._file = open(path, "w", errors="surrogateescape", encoding="utf-8")  # noqa: SIM115
            except OSError as error:
                raise DarknetError(f"{path}: cannot be written: {error.strerror}") from None
            stack.enter_context(self._file)
            self._file.write("[\n")
            stack.callback(self._file.write, "\n]")
        if args.json_port > 0:
            from darknet_py.stream import JsonServer

            self._server = JsonServer(args.json_port)
            stack.callback(self._server.close)

    def add(self, found: Detections, names: Sequence[str], size: tuple[int, int]) -> list[str]:
        """One frame of (width, height); what C says on that."""
        from darknet_py.results import format_json, list_detections

        self._count += 1
        if self._file is None and self._server is None and not self._host:
            return []
        said = []
        objects = list_detections(found, names, *size, LEAST)
        text = format_json(objects, self._count)
        if self._server is not None:
            self._server.add(text)
            said.append(" JSON-stream sent. ")
        if self._file is not None:
            self._file.write((", \n" if self._count > 1 else "") + text)
        if self._host:
            self._post([f"{names[i]}, id: {i}" for i in _first_classes(found, names)])
        return said

    def _post(self, lines: list[str]) -> None:
        from darknet_py.stream import post_text

        if not lines:
            return
        now = time.strftime("%A %Y-%m-%d %H:%M:%S")
        source = "" if self._video is None else self._video
        text = "\n".join([*lines, "", "time:", now, "videosource:", source])
        try:
            post_text(self._host, text)
        except DarknetError as error:
            warnings.warn(str(error), DarknetWarning, stacklevel=2)
            self._host = None  # told once
        if self._once:
            self._host = None


def _first_classes(found: Detections, names: Sequence[str]) -> Iterator[int]:
    """The first class of each box that has one."""
    from darknet_py.results import HIDDEN

    for scores in found.scores:
        likely = (i for i in (scores > LEAST).nonzero()[0].tolist())
        first = next((i for i in likely if not names[i].startswith(HIDDEN)), None)
        if first is not None:
            yield first

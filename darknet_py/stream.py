"""What a running command tells others over HTTP: streams that they fetch, texts that it posts."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from queue import Empty, Full, Queue
from typing import Any

from darknet_py.errors import DarknetError

PATIENCE = 2.0
"""Seconds for one who does not take what it is sent."""


class StreamServer(ABC):
    """Sends everyone who asks an answer that goes on until `close`."""

    def __init__(self, port: int, flag: str, content_type: str) -> None:
        """Listen on `port`; 0: on any that is free.

        Args:
            port: of this machine.
            flag: of the command line, for the error.
            content_type: of the answer.

        Raises:
            DarknetError: it cannot be listened on.
        """
        self.changed = threading.Condition()
        self.is_open, self._readers = True, 0
        stream = self

        class Handler(BaseHTTPRequestHandler):
            timeout = PATIENCE

            def do_GET(self) -> None:
                """Send what there is until the reader goes."""
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Cache-Control", "no-store")
                self.send_header("Connection", "close")
                self.end_headers()
                stream._count(1)
                try:
                    stream.feed(self.wfile)
                except OSError:
                    return  # the reader has gone
                finally:
                    stream._count(-1)

            def log_message(self, format: str, *args: Any) -> None:
                """Print nothing."""

        try:
            self._server = ThreadingHTTPServer(("", port), Handler)
        except (OSError, OverflowError) as error:
            raise DarknetError(f"{flag} {port}: cannot be listened on: {error}") from None
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @abstractmethod
    def feed(self, file: BufferedIOBase) -> None:
        """Write to one reader, until there is nothing more."""

    def close(self) -> None:
        """Stop, when the readers have got the rest."""
        with self.changed:
            self.is_open = False
            self.changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        end = time.monotonic() + PATIENCE
        with self.changed:
            while self._readers and time.monotonic() < end:
                self.changed.wait(0.1)

    def _count(self, change: int) -> None:
        with self.changed:
            self._readers += change
            self.changed.notify_all()


class JsonServer(StreamServer):
    """One JSON array, which grows as long as the program runs.

    Whoever comes gets what is added from then on (C: AlexeyAB's http_stream.cpp:JSON_sender).
    """

    def __init__(self, port: int) -> None:
        """Listen on `port`; 0: on any that is free.

        Raises:
            DarknetError: it cannot be listened on.
        """
        self._queues: list[Queue[str | None]] = []
        super().__init__(port, "-json_port", "application/json")

    def add(self, text: str) -> None:
        """The next element, written as JSON. A reader that lags far behind is left."""
        with self.changed:
            for queue in list(self._queues):
                try:
                    queue.put_nowait(text)
                except Full:
                    self._end(queue)

    def close(self) -> None:
        """End the array, and stop."""
        with self.changed:
            self.is_open = False
            for queue in list(self._queues):
                self._end(queue)
        super().close()

    def feed(self, file: BufferedIOBase) -> None:
        """Write the array to one reader."""
        queue: Queue[str | None] = Queue(1000)
        with self.changed:
            if self.is_open:
                self._queues.append(queue)
            else:
                queue.put(None)
        try:
            file.write(b"[\n")
            before = ""
            while (text := queue.get()) is not None:
                file.write((before + text).encode("utf-8", "surrogateescape"))
                file.flush()
                before = ", \n"
            file.write(b"\n]")
        finally:
            with self.changed:
                if queue in self._queues:
                    self._queues.remove(queue)

    def _end(self, queue: Queue[str | None]) -> None:
        self._queues.remove(queue)
        try:
            queue.put_nowait(None)
        except Full:
            with contextlib.suppress(Empty):
                queue.get_nowait()
            queue.put_nowait(None)


def post_text(address: str, text: str, seconds: float = 3) -> None:
    """Post a text to `host[:port]/path` (C: AlexeyAB's http_stream.cpp:send_http_post_request).

    Raises:
        DarknetError: the host does not answer.
    """
    host, _, path = address.removeprefix("http://").partition("/")
    try:
        connection = http.client.HTTPConnection(host, timeout=seconds)
        try:
            headers = {"Content-Type": "text/plain; charset=utf-8"}
            connection.request("POST", f"/{path}", text.encode("utf-8", "replace"), headers)
            connection.getresponse().read()
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DarknetError(f"{address}: does not take what is posted: {error}") from None

"""A picture that changes, as a stream for a browser (-mjpeg_port)."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from darknet_py.errors import DarknetError

_BOUNDARY = "frame"


class PictureServer:
    """Shows every browser that asks the newest picture, and each one after it.

    C: AlexeyAB's http_stream.cpp:MJPG_sender.
    """

    def __init__(self, port: int) -> None:
        """Listen on `port`; 0: on any that is free.

        Raises:
            DarknetError: it cannot be listened on.
        """
        self._changed = threading.Condition()
        self._jpeg, self._number, self._open = b"", 0, True
        stream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Send pictures until the browser goes."""
                self.send_response(200)
                kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
                self.send_header("Content-Type", kind)
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                try:
                    stream._feed(self.wfile)
                except OSError:
                    return  # the browser has gone

            def log_message(self, format: str, *args: Any) -> None:
                """Print nothing."""

        try:
            self._server = ThreadingHTTPServer(("", port), Handler)
        except (OSError, OverflowError) as error:
            raise DarknetError(f"-mjpeg_port {port}: cannot be listened on: {error}") from None
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def show(self, jpeg: bytes) -> None:
        """The next picture."""
        with self._changed:
            self._jpeg, self._number = jpeg, self._number + 1
            self._changed.notify_all()

    def close(self) -> None:
        """Stop."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def _feed(self, file: Any) -> None:
        sent = 0
        while True:
            with self._changed:
                while self._number == sent and self._open:
                    self._changed.wait()
                if not self._open:
                    return
                jpeg, sent = self._jpeg, self._number
            head = (
                f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            )
            file.write(head.encode() + jpeg + b"\r\n")
            file.flush()

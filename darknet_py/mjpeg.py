"""A picture that changes, as a stream for a browser (-mjpeg_port)."""

from __future__ import annotations

from io import BufferedIOBase

from darknet_py.stream import StreamServer

_BOUNDARY = "mjpegstream"


class PictureServer(StreamServer):
    """Shows every browser that asks the newest picture, and each one after it.

    C: AlexeyAB's http_stream.cpp:MJPG_sender.
    """

    def __init__(self, port: int) -> None:
        """Listen on `port`; 0: on any that is free.

        Raises:
            DarknetError: it cannot be listened on.
        """
        self._jpeg, self._number = b"", 0
        kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        super().__init__(port, "-mjpeg_port", kind)

    def show(self, jpeg: bytes) -> None:
        """The next picture."""
        with self.changed:
            self._jpeg, self._number = jpeg, self._number + 1
            self.changed.notify_all()

    def feed(self, file: BufferedIOBase) -> None:
        """Write pictures to one reader."""
        sent = 0
        while True:
            with self.changed:
                while self._number == sent and self.is_open:
                    self.changed.wait()
                if not self.is_open:
                    return
                jpeg, sent = self._jpeg, self._number
            head = (
                f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            )
            file.write(head.encode() + jpeg + b"\r\n")
            file.flush()

"""One file over HTTP: resumed where it broke off, and refused where it is something else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import requests

from darknet_py import __version__
from darknet_py.filetype import describe

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many bytes there are, and how many there will be."""
CHUNK = 1 << 14
"""Bytes that are lost at most where a connection breaks off."""
TRIES = 3
"""How often a mirror may break off without one byte more than before."""
AGENT = f"Mozilla/5.0 (compatible; darknet-py/{__version__})"
"""The old host turns away what does not look like a browser."""


class Refused(Exception):
    """Why a mirror does not give the file; goes on after its name."""


class Transfer:
    """A downloader as pooch calls it: the file goes to `part`, and when it is whole to its place.

    `part` stays when a transfer breaks off, and the next one goes on behind it.
    """

    def __init__(
        self,
        part: Path,
        sizes: tuple[int, ...],
        progress: Progress | None,
        timeout: float,
        pause: float,
    ) -> None:
        self.part, self.sizes, self.progress = part, sizes, progress
        self.timeout, self.pause = timeout, pause
        self.resumed = self.size > 0

    def __call__(self, url: str, output_file: str, _: Any, check_only: bool = False) -> None:
        """Download `url` to `output_file`.

        Raises:
            Refused: the mirror does not have it, or breaks off again and again.
        """
        most, left = self.size, TRIES
        while self.size not in self.sizes:
            try:
                self._go_on(url)
                problem = self._short()
            except requests.exceptions.RequestException as error:
                problem = self._broken(error)
            left = TRIES if self.size > most else left - 1
            most = max(most, self.size)
            if self.size in self.sizes:
                break
            if not left or self.size > max(self.sizes):
                self._forget_if_too_long()
                raise Refused(problem)
            time.sleep(self.pause)
        os.replace(self.part, output_file)

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self.part.stat().st_size if self.part.exists() else 0

    def _go_on(self, url: str) -> None:
        """Ask for what is missing and write it, until it ends or breaks off."""
        start = self.size
        headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as answer:
            if start and answer.status_code == 416:  # nothing behind: another file's beginning
                self.part.unlink()
                return
            if answer.status_code not in (200, 206):
                raise Refused(f"answers {answer.status_code} {answer.reason}")
            if answer.headers.get("Content-Type", "").startswith("text/html"):
                raise Refused("gives a web page")
            span = answer.headers.get("Content-Range", "")
            if answer.status_code == 200 or not span.startswith(f"bytes {start}-"):
                if answer.status_code == 206:
                    self.part.unlink(missing_ok=True)
                    return
                start = 0
            self._check_length(start, answer.headers.get("Content-Length", ""))
            self._write(start, answer.iter_content(CHUNK))

    def _check_length(self, start: int, length: str) -> None:
        if length.isdigit() and start + int(length) not in self.sizes:
            if start:  # what is there is of another file, perhaps: from the start, then
                self.part.unlink()
                raise requests.exceptions.RequestException("another length")
            raise Refused(f"has a file of {int(length):,} bytes, not {self.sizes[0]:,}")

    def _write(self, start: int, chunks: Iterator[bytes]) -> None:
        done = start
        with open(self.part, "r+b" if start else "wb") as file:
            file.seek(start)
            for chunk in chunks:
                kind = describe(chunk[:512]) if not done else None
                if kind is not None:
                    raise Refused(f"gives {kind.partition(' (')[0]}")
                file.write(chunk)
                done += len(chunk)
                if self.progress is not None:
                    self.progress(done, self.sizes[0])
                if done > max(self.sizes):
                    return

    def _short(self) -> str:
        if self.size > max(self.sizes):
            return f"has a file of more than {self.sizes[0]:,} bytes"
        return f"ends after {self.size:,} of {self.sizes[0]:,} bytes"

    def _broken(self, error: requests.exceptions.RequestException) -> str:
        if isinstance(error, requests.exceptions.Timeout) or "timed out" in str(error):
            return f"sends nothing for {self.timeout:g} seconds"
        if self.size:
            return f"breaks off after {self.size:,} of {self.sizes[0]:,} bytes"
        return "cannot be reached"

    def _forget_if_too_long(self) -> None:
        if self.size > max(self.sizes):
            self.part.unlink()

"""Files that take the place of older ones only once they are whole."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` once it is whole, and on the disk."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # a device or a pipe; a folder gives an error
        with open(target, "wb") as file:
            yield file
        return
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
        settle(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def settle(path: Path) -> None:
    """Bring a file, or a folder's new names, to the disk, where the system knows how."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

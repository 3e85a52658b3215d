"""Converted models on disk: made once, whole or not at all, whichever process comes first."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from darknet_py.cache import cache_folder
from darknet_py.errors import DarknetWarning, WriteError
from darknet_py.replacing import settle

ABOUT = "about.json"
"""The file that says what lies in an entry, and how large each file is."""


def find_entry(key: str) -> tuple[Path, dict[str, Any]] | None:
    """The entry of that key and what it says of itself; None: there is none, or it is damaged."""
    folder = cache_folder() / "converted" / key
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        sizes = about["sizes"]
        whole = all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return (folder, about) if whole else None


def make_entry(key: str, write: Callable[[Path], Mapping[str, Any]]) -> tuple[Path, dict[str, Any]]:
    """The entry of that key, made by `write` if it is not there.

    Of several processes the first one makes it and the others wait, where the system has locks
    for files; elsewhere each makes one, and the first to end wins.

    Where nothing can be written, or there is no room, a warning says so, and the entry is made in
    a folder that goes with the process.

    Args:
        key: a name for a folder.
        write: puts files into the folder it is given; what it returns is kept with them.

    Raises:
        WriteError: there is no room for temporary files either.
    """
    try:
        return _keep(cache_folder() / "converted", key, write)
    except (OSError, WriteError) as error:
        message = f"{cache_folder()}: cannot be written ({_reason(error)}): nothing is kept there"
    warnings.warn(message, DarknetWarning, stacklevel=2)
    try:
        return _temporary(write)
    except OSError as error:
        raise WriteError("the folder of temporary files", _reason(error)) from None


def _reason(error: OSError | WriteError) -> str:
    return error.reason if isinstance(error, WriteError) else error.strerror or str(error)


def drop_entry(key: str) -> None:
    """Remove an entry that turned out to be damaged."""
    shutil.rmtree(cache_folder() / "converted" / key, ignore_errors=True)


def remember(kind: str, key: str, value: Any) -> None:
    """Keep a small value; in vain, where the folder cannot be written."""
    path = cache_folder() / kind / f"{key}.json"
    temporary = path.with_name(f".{key}.{os.urandom(4).hex()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(value), encoding="utf-8")
        temporary.replace(path)


def recall(kind: str, key: str) -> Any:
    """A value that was kept; None: it was not, or is damaged."""
    try:
        return json.loads((cache_folder() / kind / f"{key}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _keep(
    root: Path, key: str, write: Callable[[Path], Mapping[str, Any]]
) -> tuple[Path, dict[str, Any]]:
    root.mkdir(parents=True, exist_ok=True)
    scratch = root / f".{key}.{os.urandom(4).hex()}"
    scratch.mkdir()
    try:
        with _lock(root / f"{key}.lock"):
            return find_entry(key) or _fill(scratch, root / key, write)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fill(
    scratch: Path, target: Path, write: Callable[[Path], Mapping[str, Any]]
) -> tuple[Path, dict[str, Any]]:
    about = _describe(scratch, write(scratch))
    for path in (*scratch.iterdir(), scratch):
        settle(path)
    shutil.rmtree(target, ignore_errors=True)  # one that is damaged
    try:
        scratch.rename(target)
    except OSError:  # another process was first
        found = find_entry(target.name)
        if found is None:
            raise
        return found
    return target, about


def _describe(folder: Path, more: Mapping[str, Any]) -> dict[str, Any]:
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    about = {**more, "sizes": sizes}
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    return about


_scratch: list[tempfile.TemporaryDirectory[str]] = []
"""Folders that live as long as the process."""


def _temporary(write: Callable[[Path], Mapping[str, Any]]) -> tuple[Path, dict[str, Any]]:
    _scratch.append(tempfile.TemporaryDirectory(prefix="darknet-py-"))
    folder = Path(_scratch[-1].name)
    return folder, _describe(folder, write(folder))


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Only one process at a time; the lock goes with the process that holds it."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with open(path, "ab") as file:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield

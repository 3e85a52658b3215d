"""How the C library's allocator treats large tensors that come and go."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_KEEP = (1 << 31) - 1
_PAGES = 22 << 20
"""Bytes from which on arrays of a single picture that come and go are mapped anew each time: the
peak of yolov4@608 is 396 MB then, and 412 if they are kept. yolov4@416 has none."""
_kept = False


@cache
def _mallopt() -> Callable[[int, int], int] | None:
    """The function of glibc; None elsewhere."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt") or not hasattr(library, "gnu_get_libc_version"):
        return None
    found: Callable[[int, int], int] = library.mallopt
    return found


def _set(pages: int, keep: int) -> None:
    mallopt = _mallopt()
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, pages)
        mallopt(_TRIM_THRESHOLD, keep)


def keep_memory() -> None:
    """Let freed memory stay with the process, to be used again, on glibc.

    By default every tensor above 32 MB is mapped anew and cleared page by page, which takes a
    fifth of a training step on a CPU.
    """
    global _kept
    if not _kept:
        _kept = True
        _set(1 << 30, _KEEP)


def return_memory() -> None:
    """Let what is freed go back to the system at once, on glibc, unless `keep_memory` was called.

    For a while: what is set up then lies in pages of its own, and leaves no holes between tensors
    that come and go. `reuse_memory` ends it.
    """
    if not _kept:
        _set(1 << 18, 1 << 18)


def trim_memory() -> None:
    """Give back what is free between tensors, too, on glibc."""
    if _mallopt() is not None:
        ctypes.CDLL(None).malloc_trim(0)


def reuse_memory(batch: int = 1) -> None:
    """Let freed memory stay, unless `keep_memory` was called: of one picture all but large tensors.

    Args:
        batch: pictures that are computed at once. The maps of several are large, and mapping them
            anew would take a fifth to a quarter of the time (docs/speed.md).
    """
    if batch > 1:
        keep_memory()
    elif not _kept:
        _set(_PAGES, _KEEP)

"""How many threads may share the work."""

from __future__ import annotations

import os


def given_threads() -> int | None:
    """The number in `OMP_NUM_THREADS`, at least 1; None: it says none."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    return (int(text) if text.isdecimal() else 0) or None


def count_threads() -> int:
    """The number in `OMP_NUM_THREADS`, else of the processors that this process may use."""
    given = given_threads()
    if given is not None:
        return given
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

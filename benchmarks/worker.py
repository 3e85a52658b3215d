"""A process that holds one engine: reads jobs and orders as JSON lines, answers each with a line.

`{"do": "load", "engine": ..., ...}` makes a job ready and runs it once, `{"do": "run", "times": 3}`
runs it, `{"do": "free"}` lets go of it. What libraries print goes to stderr.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from engines import ENGINES, CannotRun, Run


def pin(threads: int) -> None:
    """Keep all threads of this process on the first `threads` of the CPUs it started with."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cpus = ALLOWED[:threads]
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            os.sched_setaffinity(int(thread.name), cpus)


ALLOWED = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


class Worker:
    """The engine's function that is ready now."""

    def __init__(self) -> None:
        self.run_once: Run | None = None

    def load(self, job: dict[str, Any]) -> dict[str, Any]:
        """Make a job ready; the answer says how long that and the first run took."""
        self.run_once = None
        gc.collect()
        pin(len(ALLOWED))
        picture = np.load(job["picture"])
        job["inputs"] = np.ascontiguousarray(np.repeat(picture, job["batch"], 0))
        start = time.perf_counter()
        run = ENGINES[job["engine"]](job)
        ready = time.perf_counter()
        outputs = run() if job["first"] else None
        first = time.perf_counter() - ready
        pin(job["threads"])  # what the first run has started
        self.run_once = run
        return {
            "ready": ready - start,
            "first": first,
            "difference": _difference(outputs, job["expected"]),
        }

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """Run a few times, the first `warm` of them not counted."""
        assert self.run_once is not None
        seconds = []
        for _ in range(order.get("warm", 0) + order.get("times", 1)):
            start = time.perf_counter()
            self.run_once()
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds[order.get("warm", 0) :]}

    def free(self) -> dict[str, Any]:
        """Let go of what is ready."""
        self.run_once = None
        gc.collect()
        return {}


def _difference(outputs: Any, path: str) -> float | None:
    """The largest difference from the plain network's outputs, in their standard deviations."""
    if outputs is None:
        return None
    with np.load(path) as file:
        expected = [file[name] for name in file.files]
    if len(expected) != len(outputs):
        return None
    worst = 0.0
    for output, right in zip(outputs, expected, strict=True):
        got = np.asarray(output, np.float32)[0].ravel()
        if got.size != right.size:  # the outputs are of another form
            return None
        spread = float(right.std()) or 1.0
        worst = max(worst, float(np.abs(got - right.ravel()).max()) / spread)
    return worst


def serve() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if order["do"] == "load":
                answer = worker.load(order)
            elif order["do"] == "run":
                answer = worker.run(order)
            else:
                answer = worker.free()
        except CannotRun as error:
            answer = {"cannot": str(error)}
        except Exception as error:
            text = " ".join(str(error).split())[:200]
            answer = {"cannot": f"{type(error).__name__}: {text}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()

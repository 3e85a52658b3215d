"""Measuring in turns: every rival runs a little, again and again, on the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rivals import Process, Rival

TURN = 0.04
"""Seconds that a turn's runs that count last at least; one goes before them that does not count,
since it finds the caches, and the threads, as other rivals left them."""
REST = 0.06
"""Seconds after a turn in which threads that wait actively go to sleep: onnxruntime's after 50 ms,
PyTorch's after 11."""
LEAST = 5
"""Turns of each that is not slow, however long they take; 3 of runs above `LONG` seconds."""
LONG = 0.5
LONGEST = 120.0
"""Seconds that a run may take at the most."""


@dataclass(frozen=True)
class Budget:
    """How long a cell of the table may be measured."""

    seconds: float = 8.0
    rounds: int = 15
    ready_seconds: float = 600.0


def summary(seconds: Sequence[float]) -> dict[str, Any]:
    """Median and spread, in milliseconds."""
    ms = sorted(1000 * s for s in seconds)
    low, median, high = statistics.quantiles(ms, n=4, method="inclusive") if ms[1:] else ms * 3
    return {"median": median, "min": ms[0], "low": low, "high": high, "runs": len(ms)}


def measure(
    processes: dict[str, Process],
    rivals: Iterable[Rival],
    job: dict[str, Any],
    budget: Budget,
) -> dict[str, dict[str, Any]]:
    """What each rival takes for a job, by its name: a summary, or why it `cannot`."""
    rivals = list(rivals)
    results: dict[str, dict[str, Any]] = {}
    # they get ready all at once, converting and compiling takes long; but for those that measure
    quiet = [rival for rival in rivals if rival.engine == "auto"]
    for wave in ([r for r in rivals if r not in quiet], *([r] for r in quiet)):
        for rival in wave:
            order = job | {"do": "load", "engine": rival.engine, "dtype": rival.dtype}
            processes[rival.name].tell(**order, first=not rival.slow)
        results |= {r.name: processes[r.name].hear(budget.ready_seconds) for r in wave}
    ready = [rival for rival in rivals if "cannot" not in results[rival.name]]
    for name, seconds in _take_turns(processes, ready, results, budget).items():
        if "cannot" not in results[name]:
            results[name] |= summary(seconds)
        processes[name].ask(30, do="free")
    return results


def _take_turns(
    processes: dict[str, Process],
    rivals: Sequence[Rival],
    results: dict[str, dict[str, Any]],
    budget: Budget,
) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {rival.name: [] for rival in rivals}
    last = {rival.name: results[rival.name]["first"] for rival in rivals}
    spent = 0.0  # by those that are not slow
    for number in range(budget.rounds):
        quick = [rival for rival in rivals if not rival.slow]
        need = 2 * sum(last[rival.name] for rival in quick)
        least = LEAST if max((last[r.name] for r in quick), default=0) < LONG else 3
        if number >= least and spent + need > budget.seconds:
            break
        for rival in rivals:
            run = last[rival.name]
            if rival.slow and number and (number > 2 or run > budget.seconds / 4):
                continue
            times, start = max(1, min(10, round(TURN / max(run, 1e-5)))), time.perf_counter()
            answer = processes[rival.name].ask(
                LONGEST, do="run", times=times, warm=0 if rival.slow else 1
            )
            if "cannot" in answer:
                results[rival.name] = answer
                last[rival.name] = 0.0
                rivals = [r for r in rivals if r.name != rival.name]
                continue
            taken[rival.name] += answer["seconds"]
            last[rival.name] = statistics.median(answer["seconds"])
            time.sleep(REST)
            if not rival.slow:
                spent += time.perf_counter() - start
    return taken

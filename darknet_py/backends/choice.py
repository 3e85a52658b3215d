"""The fastest library for a network on this machine, by a measurement."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from darknet_py.backends.converted import PACKAGES, Say
from darknet_py.backends.identity import Source, processor, versions
from darknet_py.backends.store import recall, remember
from darknet_py.errors import DarknetError
from darknet_py.threads import count_threads

if TYPE_CHECKING:
    from darknet_py.finder import Finder
    from darknet_py.scorer import Scorer

LONGEST = 3.0
"""Seconds that are measured, at most, beyond the first runs."""
ROUNDS = 24
"""Turns of each library then, at most."""
TURN = 0.03
"""Seconds that the runs of a turn take together, at least."""
REST = 0.015
"""Seconds before a turn, in which threads of others that wait actively go to sleep."""

SLACK = 1.05
"""What a turn's measurement may be off: another library must be faster than PyTorch by more."""

Found = TypeVar("Found", bound="Finder | Scorer")


def choose(
    source: Source,
    open_with: Callable[[str], Found],
    device: str | None = None,
    say: Say = lambda line: None,
) -> Found:
    """The fastest of the libraries that are here, by a measurement that is kept for next time.

    Args:
        source: the network.
        open_with: opens it with the library of that name.
        device: where it runs.
        say: takes each line that tells what is done, if anything is.
    """
    names = [name for name in PACKAGES if importlib.util.find_spec(name) is not None]
    packages = [package for name in names for package in PACKAGES[name]]
    key = source.key("choice", device, processor(), count_threads(), *versions(packages))
    known = recall("choices", key)
    if isinstance(known, Mapping) and known.get("backend") in names:
        return open_with(known["backend"])
    opened: dict[str, Found] = {}
    failed: DarknetError | None = None
    for name in names:
        if source.int8 and name == "torch":
            continue
        try:
            opened[name] = open_with(name)
        except DarknetError as error:
            if name == "torch":
                raise
            failed = error
    if not opened:
        raise failed or DarknetError("no library is installed that runs this network")
    seconds = measure(opened)
    best = min(seconds, key=lambda name: seconds[name] * (1 if name == "torch" else SLACK))
    figures = {name: round(value * 1000, 3) for name, value in seconds.items()}
    listed = ", ".join(f"{name} {value:g} ms" for name, value in figures.items())
    say(f"Fastest: {best} ({listed})")
    remember("choices", key, {"backend": best, "milliseconds": figures})
    return opened[best]


def measure(opened: Mapping[str, Found]) -> dict[str, float]:
    """What each takes for one picture, in seconds; they take turns.

    It is the lower quartile: what else runs on the machine only adds. A turn begins with a rest and
    a run that does not count: threads of another library that still wait actively, and cold caches,
    would speak against whoever comes next. One that fails is left out.

    Raises:
        DarknetError: all fail.
    """
    inputs: dict[str, np.ndarray] = {}
    failed = DarknetError("nothing to measure")
    for name, item in opened.items():
        shape = item.image
        sides = (1, shape.channels, shape.height, shape.width)
        inputs[name] = np.random.default_rng(0).random(sides, np.float32)
        try:
            item.run(inputs[name])
            item.settle()
            for _ in range(3):  # the first runs prepare
                item.run(inputs[name])
        except DarknetError as error:
            del inputs[name]
            failed = error
    if not inputs:
        raise failed
    times: dict[str, list[float]] = {name: [] for name in inputs}
    end = time.perf_counter() + LONGEST
    for _ in range(ROUNDS):
        for name, x in inputs.items():
            time.sleep(REST)
            opened[name].run(x)
            times[name] += _turn(opened[name], x)
        if time.perf_counter() > end:
            break
    return {name: float(np.quantile(found, 0.25)) for name, found in times.items()}


def _turn(item: Finder | Scorer, inputs: np.ndarray) -> list[float]:
    """Each run of a turn, in seconds."""
    found: list[float] = []
    while sum(found) < TURN:
        start = time.perf_counter()
        item.run(inputs)
        found.append(time.perf_counter() - start)
    return found

"""Whole runs of the command, ours and C's: their time, what they waited for pictures, cfgs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OURS = (sys.executable, "-m", "darknet_py")
_ITERATION = re.compile(r"(?m)^\s*\d+(?:, [\d.]+)?: (-?[\d.]+|-?nan|-?inf), .* ([\d.]+) seconds,")
_LOADED = re.compile(r"(?m)^Loaded: ([\d.]+) seconds")


class Failed(Exception):
    """A command did not end as it should; the text says why."""


@dataclass
class Run:
    """What a training command printed with `-c_lines`, or C did."""

    seconds: float
    """Of the whole process, from start to end."""
    steps: list[float] = field(default_factory=list)
    """Of each iteration's forward, backward and update."""
    waited: list[float] = field(default_factory=list)
    """For each iteration's pictures."""
    losses: list[float] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """The columns of a table."""
        busy, waited = sum(self.steps), sum(self.waited[1 : len(self.steps)])
        median = sorted(self.steps)[len(self.steps) // 2] if self.steps else 0.0
        return {
            "iterations": len(self.steps),
            "wall time, s": round(self.seconds, 1),
            "median iteration, s": median,
            # The first iteration waits until its pictures are read; nothing can be done before.
            "waiting for pictures, %": 100 * waited / max(busy + waited, 1e-9),
        }


def train(words: Sequence[str], folder: Path, threads: int) -> Run:
    """Run `darknet-py WORDS -c_lines` in `folder`, output to train.log there.

    Raises:
        Failed: it ends with another status than 0.
    """
    log = folder / "train.log"
    seconds = _execute([*OURS, *words, "-c_lines"], folder, threads, log)
    return read_log(log, seconds)


def ask(words: Sequence[str], folder: Path, threads: int) -> dict[str, Any]:
    """What `darknet-py WORDS -out FILE` writes to that file.

    Raises:
        Failed: it ends with another status than 0.
    """
    answer = folder / "answer.json"
    _execute([*OURS, *words, "-quiet", "-out", str(answer)], folder, threads, folder / "score.log")
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def read_log(log: Path, seconds: float) -> Run:
    """The iterations of a log, in either dialect's lines."""
    text = log.read_text(encoding="utf-8", errors="replace")
    found = _ITERATION.findall(text)
    waited = [float(number) for number in _LOADED.findall(text)]
    steps, losses = [float(step) for _, step in found], [float(loss) for loss, _ in found]
    return Run(seconds, steps, waited, losses)


def train_in_c(
    program: str | None, words: Sequence[str], folder: Path, limit: float, threads: int = 1
) -> Run:
    """Run C's trainer for `limit` seconds at the most.

    Raises:
        Failed: it is not installed, or crashes, or does not end an iteration in that time.
    """
    if program is None or shutil.which(program) is None:
        raise Failed("not installed")
    log, start = folder / "c.log", time.perf_counter()
    line = [program, *words]
    if shutil.which("stdbuf"):  # or lines are lost when it is killed
        line = ["stdbuf", "-oL", *line]
    with log.open("wb") as file:
        process = subprocess.Popen(
            line, cwd=folder, stdout=file, stderr=file, env=_environment(threads)
        )
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = 0
    run = read_log(log, time.perf_counter() - start)
    if run.steps:
        return run
    if status:
        name = f"signal {-status}" if status < 0 else f"status {status}"
        raise Failed(f"it ends with {name}: {_last_line(log)}")
    raise Failed(f"no iteration within {limit:.0f} s")


def _execute(line: Sequence[str], folder: Path, threads: int, log: Path) -> float:
    start = time.perf_counter()
    with log.open("wb") as file:
        done = subprocess.run(
            line, cwd=folder, stdout=file, stderr=subprocess.STDOUT, env=_environment(threads)
        )
    if done.returncode:
        raise Failed(f"{' '.join(line[2:5])}: status {done.returncode}: {_last_line(log)}")
    return time.perf_counter() - start


def _environment(threads: int) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": str(threads)}


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")[:200]


def edit(text: str, settings: Mapping[str, Any]) -> str:
    """A cfg with other values; `settings` by section and key: `net.batch`, `yolo.jitter`.

    A key is set in all sections of that name.
    """
    parts = re.split(r"(?m)^(?=[ \t]*\[)", text)
    for number, part in enumerate(parts):
        begin = re.match(r"[ \t]*\[(\w+)\].*\n?", part)
        if begin is None:
            continue
        mine = {k.partition(".")[2]: v for k, v in settings.items() if _is_of(k, begin[1])}
        if mine:
            body = part[begin.end() :]
            for key in mine:
                body = re.sub(rf"(?m)^[ \t]*{re.escape(key)}[ \t]*=.*\n?", "", body)
            lines = "".join(f"{key}={value}\n" for key, value in mine.items())
            parts[number] = begin[0].rstrip("\n") + "\n" + lines + body
    return "".join(parts)


def value_of(text: str, key: str) -> str | None:
    """The first value of a key, as C takes it."""
    found = re.search(rf"(?m)^[ \t]*{re.escape(key)}[ \t]*=[ \t]*(.*?)[ \t]*$", text)
    return None if found is None else found[1]


def with_iterations(text: str, iterations: int) -> dict[str, Any]:
    """The settings that make a cfg's schedule that long: burn_in and steps go along."""
    before = int(value_of(text, "max_batches") or 0) or iterations
    settings: dict[str, Any] = {"net.max_batches": iterations}
    steps, burn_in = value_of(text, "steps"), value_of(text, "burn_in")
    if steps:
        scaled = [round(int(step) * iterations / before) for step in steps.split(",")]
        settings["net.steps"] = ",".join(map(str, scaled))
    if burn_in:
        settings["net.burn_in"] = min(int(burn_in), max(iterations // 8, 1))
    return settings


def _is_of(key: str, section: str) -> bool:
    return key.partition(".")[0] == section

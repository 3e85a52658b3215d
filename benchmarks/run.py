"""`make bench`: measure darknet-py and its rivals; writes results.json, results.md, results.svg."""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import machine
import networks
import plot
import report
import rivals
import sections
from measure import Budget, measure

HERE = Path(__file__).resolve().parent
QUICK = ("tiny", "yolov4-tiny", "yolo-fastest")


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark that the command line asks for."""
    args = _read(words)
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    results = Results(folder / "results.json", keep=args.resume or bool(args.only))
    if not args.no_install:
        rivals.install()
    results.data["machine"] = machine.facts()
    results.data["date"] = datetime.date.today().isoformat()
    for name, value in results.data["machine"].items():
        print(f"{name}: {value}")
    try:
        run_rows(args, results)
        run_sections(args, results)
    finally:
        results.save()
        (folder / "results.md").write_text(report.text(results.data), encoding="utf-8")
        plot.draw(results.data, folder / "results.svg")
    print(f"{folder / 'results.md'}")
    return 0


class Results:
    """results.json, written after every cell so that a run can be gone on with."""

    def __init__(self, path: Path, *, keep: bool) -> None:
        self.path = path
        self.data: dict[str, Any] = {"cells": {}, "sections": {}}
        if keep and path.is_file():
            self.data = json.loads(path.read_text(encoding="utf-8"))

    def save(self) -> None:
        """Write the file, whole or not at all."""
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.data, indent=1) + "\n", encoding="utf-8")
        part.replace(self.path)


def run_rows(args: argparse.Namespace, results: Results) -> None:
    """Every chosen network, batch and number of threads."""
    chosen = [rival for rival in rivals.RIVALS if _wanted(rival.name, args.rivals)]
    processes = {rival.name: rivals.Process(rival) for rival in chosen}
    budget = Budget(args.seconds, 3 if args.quick else 15, 120 if args.quick else 600)
    kinds = [(batch, threads) for batch in args.batches for threads in args.threads]
    rows = [row for row in networks.ROWS if row.name in args.rows]
    try:
        for (batch, threads), number in itertools.product(kinds, range(args.passes)):
            for row in rows:
                _cell(args, results, row, batch, threads, chosen, processes, budget, number)
    finally:
        for process in processes.values():
            process.stop()


def _cell(
    args: argparse.Namespace,
    results: Results,
    row: networks.Row,
    batch: int,
    threads: int,
    chosen: Sequence[rivals.Rival],
    processes: dict[str, rivals.Process],
    budget: Budget,
    number: int,
) -> None:
    """Measure a cell; of several passes for each rival that one counts in which it was fastest."""
    key = f"{row.name} batch {batch} threads {threads}"
    held = results.data["cells"].get(key)
    if held and args.resume and number < held.get("passes", 1):
        return
    start = time.perf_counter()
    here = [rival for rival in chosen if batch in rival.batches and not (number and rival.slow)]
    try:
        needs_onnx = any(rival.needs_onnx for rival in here)
        job = networks.make_files(row, rivals.WORK / "networks", onnx=needs_onnx)
    except networks.Missing as error:
        measured: dict[str, Any] = {rival.name: {"cannot": str(error)} for rival in here}
        job = {}
    else:
        measured = measure(processes, here, job | {"batch": batch, "threads": threads}, budget)
    print(f"{key} ({time.perf_counter() - start:.0f} s): {report.brief(measured)}", flush=True)
    if held and number:
        measured = report.faster(held["rivals"], measured)
    results.data["cells"][key] = {
        "network": row.name,
        "batch": batch,
        "threads": threads,
        "shape": job.get("shape"),
        "operations": job.get("operations"),
        "rivals": measured,
        "passes": number + 1,
    }
    results.save()


def run_sections(args: argparse.Namespace, results: Results) -> None:
    """Load time, cold start, memory, many pictures, growth."""
    for name, section in sections.SECTIONS.items():
        if name not in args.sections or (args.resume and name in results.data["sections"]):
            continue
        start = time.perf_counter()
        try:
            rows = section(args.quick, rivals.WORK / "networks")
        except (sections.Failed, networks.Missing) as error:
            rows = [{"cannot run": str(error)}]
        results.data["sections"][name] = rows
        results.save()
        print(f"{name} ({time.perf_counter() - start:.0f} s)", flush=True)


def _wanted(name: str, chosen: Sequence[str] | None) -> bool:
    return chosen is None or name in chosen


def _read(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="three networks, few runs: does all of it work?")
    add("--only", nargs="+", metavar="NAME", help="these rows and sections; others are kept")
    add("--resume", action="store_true", help="leave out what results.json holds already")
    add("--rivals", nargs="+", metavar="NAME", help="these columns")
    add("--batches", nargs="+", type=int, help="(default: 1 8; with --quick 1)")
    add("--threads", nargs="+", type=int, help="(default: all CPUs, and 1)")
    add("--passes", type=int, help="over all rows (default: 3; with --quick 1)")
    add("--seconds", type=float, help="to measure a cell for (default: 8; with --quick 1)")
    add("--out", default=str(HERE), help="the folder to write to (default: benchmarks)")
    add("--no-install", action="store_true", help="take the rivals that are there")
    args = parser.parse_args(words)
    rows, parts = [row.name for row in networks.ROWS], list(sections.SECTIONS)
    unknown = {*(args.only or ())} - {*rows, *parts}
    if unknown:
        parser.error(f"no such row or section: {', '.join(sorted(unknown))}; there are "
                     f"{', '.join(rows + parts)}")  # fmt: skip
    known = [rival.name for rival in rivals.RIVALS]
    for name in args.rivals or ():
        if name not in known:
            parser.error(f"no such column: {name}; there are {', '.join(known)}")
    everything = args.only or ((*QUICK, *parts) if args.quick else (*rows, *parts))
    args.rows = [name for name in everything if name in rows]
    args.sections = [name for name in everything if name in parts]
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    args.threads = args.threads or ([min(cpus or 1, 2)] if args.quick else [min(cpus or 1, 2), 1])
    args.batches = args.batches or ([1] if args.quick else [1, 8])
    args.passes = args.passes or (1 if args.quick else 3)
    args.seconds = args.seconds or (1.0 if args.quick else 8.0)
    return args


if __name__ == "__main__":
    sys.exit(main())

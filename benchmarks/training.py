"""`make bench-training`: train for real; writes training.json, training.md and charts.

    python benchmarks/training.py fashion              a classifier, beside Debian's C
    python benchmarks/training.py bccd                 a detector as C trained it
    python benchmarks/training.py bccd-best            the best within 15 minutes
    python benchmarks/training.py bccd-scratch         a small one from nothing
    python benchmarks/training.py steps                the time of a step, beside C's

Several names run one after the other, none: all. Each keeps what the others have written.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bccd
import fashion
import machine
import networks
import rivals
import steps
import training_report
from run import Results
from training_runs import Failed

NAMES = ("fashion", *bccd.VARIANTS, "steps")


def main(words: Sequence[str] | None = None) -> int:
    """Run what the command line names; 1: something could not be run."""
    args = _read(words)
    out, work = Path(args.out).resolve(), rivals.WORK.resolve() / "training"
    out.mkdir(parents=True, exist_ok=True)
    results, status = Results(out / "training.json", keep=True), 0
    results.data.pop("cells", None)
    sections = results.data["sections"]
    for name in args.names or NAMES:
        if args.resume and name in sections:
            continue
        start, facts = time.perf_counter(), machine.facts()
        try:
            rows = _rows(name, args, work, out)
        except (Failed, fashion.NoData, networks.Missing) as error:
            print(f"{name}: {error}", file=sys.stderr)
            status = 1
            continue
        today = datetime.date.today().isoformat()
        sections[name] = {"date": today, "machine": facts, "rows": rows}
        results.save()
        (out / "training.md").write_text(training_report.text(sections), encoding="utf-8")
        print(f"{name} ({time.perf_counter() - start:.0f} s): {rows}", flush=True)
    print(out / "training.md")
    return status


def _rows(name: str, args: argparse.Namespace, work: Path, out: Path) -> list[dict[str, Any]]:
    if name == "steps":
        return steps.run(args, work)
    args = argparse.Namespace(**vars(args) | {"threads": max(args.threads)})
    if name == "fashion":
        return fashion.run(args, work)
    row = bccd.run(name, args, work, out)
    return [*bccd.rivals(), row] if name == "bccd" else [row]


def _read(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    both = [count, 1] if count > 1 else [1]
    add("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    add("--iterations", type=int, metavar="N", help="as many; steps and burn_in go along")
    add("--set", action="append", default=[], metavar="SECTION.KEY=VALUE",
        help="a cfg's value, such as net.mosaic=1, yolo.jitter=.2; again for another")  # fmt: skip
    add("--threads", type=int, nargs="+", default=both,
        help=f"the most of these trains, steps takes each (default: {both})")  # fmt: skip
    add("--seed", type=int, default=0, help="of the training (default: 0)")
    add("--seconds", type=float, default=20.0, help="to measure each kind of step (20)")
    add("--limit", type=float, default=60.0, help="seconds that C trains, at most (60)")
    add("--networks", nargs="+", metavar="NAME", help="of steps: these")
    add("--no-c", dest="c", action="store_false", help="leave C's trainers out")
    add("--resume", action="store_true", help="leave out what training.json holds already")
    add("--out", default=str(rivals.HERE), help="the folder to write to (default: benchmarks)")
    args = parser.parse_args(words)
    if unknown := {*args.names} - {*NAMES}:
        parser.error(f"no such name: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if wrong := [word for word in args.set if "=" not in word or "." not in word.split("=")[0]]:
        parser.error(f"--set takes SECTION.KEY=VALUE, got {wrong[0]}")
    return args


if __name__ == "__main__":
    sys.exit(main())

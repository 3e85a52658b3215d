"""The time of a training step per network: ours, plain PyTorch, and C's trainers."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networks
from rivals import ALEXEYAB, HERE
from training_runs import Failed, edit, train_in_c

from darknet_py.image import load_image, resize, save_image, to_bytes, to_float
from darknet_py.network import Network

IMAGES = 16
ROUNDS = 2
"""Processes per kind, in turns."""


@dataclass(frozen=True)
class Row:
    """A network, its mini-batch, and that of C, which is slower: its time is scaled."""

    name: str
    cfg: str
    batch: int
    in_c: int
    detects: bool


ROWS = (
    Row("tiny", "tiny", 16, 4, False),
    Row("cifar", "cifar", 32, 4, False),
    Row("darknet19", "darknet19", 8, 2, False),
    Row("yolov3-tiny", "yolov3-tiny", 8, 2, True),
    Row("yolov4-tiny", "yolov4-tiny", 8, 2, True),
    Row("yolo-fastest", "yolo-fastest-1.1", 16, 4, True),
)


def run(args: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """A row for each network; milliseconds of a step."""
    rows = []
    for row in ROWS:
        if args.networks is None or row.name in args.networks:
            rows.append(_measure(row, args, work / "steps" / row.name))
            print(rows[-1], flush=True)
    return rows


def _measure(row: Row, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        source = networks.find_cfg(networks.Row(row.name, row.cfg))
    except networks.Missing as error:
        return _empty(row, args) | {"network": f"{row.name}: {error}"}
    text = source.read_text(encoding="utf-8")
    cfg = _write_cfg(folder / "ours" / source.name, text, row.batch)
    network = Network.from_cfg(cfg, initialize=False)
    data = _write_data(folder, network, row.detects)
    cells = _empty(row, args)
    for kind, threads in _columns(args):
        cells[_title(kind, threads)] = _probe_all(kind, threads, cfg, data, args.seconds)
    if args.c:
        slow = _write_cfg(folder / "c" / source.name, text, row.in_c)
        for title, program, threads in _programs(args):
            if title == "C (Debian)" and network.dialect.name != "pjreddie":
                cells[title] = "cannot run: the cfg is of AlexeyAB's fork"
                continue
            words = ["detector" if row.detects else "classifier", "train", str(data), str(slow)]
            words += [] if title == "C (Debian)" else ["-dont_show"]
            try:
                steps = train_in_c(program, words, folder, args.limit, threads).steps
            except Failed as error:
                cells[title] = f"cannot run: {error}"
            else:
                cells[title] = 1000 * min(steps) * row.batch / row.in_c
    ours = cells[_title("ours", args.threads[0])]
    for title, _, _ in _programs(args):
        if not isinstance(cells[title], str):
            cells[f"{title} / ours"] = round(cells[title] / ours, 1)
    return cells


def _columns(args: argparse.Namespace) -> list[tuple[str, int]]:
    return [(kind, threads) for threads in args.threads for kind in ("ours", "torch")]


def _programs(args: argparse.Namespace) -> list[tuple[str, str | None, int]]:
    """C's trainers: Debian's knows one thread; AlexeyAB's stands beside the library."""
    if not args.c:
        return []
    programs: list[tuple[str, str | None, int]] = [("C (Debian)", "darknet", 1)]
    if os.environ.get(ALEXEYAB):
        beside = Path(os.environ[ALEXEYAB]).with_name("darknet")
        programs.append(("C (AlexeyAB)", str(beside), args.threads[0]))
    return programs


def _title(kind: str, threads: int) -> str:
    return f"{kind}, {threads} thread{'s' * (threads > 1)}"


def _empty(row: Row, args: argparse.Namespace) -> dict[str, Any]:
    cells: dict[str, Any] = {"network": row.name, "batch": row.batch}
    cells |= {_title(*column): "" for column in _columns(args)}
    for title, _, _ in _programs(args):
        cells |= {title: "", f"{title} / ours": ""}
    return cells


def _probe_all(kind: str, threads: int, cfg: Path, data: Path, seconds: float) -> Any:
    """The least of all processes' steps, in milliseconds, or why there is none."""
    best = float("inf")
    for _ in range(ROUNDS):
        line = [sys.executable, HERE / "step_probe.py", kind, cfg, data, str(seconds / ROUNDS)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(line, capture_output=True, text=True, env=environment)
        if done.returncode:
            return f"cannot run: {(done.stderr.strip().splitlines() or ['?'])[-1][:200]}"
        best = min(best, *json.loads(done.stdout.splitlines()[-1]))
    return 1000 * best


def _write_cfg(path: Path, text: str, batch: int) -> Path:
    """The cfg with another batch, and a rate at which nothing runs away in a few iterations."""
    settings = {"batch": batch, "subdivisions": 1, "learning_rate": 0.0001}
    settings |= {"max_batches": 1000, "burn_in": 0, "policy": "constant"}
    path.parent.mkdir(parents=True, exist_ok=True)
    one_size = re.sub(r"(?m)^[ \t]*random[ \t]*=.*", "random=0", text)
    whole = edit(one_size, {f"net.{key}": value for key, value in settings.items()})
    path.write_text(whole, encoding="utf-8")
    return path


def _write_data(folder: Path, network: Network, detects: bool) -> Path:
    """A few small pictures, each with boxes, or with its class in its path."""
    picture = to_bytes(resize(to_float(load_image(networks.PICTURE)), 320, 256))
    classes = network.heads[0].options.classes if detects else network[-1].out_shape.size
    labels = [f"_k{number:04d}_" for number in range(classes)]
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    paths = [pictures / f"{i:02d}{labels[i % classes]}.jpg" for i in range(IMAGES)]
    for number, path in enumerate(paths):
        save_image(picture, path)
        boxes = [(number % classes, 0.3, 0.4, 0.2, 0.3), (0, 0.7, 0.5, 0.3, 0.4)]
        lines = "".join(" ".join(map(str, box)) + "\n" for box in boxes)
        path.with_suffix(".txt").write_text(lines, encoding="utf-8")
    (folder / "backup").mkdir(exist_ok=True)
    (folder / "train.txt").write_text("".join(f"{p}\n" for p in paths), encoding="utf-8")
    (folder / "labels.list").write_text("".join(f"{x}\n" for x in labels), encoding="utf-8")
    data = folder / "steps.data"
    values = {"classes": classes, "backup": folder / "backup"}
    values |= dict.fromkeys(("train", "valid"), folder / "train.txt")
    values |= dict.fromkeys(("labels", "names"), folder / "labels.list")
    data.write_text("".join(f"{k}={v}\n" for k, v in values.items()), encoding="utf-8")
    return data

"""Blood cells (BCCD): fine-tuning, the best within the time, and a small network from nothing."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from networks import SHARED
from rivals import HERE
from training_runs import OURS, Failed, ask, edit, train, value_of, with_iterations

PLAIN = SHARED / "models" / "bccd-yolo-fastest" / "bccd-yolo-fastest.cfg"
ANCHORS = "20,26,45,54,47,71,56,62,61,77,108,130"
"""Of `detector calc_anchors -num_of_clusters 6 -width 320 -height 320 -seed 0 -runs 20`."""
C_SECONDS, C_SCORE = 1222.0, 0.6696
"""AlexeyAB's C on two cores, its CPU defects repaired, the run that PLAIN describes."""


@dataclass(frozen=True)
class Variant:
    """A training of one network."""

    title: str
    cfg: Path
    start: tuple[str, int] | None = None
    """A shared model, and how many of its layers."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    iterations: int | None = None
    """None: as the cfg says."""
    flags: tuple[str, ...] = ()


STEADY = ("-max_norm", "60")
"""Without, the run that C's cfg describes ends in nan with most seeds (docs/training.md)."""
VARIANTS = {
    "bccd": Variant(
        "yolo-fastest-1.1, COCO's first 109 layers, as C",
        PLAIN,
        ("yolo-fastest-1.1", 109),
        flags=STEADY,
    ),
    "bccd-best": Variant(
        "yolo-fastest-1.1, the best within 15 minutes",
        PLAIN,
        ("yolo-fastest-1.1", 109),
        {
            "net.policy": "sgdr",  # one cosine from the rate to learning_rate_min
            "net.learning_rate_min": 0.00001,
            "net.burn_in": 100,
            "yolo.anchors": ANCHORS,
            "yolo.jitter": 0.3,
        },
        1500,
        STEADY,
    ),
    "bccd-scratch": Variant("yolov4-tiny, a quarter of the filters, from nothing",
                            HERE / "bccd-tiny.cfg", flags=STEADY),
}  # fmt: skip


def run(name: str, args: argparse.Namespace, work: Path, out: Path) -> dict[str, Any]:
    """Train one variant and score it on the test pictures.

    Raises:
        Failed: a file is not there, or a command fails.
    """
    variant = VARIANTS[name]
    folder = work / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    data = _write_data(folder)
    cfg, changed = _write_cfg(variant, args, folder)
    words = ["detector", "train", str(data), str(cfg), *_start(variant, folder)]
    words += ["-seed", str(args.seed), "-quiet", *variant.flags]
    trained = train(words, folder, args.threads)
    shutil.copyfile(folder / f"chart_{cfg.stem}.png", out / f"{name.replace('-', '_')}_chart.png")
    weights = folder / "backup" / f"{cfg.stem}_final.weights"
    words = ["detector", "map", str(data), str(cfg), str(weights), "-points", "0"]
    scored = ask(words, folder, args.threads)
    row: dict[str, Any] = {"run": variant.title, "threads": args.threads, **trained.facts()}
    row["mAP@0.5, %"] = round(100 * scored["mean_average_precision"], 2)
    for one in scored["classes"]:
        row[f"{one['name']}, %"] = round(100 * one["average_precision"], 2)
    row["last loss"] = trained.losses[-1]
    row["seed"] = args.seed
    changes = [f"{key}={value}" for key, value in changed.items()]
    row["changed"] = " ".join((*changes, *variant.flags)) or "nothing"
    return row


def rivals() -> list[dict[str, Any]]:
    """What C is known to need and to reach."""
    title = "C (AlexeyAB, CPU defects repaired), the same run"
    return [{"run": title, "wall time, s": C_SECONDS, "mAP@0.5, %": 100 * C_SCORE}]


def _write_cfg(
    variant: Variant, args: argparse.Namespace, folder: Path
) -> tuple[Path, dict[str, Any]]:
    if not variant.cfg.is_file():
        raise Failed(f"{variant.cfg} is not there")
    text = variant.cfg.read_text(encoding="utf-8")
    given = dict(word.split("=", 1) for word in args.set)
    settings = {**variant.settings, **given}
    text = edit(text, settings)
    iterations = args.iterations or variant.iterations
    if iterations and str(iterations) != value_of(text, "max_batches"):
        settings |= with_iterations(text, iterations)
    path = folder / variant.cfg.name
    path.write_text(edit(text, settings), encoding="utf-8")
    return path, settings


def _start(variant: Variant, folder: Path) -> list[str]:
    """The weights to start from, cut."""
    if variant.start is None:
        return []
    name, layers = variant.start
    model, cut = SHARED / "models" / name / name, folder / f"{name}.conv.{layers}"
    _run_partial([f"{model}.cfg", f"{model}.weights", str(cut), str(layers)], folder)
    return [str(cut), "-clear"]


def _run_partial(words: list[str], folder: Path) -> None:
    done = subprocess.run(
        [*OURS, "partial", *words, "-quiet"], cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        raise Failed(done.stderr.strip())


def _write_data(folder: Path) -> Path:
    """The .data file; lists with whole paths, training on train and val."""
    source = SHARED / "data" / "bccd"
    if not source.is_dir():
        raise Failed(f"{source} is not there")
    for name, parts in {"train": ("train", "val"), "test": ("test",)}.items():
        texts = [(source / f"{part}.txt").read_text(encoding="utf-8") for part in parts]
        lines = [f"{source / line}\n" for text in texts for line in text.split()]
        (folder / f"{name}.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "backup").mkdir()
    data = folder / "bccd.data"
    values = {
        "classes": 3,
        "train": folder / "train.txt",
        "valid": folder / "test.txt",
        "names": source / "bccd.names",
        "backup": folder / "backup",
    }
    data.write_text("".join(f"{k}={v}\n" for k, v in values.items()), encoding="utf-8")
    return data

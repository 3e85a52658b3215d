"""Fashion-MNIST from Debian's package, as files that both programs read, and the training on it."""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rivals import HERE
from training_runs import Failed, ask, edit, train, train_in_c, with_iterations

from darknet_py.image import save_image

FOLDER = Path("/usr/share/datasets/fashion-mnist")
PACKAGE = "dataset-fashion-mnist"
NAMES = (
    "T-shirt",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
PARTS = {"train": "train", "valid": "t10k"}


class NoData(Exception):
    """The data cannot be had; the text says why."""


def make(folder: Path) -> Path:
    """The .data file of pictures in `folder`, made where they are not there yet.

    Raises:
        NoData: the package is not installed, and cannot be.
    """
    data = folder / "fashion.data"
    if data.is_file():
        return data
    _install()
    # A picture is of the class whose label its path holds: labels that no folder's name has.
    labels = [f"_is{number}_" for number in range(len(NAMES))]
    for part, prefix in PARTS.items():
        images = _read(FOLDER / f"{prefix}-images-idx3-ubyte.gz")
        classes = _read(FOLDER / f"{prefix}-labels-idx1-ubyte.gz")
        paths = [
            folder / part / f"{number:05d}{labels[kind]}.png" for number, kind in enumerate(classes)
        ]
        (folder / part).mkdir(parents=True, exist_ok=True)
        for path, image in zip(paths, images, strict=True):
            save_image(image[:, :, None], path)
        _write(folder / f"{part}.txt", map(str, paths))
    _write(folder / "labels.list", labels)
    _write(folder / "names.list", NAMES)
    backup = folder / "backup"
    backup.mkdir(exist_ok=True)
    values = {
        "classes": len(NAMES),
        "train": folder / "train.txt",
        "valid": folder / "valid.txt",
        "labels": folder / "labels.list",
        "names": folder / "names.list",
        "backup": backup,
        "top": 2,
    }
    _write(data, [f"{key}={value}" for key, value in values.items()])
    return data


def _install() -> None:
    if FOLDER.is_dir():
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "install", "-y", "-qq", PACKAGE], check=False)
    if not FOLDER.is_dir():
        raise NoData(f"{FOLDER} is not there: apt-get install {PACKAGE}")


def _read(path: Path) -> np.ndarray:
    """An IDX file: two zero bytes, type 8 (bytes), the number of sides, the sides, the values."""
    with gzip.open(path) as file:
        content = file.read()
    sides = np.frombuffer(content, ">u4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(sides)


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def run(args: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """Train the cfg beside this file, score it, and let Debian's C train the same for a while.

    Raises:
        NoData: there are no pictures.
        Failed: a command fails.
    """
    data = make(work / "fashion")
    folder = work / "fashion-run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = (HERE / "fashion.cfg").read_text(encoding="utf-8")
    source = edit(source, dict(word.split("=", 1) for word in args.set))
    if args.iterations:
        source = edit(source, with_iterations(source, args.iterations))
    cfg = folder / "fashion.cfg"
    cfg.write_text(source, encoding="utf-8")
    words = ["classifier", "train", str(data), str(cfg), "-quiet", "-out", str(folder)]
    trained = train([*words, "-seed", str(args.seed)], folder, args.threads)
    weights = folder / "fashion_final.weights"
    words = ["classifier", "valid", str(data), str(cfg), str(weights)]
    scored = ask(words, folder, args.threads)
    name = f"ours, {args.threads} thread{'s' * (args.threads > 1)}"
    ours: dict[str, Any] = {"program": name, **trained.facts()}
    ours["top-1, %"] = round(100 * scored["top_1"], 2)
    return [ours, _run_in_c(data, cfg, folder, args.limit, len(trained.steps))]


def _run_in_c(data: Path, cfg: Path, folder: Path, limit: float, count: int) -> dict[str, Any]:
    row: dict[str, Any] = {"program": "C (Debian)"}
    try:
        theirs = train_in_c("darknet", ["classifier", "train", str(data), str(cfg)], folder, limit)
    except Failed as error:
        return row | {"iterations": f"cannot run: {error}"}
    facts = theirs.facts()
    whole = facts["median iteration, s"] * count
    row |= facts | {"wall time, s": f"{whole:.0f} (from {len(theirs.steps)} iterations)"}
    return row | {"top-1, %": "not trained to the end"}

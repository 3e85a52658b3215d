"""What is measured beside single batches: loading, cold start, memory, many pictures, growth."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import networks
from rivals import HERE, RIVALS, interpreter

from darknet_py.image import load_image, resize, save_image, to_bytes, to_float

Rows = list[dict[str, Any]]
ROOT = networks.ROOT


TRAINED = ("yolo-fastest-1.1", "MobileNetV2-YOLOv3-Nano-coco", "MobileNetV2-YOLO-Fastest-voc")
"""Networks with real weights: random ones find objects by the thousand."""


class Failed(Exception):
    """Why a section has no figures."""


def _row(name: str) -> networks.Row:
    return next(row for row in networks.ROWS if row.name == name)


def _probe(*words: str, python: Path | str = sys.executable) -> dict[str, Any]:
    run = [str(python), str(HERE / "probe.py"), *words]
    done = subprocess.run(run, capture_output=True, text=True, timeout=600, cwd=ROOT)
    if done.returncode:
        raise Failed((done.stderr.strip().splitlines() or ["no answer"])[-1])
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def load(quick: bool, folder: Path) -> Rows:
    """Reading weights, beside reading the file's bytes; the file is in the system's cache."""
    rows = []
    for name in ("yolov4-tiny",) if quick else ("yolov4@416", "yolov3@416", "tiny"):
        job = networks.make_files(_row(name), folder)
        times = _probe("load", job["cfg"], job["weights"])
        rows.append(
            {
                "network": name,
                "file, MB": Path(job["weights"]).stat().st_size / 1e6,
                "bytes alone, ms": 1000 * times["bytes"],
                "network built, ms": 1000 * times["network"],
                "weights loaded, ms": 1000 * times["weights"],
                "loaded / bytes": times["weights"] / times["bytes"],
            }
        )
    return rows


def start(quick: bool, folder: Path) -> Rows:
    """Whole processes, from start to end, in turns."""
    job = networks.make_files(_row("tiny"), folder)
    cfg, weights, picture = job["cfg"], job["weights"], str(networks.PICTURE)
    names = ROOT / "data" / "imagenet.shortnames.list"
    data = folder / "imagenet.data"
    data.write_text(f"classes=1000\nnames={names}\nlabels={names}\ntop=5\n", encoding="utf-8")
    mine = [sys.executable, "-m", "darknet_py"]
    line = ["classifier", "predict", str(data), cfg, weights, picture]
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'import torch'": [sys.executable, "-c", "import torch"],
        "darknet-py --help": [*mine, "--help"],
        "darknet-py, tiny, torch": [*mine, *line, "-quiet"],
        "darknet-py, tiny, cached ONNX": [*mine, *line, "-quiet", "-backend", "onnxruntime"],
        "C (Debian), tiny": ["darknet", *line],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(2 if quick else 8):
        for name, command in commands.items():
            if shutil.which(command[0]) is None:
                continue
            begin = time.perf_counter()
            done = subprocess.run(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT
            )
            if not done.returncode:
                times[name].append(time.perf_counter() - begin)
    return [
        {"process": name, "median, s": _median(seconds[1:]), "least, s": _least(seconds[1:])}
        for name, seconds in times.items()
    ]


def _median(seconds: Sequence[float]) -> float | str:
    return statistics.median(seconds) if seconds else "cannot run"


def _least(seconds: Sequence[float]) -> float | str:
    return min(seconds) if seconds else ""


def memory(quick: bool, folder: Path) -> Rows:
    """What a network takes at its peak: loading, and three runs of one picture.

    Beside that, what the first network of a process brings, whatever its size: code. The bound is
    that of the project: the weights and 1.5 times the largest live set.
    """
    rows = []
    for name in ("yolov4-tiny",) if quick else ("yolov4@608", "yolov3@416", "yolov4-tiny", "tiny"):
        job = networks.make_files(_row(name), folder)
        found = _probe("memory", job["cfg"], job["weights"], job["picture"])
        taken, bound = found["peak"] - found["ready"], found["weights"] + 1.5 * found["live"]
        rows.append(
            {
                "network": name,
                "weights, MB": found["weights"] / 1e6,
                "live outputs, MB": found["live"] / 1e6,
                "peak, MB": taken / 1e6,
                "bound, MB": bound / 1e6,
                "peak / bound": taken / bound,
                "any first network, MB": (found["ready"] - found["before"]) / 1e6,
            }
        )
    return rows


def pictures(quick: bool, folder: Path) -> Rows:
    """Images a second from files to boxes, library calls, both threads, without the drawing."""
    count = 10 if quick else 100
    photos = _photos(folder.parent / "pictures", count)
    rows = []
    (rival,) = (rival for rival in RIVALS if rival.engine == "opencv")
    for name in TRAINED[:1] if quick else TRAINED:
        job = networks.make_files(networks.Row(name, name), folder)
        words = (job["cfg"], job["weights"], str(photos), str(count))
        mine = _probe("detect", *words)[str(count)]
        python, other = interpreter(rival), 0.0
        if python is not None:
            other = _probe("opencv", *words, str(job["shape"][1]), python=python)[str(count)]
        rows.append(
            {
                "network": name,
                "pictures": count,
                "ours, images/s": count / mine,
                "OpenCV 4.14, images/s": count / other if other else "not installed",
            }
        )
    return rows


def _photos(folder: Path, count: int) -> Path:
    """A folder of pictures of several sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = to_float(load_image(networks.PICTURE))
    for number in range(count):
        path = folder / f"{number:03d}.jpg"
        if not path.is_file():
            width, height = 640 + 8 * (number % 20), 480 + 8 * (number % 13)
            save_image(to_bytes(resize(picture, width, height)), path)
    return folder


def growth(quick: bool, folder: Path) -> Rows:
    """Time against the number of pictures, the batch and the pixels; linear is a constant cost."""
    job = networks.make_files(_row("yolov4-tiny"), folder)
    trained = networks.make_files(networks.Row(TRAINED[0], TRAINED[0]), folder)
    counts = (2, 5) if quick else (10, 20, 40, 80)
    photos = _photos(folder.parent / "pictures", counts[-1])
    files, words = (job["cfg"], job["weights"]), (str(photos), ",".join(map(str, counts)))
    found = {
        f"pictures, {TRAINED[0]}": _probe("detect", trained["cfg"], trained["weights"], *words),
        "batch, yolov4-tiny": _probe("forward", *files, "batch"),
        "side, yolov4-tiny": _probe("forward", *files, "size"),
    }
    rows = []
    for what, times in found.items():
        for number, seconds in times.items():
            units = int(number) ** 2 / 1e6 if what.startswith("side") else int(number)
            rows.append(
                {
                    "growing": what,
                    "number": int(number),
                    "ms": 1000 * seconds,
                    "ms for each picture, or million pixels": 1000 * seconds / units,
                }
            )
    return rows


SECTIONS: dict[str, Callable[[bool, Path], Rows]] = {
    section.__name__: section for section in (load, start, memory, pictures, growth)
}
"""By the names that `--only` takes."""

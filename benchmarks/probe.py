"""Small programs for sections.py: `probe.py NAME ARGUMENTS`, answers in JSON."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def load(cfg: str, weights: str) -> dict[str, float]:
    """Seconds to read the file's bytes, to build the network, and to fill it with the weights."""
    from darknet_py.network import Network
    from darknet_py.weights import load_weights

    times: dict[str, list[float]] = {"bytes": [], "network": [], "weights": []}
    for _ in range(5):
        start = time.perf_counter()
        with open(weights, "rb") as file:
            data = file.read()
        times["bytes"].append(time.perf_counter() - start)
        del data
        start = time.perf_counter()
        network = Network.from_cfg(cfg, initialize=False)
        times["network"].append(time.perf_counter() - start)
        start = time.perf_counter()
        load_weights(network, weights)
        times["weights"].append(time.perf_counter() - start)
        del network
    return {name: sorted(seconds)[2] for name, seconds in times.items()}


SMALL = """[net]
width=32
height=32
channels=3
[convolutional]
filters=8
size=3
stride=1
pad=1
activation=leaky
[maxpool]
size=2
stride=2
[convolutional]
filters=18
size=1
stride=1
activation=linear
[yolo]
mask=0,1,2
anchors=1,1, 2,2, 3,3
classes=1
num=3
"""


def memory(cfg: str, weights: str, picture: str) -> dict[str, float]:
    """Bytes: resident before, once a network of few pixels has run, at the peak, and what is live.

    What the first network of a process brings is code, above all.
    """
    import gc

    import numpy as np
    import torch

    from darknet_py.memory import find_peak
    from darknet_py.network import Network
    from darknet_py.operations import onednn

    onednn.can_fuse(torch.float32)  # the library's own code is not counted
    torch.nn.functional.conv2d(torch.zeros(1, 3, 8, 8), torch.zeros(4, 3, 3, 3))
    before = _resident()
    with tempfile.TemporaryDirectory() as folder:
        small, file = Path(folder, "small.cfg"), Path(folder, "small.weights")
        small.write_text(SMALL)
        file.write_bytes(np.zeros(4 + 8 + 8 * 27 + 18 + 18 * 8, "<f4").tobytes())
        _run_once(str(small), str(file), np.zeros((1, 3, 32, 32), np.float32))
    gc.collect()
    network = Network.from_cfg(cfg, initialize=False)
    live = 4 * find_peak(list(network), network.image)
    ready = _resident()
    _run_once(cfg, weights, np.load(picture))
    peak = _resident("VmHWM")
    return {
        "before": before,
        "ready": ready,
        "peak": peak,
        "weights": os.path.getsize(weights),
        "live": live,
    }


def _run_once(cfg: str, weights: str, x: Any) -> None:
    """Three runs, as Detector does."""
    from darknet_py.inputs import run_batch
    from darknet_py.network import Network
    from darknet_py.rereading import load_again

    network = Network.from_cfg(cfg, initialize=False)
    file = load_again(network, weights)
    wanted = [head.index for head in network.heads] or None
    for _ in range(3):
        run_batch(network, x, wanted, False, file, ordered=False)


def _resident(name: str = "VmRSS") -> int:
    """Bytes; getrusage would count what the parent had when it forked."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def detect(cfg: str, weights: str, folder: str, counts: str) -> dict[str, float]:
    """Seconds to find the objects in that many pictures of a folder, files read and all."""
    from darknet_py.detector import Detector

    detector = Detector.load(cfg, weights)
    paths = _pictures(folder)
    detector.detect(paths[:1])
    return _times(lambda paths: detector.detect(paths), paths, counts)


def opencv(cfg: str, weights: str, folder: str, counts: str, size: str) -> dict[str, float]:
    """The same with OpenCV's DetectionModel."""
    import cv2

    side = int(size)
    model = cv2.dnn.DetectionModel(cv2.dnn.readNetFromDarknet(cfg, weights))
    model.setInputParams(1 / 255, (side, side), (), True)

    def run(paths: list[str]) -> None:
        for path in paths:
            model.detect(cv2.imread(path), 0.25, 0.45)

    paths = _pictures(folder)
    run(paths[:1])
    return _times(run, paths, counts)


def forward(cfg: str, weights: str, what: str) -> dict[str, float]:
    """Seconds of a batch of 1, 2, 4, ... pictures, or of a picture of several sizes."""
    import torch

    from darknet_py.lower import prepare
    from darknet_py.network import Network
    from darknet_py.weights import load_weights

    network = Network.from_cfg(cfg, initialize=False)
    load_weights(network, weights)
    sides = (network.image.height, network.image.width)
    sizes = (192, 256, 320, 416, 512, 608, 832)
    shapes = {n: (n, *sides) for n in (1, 2, 4, 8, 16)} if what == "batch" else {
        size: (1, size, size) for size in sizes
    }  # fmt: skip
    runs = {}
    for name, (batch, height, width) in shapes.items():
        network.resize(height, width)
        runs[name] = (prepare(network), torch.rand(batch, 3, height, width))
    seconds: dict[int, list[float]] = {name: [] for name in runs}
    for _ in range(7):
        for name, (run, x) in runs.items():
            run(x)
            start = time.perf_counter()
            run(x)
            seconds[name].append(time.perf_counter() - start)
    return {str(name): sorted(times)[3] for name, times in seconds.items()}


def _pictures(folder: str) -> list[str]:
    return sorted(entry.path for entry in os.scandir(folder) if entry.name.endswith(".jpg"))


def _times(run: Callable[[list[str]], Any], paths: list[str], counts: str) -> dict[str, float]:
    times = {}
    for count in counts.split(","):
        start = time.perf_counter()
        run(paths[: int(count)])
        times[count] = time.perf_counter() - start
    return times


if __name__ == "__main__":
    probes = {"load": load, "memory": memory, "detect": detect, "opencv": opencv}
    answer = (probes | {"forward": forward})[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(answer))

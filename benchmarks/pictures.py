"""How long resizing a picture, loading weights and starting take here.

python benchmarks/pictures.py [PICTURE [CFG WEIGHTS]]
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from darknet_py import image as images

PACKAGED = Path(__file__).parent.parent / "data"


def shortest(run: Callable[[], object], rounds: int = 60) -> tuple[float, float]:
    """The shortest and the median run, in milliseconds."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds) * 1000, float(np.median(seconds)) * 1000


def show(what: str, run: Callable[[], object], rounds: int = 60) -> None:
    """Print one line."""
    least, median = shortest(run, rounds)
    print(f"{what:<44}{least:9.2f} ms, median {median:9.2f}")


def command(*words: str) -> Callable[[], object]:
    """A Python process."""
    return lambda: subprocess.run([sys.executable, *words], capture_output=True, check=True)


def main(words: list[str]) -> None:
    """Measure all that the words give files for."""
    pixels = images.load_image(words[0] if words else PACKAGED / "signs.jpg")
    floats = images.to_float(pixels)
    height, width = pixels.shape[:2]
    size = f"{width}x{height} to 608x608"
    show(f"resize {size}, float32", lambda: images.resize(floats, 608, 608))
    show(f"resize {size}, bytes", lambda: images.resize(pixels, 608, 608))
    show(f"letterbox {size}, bytes", lambda: images.letterbox(pixels, 608, 608))
    show("darknet-py --help", command("-m", "darknet_py", "--help"), 9)
    show("import torch", command("-c", "import torch"), 5)
    show("import darknet_py.detector", command("-c", "import darknet_py.detector"), 5)
    if len(words) == 3:
        from darknet_py.network import Network
        from darknet_py.weights import load_weights

        cfg, weights = words[1:]
        network = Network.from_cfg(cfg, initialize=False)
        show("np.fromfile of the weights", lambda: np.fromfile(weights, np.float32), 9)
        show("load_weights", lambda: load_weights(network, weights), 9)


if __name__ == "__main__":
    main(sys.argv[1:])

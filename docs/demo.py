"""The offline demo: the shipped networks find and name things; Tiny Darknet gives C's numbers.

First `detect` and `classify` run as on any shell, with weights that this project trained. Then
Tiny Darknet is checked layer by layer: `docs/demo_tiny.json` holds what the C program computed for
weights and an input that a formula gives; the same weights file is made, run, and compared.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import darknet_py
from darknet_py.cli import main as run

HERE = Path(__file__).parent
COMMANDS = (
    "detect cfg/shapes.cfg weights/shapes.weights data/figures.jpg -names data/shapes.names "
    "-out demo.jpg -quiet",
    "classify cfg/glyphs.cfg weights/glyphs.weights data/glyph.png -names data/glyphs.names -quiet",
)
INPUT_ARRAY = 1 << 20
MASK = (1 << 64) - 1


def uniform(array: int, count: int) -> np.ndarray:
    """`count` float32 values in [0, 1) for array number `array` (splitmix64 on two counters)."""
    start = np.uint64((array + 1) * 0x9E3779B97F4A7C15 & MASK)
    with np.errstate(over="ignore"):
        z = start + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0xD1B54A32D192ED03)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


def values(array: dict) -> np.ndarray:
    """The float32 values of one array of the weights file."""
    u, scale = uniform(array["j"], array["n"]), np.float32(array["a"])
    return scale * (u + np.float32(0.5) if array["kind"] == "pos" else 2 * u - np.float32(1))


def main() -> int:
    """Run the commands, then the comparison; 0 if all went well."""
    os.chdir(HERE.parent)
    for command in COMMANDS:
        print(f"$ darknet-py {command}")
        if status := run(command.split()):
            return status
        print()
    print(f"The picture with the boxes: {Path('demo.jpg').resolve()}\n")
    return compare_with_c()


def compare_with_c() -> int:
    """Print each layer's distance from C; 1 if one is too far."""
    reference = json.loads((HERE / "demo_tiny.json").read_text())
    network = darknet_py.Network.from_cfg(HERE.parent / "cfg" / "tiny.cfg", dialect="pjreddie")
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "tiny.weights")
        arrays = [array for layer in reference["layers"] for array in layer["arrays"]]
        body = b"".join(values(array).tobytes() for array in arrays)
        weights.write_bytes(struct.pack("<iiiQ", 0, 2, 0, 0) + body)
        darknet_py.load_weights(network, weights)
        again = Path(folder, "again.weights")
        darknet_py.save_weights(network, again)
        same = weights.read_bytes() == again.read_bytes()
        size = weights.stat().st_size
    shape = network.image
    x = torch.from_numpy(uniform(INPUT_ARRAY, shape.size)).view(1, 3, shape.height, shape.width)
    with torch.inference_mode():
        outputs = network(x)

    print(f"cfg/tiny.cfg: {len(network)} layers, input {shape}, weights {size} bytes")
    print(f"weights read and written again: {'the same bytes' if same else 'DIFFERENT BYTES'}")
    print("largest difference from the C program, in standard deviations of the layer's output:")
    worst = 0.0
    for layer, output, expected in zip(network, outputs, reference["layers"], strict=True):
        flat = output.flatten().numpy()
        samples = flat[np.linspace(0, flat.size - 1, 64).astype(int)]
        error = float(np.abs(samples - np.float32(expected["samples"])).max()) / expected["std"]
        worst = max(worst, error)
        print(f"  {layer.index:2d} {layer.section.type:14s} {layer.out_shape!s:>16s}  {error:.1e}")
    ok = same and worst < 1e-3
    print(f"worst: {worst:.1e}: {'equal to C' if ok else 'NOT EQUAL TO C'}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())

"""The offline demo: Tiny Darknet from the shipped cfg, checked layer by layer against C's numbers.

`docs/demo_tiny.json` holds what the C program computed for weights and an input that a formula
gives. This program makes the same weights file, runs it, and prints how far each layer is from C.
"""

from __future__ import annotations

import json
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import darknet_py

HERE = Path(__file__).parent
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

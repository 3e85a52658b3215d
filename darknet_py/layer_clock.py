"""How long each layer's forward pass takes while a network is trained (-benchmark_layers)."""

from __future__ import annotations

import time
from typing import Any

import torch

from darknet_py.layers import Layer
from darknet_py.network import Network


class LayerClock:
    """Measures every forward pass from now on."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.seconds = [0.0] * len(network)
        self.runs = [0] * len(network)
        self._start = 0.0
        for layer in network:
            layer.register_forward_pre_hook(self._begin)
            layer.register_forward_hook(self._end)

    def _begin(self, layer: Any, inputs: Any) -> None:
        self._start = self._now()

    def _end(self, layer: Layer, inputs: Any, output: Any) -> None:
        self.seconds[layer.index] += self._now() - self._start
        self.runs[layer.index] += 1

    def _now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()

    def table(self) -> str:
        """The layers, the slowest first, with their average milliseconds."""
        rows = []
        for layer, seconds, runs in zip(self.network, self.seconds, self.runs, strict=True):
            rows.append((1000 * seconds / max(runs, 1), layer.index, layer.section.type))
        lines = ["Forward passes, in milliseconds, the slowest layer first:"]
        lines += [f"{time:9.3f}  layer {i} [{kind}]" for time, i, kind in sorted(rows)[::-1]]
        return "\n".join(lines)

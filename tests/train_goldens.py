"""Replays a golden training step: one mini-batch and one update, against what C computed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers import SHARED, golden_generator
from torch import Tensor

from darknet_py.learning import Learner, Loss
from darknet_py.network import Network
from darknet_py.weights import load_weights

GOLDEN = SHARED / "golden"
ALEXEYAB = GOLDEN / "alexeyab" / "train_gpu"
PJREDDIE = GOLDEN / "pjreddie" / "train"


@dataclass
class Difference:
    """The largest error of an array's samples over the largest sample, and of its length."""

    name: str
    samples: float
    length: float = 0.0


def compare(name: str, ours: Tensor, samples: np.ndarray, length: float | None) -> Difference:
    """Our whole array against C's evenly spaced samples of it, and against its l2."""
    values = ours.detach().reshape(-1).double().numpy()
    picked = values[np.linspace(0, values.size - 1, samples.size).astype(np.int64)]
    largest = np.abs(samples).max() or 1.0
    found = Difference(name, float(np.abs(picked - samples).max() / largest))
    if length:
        found.length = abs(float(np.linalg.norm(values)) / length - 1)
    return found


class Step:
    """One golden step, replayed."""

    def __init__(self, fork: str, name: str) -> None:
        self.generate: Any = golden_generator()
        self.folder = ALEXEYAB if fork == "alexeyab" else PJREDDIE
        self.golden = json.loads((self.folder / f"{name}.json").read_text())
        self.data = np.load(self.folder / f"{name}.npz")
        cfg = self.folder / "cfg" / f"{name}.cfg"
        if fork == "alexeyab":
            cfg = self.folder.parent / "train" / "cfg" / f"{name}.cfg"
        arrays = self.golden
        if self.golden.get("weights_arrays_from"):
            arrays = json.loads((GOLDEN / fork / self.golden["weights_arrays_from"]).read_text())
        self.network = Network.from_cfg(cfg, fork, memory_limit=2**34, initialize=False)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "golden.weights")
            header = {"major": 0, "minor": 2, "revision": 0, "header_bytes": 20}
            self.generate.write_weights({"weights": header, **arrays}, path)
            load_weights(self.network, path)
        self.run()

    @cached_property
    def inputs(self) -> Tensor:
        net = self.golden["net"]
        batch = net.get("batch", 1)
        values = self.generate.uniform(self.generate.INPUT_ARRAY, batch * net["inputs"])
        shape = (batch, net["c"], net["h"], net["w"]) if net["c"] else (batch, net["inputs"])
        return torch.from_numpy(values.reshape(shape))

    @cached_property
    def truth(self) -> Tensor:
        key = "truth" if "truth" in self.data else "truth_0"
        return torch.from_numpy(self.data[key].astype(np.float32)).view(len(self.inputs), -1)

    def run(self) -> None:
        """Learn and update, with the golden's rate; keep what is compared."""
        learner = Learner(self.network)
        train = self.golden.get("train", self.golden)
        batch = len(self.inputs)
        learner.seen = train.get("seen_before", train.get("seen", batch) - batch)
        for layer in self.network:
            if layer.section.type in ("dropout", "crop"):
                layer.eval()
        self.loss: Loss = learner.learn(self.inputs, self.truth)
        self.deltas = {
            index: delta.values if delta.raw is None else delta.raw
            for index, delta in learner.deltas.items()
        }
        self.updates = {
            (index, name): -tensor.grad.clone()
            for index, name, tensor in self.network.arrays()
            if tensor.grad is not None
        }
        learner.optimizer.update(0.001, train.get("update_batch", 1), 1)
        self.arrays = {(index, name): tensor for index, name, tensor in self.network.arrays()}

    def cost(self) -> Difference:
        expected = self.golden.get("train", self.golden)["cost"]
        return Difference("cost", abs(self.loss.cost / expected - 1))

    def heads(self) -> Iterator[Difference]:
        """Every head's delta."""
        for index, values in self.deltas.items():
            if f"delta_{index}" in self.data:
                yield compare(f"delta_{index}", values, self.data[f"delta_{index}"], None)

    def gradients(self) -> Iterator[Difference]:
        """Sums over the images, before the update."""
        yield from self._each("updates", self.updates)

    def updated(self) -> Iterator[Difference]:
        """Every array after the update."""
        yield from self._each("values", self.arrays)

    def _each(self, what: str, ours: dict[tuple[int, str], Tensor]) -> Iterator[Difference]:
        for (index, name), tensor in ours.items():
            key, length = self._find(what, index, name)
            if key in self.data:
                yield compare(key, tensor, self.data[key], length)

    def _find(self, what: str, index: int, name: str) -> tuple[str, float | None]:
        part, _, kind = name.rpartition(".")
        if self.folder == PJREDDIE:
            dotted = f"{part}." if part else ""
            singular = {"weights": "weight", "biases": "bias", "scales": "scale"}
            if what == "updates":
                key = f"grad_{index}_{dotted}{singular.get(kind, kind)}_updates"
            else:
                key = f"new_{index}_{dotted}{kind}"
                if kind.startswith("rolling"):
                    key = f"after_forward_{index}_{dotted}{kind}"
            return key, self._lengths.get(key)
        short = {"weights": "w", "biases": "b", "scales": "s"}
        letters = {**short, "rolling_mean": "rm", "rolling_variance": "rv"}[kind]
        key = f"{letters}{'u' if what == 'updates' else ''}_{index}"
        return key, self._lengths.get(key)

    @cached_property
    def _lengths(self) -> dict[str, float]:
        if self.folder == PJREDDIE:
            return {s["key"]: s["l2"] for s in self.golden["samples"] if "l2" in s}
        lengths = {}
        letters = {"weights": "w", "biases": "b", "scales": "s"}
        letters |= {"rolling_mean": "rm", "rolling_variance": "rv"}
        for rows, what, suffix in (("grads", "updates", "u"), ("updated", "values", "")):
            for row in self.golden["train"][rows]:
                for kind, letter in letters.items():
                    if kind in row[what]:
                        lengths[f"{letter}{suffix}_{row['index']}"] = row[what][kind]["l2"]
        return lengths

"""Replays a golden training step: one mini-batch and one update, against what C computed."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers import ROOT, SHARED, golden_generator
from torch import Tensor

from darknet_py.learning import Learner, Loss
from darknet_py.network import Network
from darknet_py.weights import load_weights

GOLDEN = SHARED / "golden"
ALEXEYAB = GOLDEN / "alexeyab" / "train_gpu"
PJREDDIE = GOLDEN / "pjreddie" / "train"
DEBIAN = Path("/usr/share/darknet/cfg")
DEFECTS = ("pjreddie/residual", "pjreddie/yolov2-tiny")
"""What the original does on the CPU alone, by mistake."""

UNTAUGHT = {"alexeyab/yolov1_tiny-yolo": ("w_14", "b_14")}
"""AlexeyAB's fork never updates connected layers; ours does."""


def names() -> list[str]:
    """`fork/name` of every golden that is to be matched."""
    found = [f"alexeyab/{path.stem}" for path in sorted(ALEXEYAB.glob("*.json"))]
    found += [f"pjreddie/{path.stem}" for path in sorted(PJREDDIE.glob("*.json"))]
    return [name for name in found if name not in DEFECTS]


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
    largest = np.abs(samples).max(initial=0) or 1.0
    found = Difference(name, float(np.abs(picked - samples).max(initial=0) / largest))
    if length:
        found.length = abs(float(np.linalg.norm(values)) / length - 1)
    return found


def edit(text: str, edits: dict[str, Any]) -> str:
    """A cfg with the keys that `edits` names set: "net", and "other" by section."""
    wanted = {"[net]": edits.get("net", {}), **edits.get("other", {})}
    parts = re.split(r"(?m)^(?=\[)", text)
    for number, part in enumerate(parts):
        section = part.partition("]")[0].lower().replace("[network", "[net") + "]"
        for key, value in wanted.get(section, {}).items():
            part = re.sub(rf"(?m)^\s*{key}\s*=.*\n", "", part)
            part = part.rstrip("\n") + f"\n{key}={value}\n\n"
        parts[number] = part
    return "".join(parts)


class Step:
    """One golden step, replayed; `in_order` sums as the C program that made it did."""

    def __init__(self, golden: str, *, in_order: bool = True) -> None:
        fork, _, name = golden.partition("/")
        self.generate: Any = golden_generator()
        self.in_order = in_order
        self.folder = ALEXEYAB if fork == "alexeyab" else PJREDDIE
        self.golden = json.loads((self.folder / f"{name}.json").read_text())
        self.data = np.load(self.folder / f"{name}.npz")
        arrays = self.golden
        if self.golden.get("weights_arrays_from"):
            arrays = json.loads((GOLDEN / fork / self.golden["weights_arrays_from"]).read_text())
        with tempfile.TemporaryDirectory() as folder:
            cfg = self._find_cfg(fork, name, Path(folder))
            self.network = Network.from_cfg(cfg, fork, memory_limit=2**34, initialize=False)
            path = Path(folder, "golden.weights")
            header = {"major": 0, "minor": 2, "revision": 0, "header_bytes": 20}
            self.generate.write_weights({"weights": header, **arrays}, path)
            load_weights(self.network, path)
        self.run()

    def _find_cfg(self, fork: str, name: str, folder: Path) -> Path:
        """The golden's own cfg, or its source with the edits made."""
        own = [self.folder / "cfg", self.folder.parent / "train" / "cfg", self.folder]
        for place in own:
            if (place / f"{name}.cfg").exists():
                return place / f"{name}.cfg"
        source = self.golden.get("source_cfg") or self.golden["base_cfg"]
        flat = source.replace("/", "_")
        parent = GOLDEN / fork
        cfgs = [parent / "cfg" / flat, parent / flat, ROOT / "cfg" / source, DEBIAN / source]
        text = next(path for path in cfgs if path.exists()).read_text()
        made = folder / f"{name}.cfg"
        made.write_text(edit(text, self.golden.get("edits", {})))
        return made

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
        # The original's goldens come from a build that fuses product and sum.
        order = "fused" if self.folder == PJREDDIE else True
        learner = Learner(self.network, in_c_order=order if self.in_order else False)
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
        images = train.get("update_batch", batch * train.get("subdivisions", 1))
        learner.optimizer.update(train["learning_rate"], images, 1)
        self.arrays = {(index, name): tensor for index, name, tensor in self.network.arrays()}

    def cost(self) -> Difference:
        expected = self.golden.get("train", self.golden)["cost"]
        return Difference("cost", abs(self.loss.cost / expected - 1))

    def heads(self) -> Iterator[Difference]:
        """Every head's delta; of AlexeyAB's large ones there is the length alone."""
        rows = self.golden.get("train", {}).get("layers", [])
        lengths = {row["index"]: row["delta"]["l2"] for row in rows if "delta" in row}
        for index, values in self.deltas.items():
            samples = self.data.get(f"delta_{index}", np.zeros(0))
            if len(samples) or index in lengths:
                yield compare(f"delta_{index}", values, samples, lengths.get(index))

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

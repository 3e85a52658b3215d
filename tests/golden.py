"""Replaying shared/golden, what C computed: weights and input rebuilt, every layer compared."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from helpers import SHARED, golden_generator

import darknet_py
from darknet_py.lower import prepare
from darknet_py.network import Network

GOLDEN = SHARED / "golden"
INPUT_ARRAY = 1 << 20
TOLERANCE = 1e-3
"""Largest difference from C, in standard deviations of the layer's output."""
PROBABILITY_TOLERANCE = 1e-4
SEGMENTS = 100_000_000
"""Bytes of weights up to which PyTorch's kernels run in compiled segments; else one by one:
compiling takes longer than all the rest."""
NOT_COMPARED = ("cost", "contrastive")  # they compute nothing without a truth
FOLDERS = ("pjreddie", "pjreddie/extra", "alexeyab", "alexeyab/extra")


@dataclass(frozen=True)
class Golden:
    """One cfg, and what C computed for it."""

    path: Path

    @property
    def name(self) -> str:
        """`fork/name`, as a test is called."""
        return str(self.path.relative_to(GOLDEN).with_suffix(""))

    @property
    def json(self) -> dict[str, Any]:
        """The description: layers, arrays, statistics."""
        return json.loads(self.path.read_text())

    @property
    def arrays(self) -> Any:
        """The samples, by name."""
        return np.load(self.path.with_suffix(".npz"))

    @property
    def cfg(self) -> Path:
        """The cfg that was run."""
        beside = self.path.with_suffix(".cfg")
        return beside if beside.exists() else self.path.parent / "cfg" / f"{self.path.stem}.cfg"

    @property
    def size(self) -> int:
        """Bytes of the weights file."""
        return self.json["weights"]["total_bytes"]

    def network(self) -> Network:
        """The network, without weights."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", darknet_py.DarknetWarning)
            return Network.from_cfg(self.cfg, dialect=self.json["fork"], initialize=False)

    def input(self) -> torch.Tensor:
        """The input that C was given."""
        net = self.json["net"]
        if net["c"]:
            return torch.from_numpy(generator().image(net))[None]
        return torch.from_numpy(generator().uniform(INPUT_ARRAY, net["inputs"]))[None]


@dataclass(frozen=True)
class Replay:
    """How far a network is from C: the worst difference, in deviations, and at which layer."""

    worst: float
    layer: int


class Mismatch(AssertionError):
    """The first layer that differs from C."""


@cache
def generator() -> ModuleType:
    """shared/golden/generate.py."""
    return golden_generator()


def goldens() -> list[Golden]:
    """Every forward golden that is here."""
    found = []
    for folder in FOLDERS:
        for path in sorted((GOLDEN / folder).glob("*.json")):
            if path.with_suffix(".npz").exists():
                found.append(Golden(path))
    return found


def replay(golden: Golden, *, prepared: bool = False) -> Replay:
    """Run the golden's network on C's weights and input; compare every layer, and the saved file.

    Args:
        golden: what C computed.
        prepared: compare the prepared network, too (`replay_prepared`).

    Raises:
        Mismatch: naming the first layer that differs.
    """
    description = golden.json
    network = golden.network()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "c.weights"), Path(folder, "ours.weights")
        generator().write_weights(description, source)
        darknet_py.load_weights(network, source)
        darknet_py.save_weights(network, target)
        if not same_bytes(source, target):
            raise Mismatch(f"{golden.name}: the weights saved differ from those loaded")
    with torch.inference_mode():
        found = compare(golden, network(golden.input()), "")
    if prepared:
        network.reset_state()
        replay_prepared(golden, network)
    return found


def replay_prepared(golden: Golden, network: Network) -> Replay:
    """The same with the network as `prepare` makes it: layer by layer, then as it is used.

    The tolerance is that of the network itself.

    Args:
        golden: what C computed.
        network: with C's weights.

    Raises:
        Mismatch: naming the first layer that differs.
    """
    worst = compare(golden, prepare(network, every_layer=True)(golden.input()), "")
    for native in (None, False):  # by our own kernels, and by PyTorch's
        used = prepare(network, native=native)
        if native is None and used._programs is None:
            continue  # there are none, or they are not used: both are the same
        if native is None or golden.size <= SEGMENTS:
            used.worth, used.patience = 0.0, 1
        used.reset_state()
        named = dict(zip(used.wanted, used(golden.input()), strict=True))
        worst = max(worst, compare(golden, named, ""), key=lambda found: found.worst)
    return worst


def compare(
    golden: Golden, outputs: Sequence[torch.Tensor] | Mapping[int, torch.Tensor], prefix: str
) -> Replay:
    """Every layer's output against the arrays `PREFIXlayer_i` and `PREFIXout_i`.

    Of a mapping, by layer, those that it holds.

    Raises:
        Mismatch: naming the first layer that differs.
    """
    arrays, worst = golden.arrays, Replay(0.0, 0)
    for layer in golden.json["layers"]:
        index, kind = layer["index"], layer["type"]
        if kind in NOT_COMPARED or (isinstance(outputs, Mapping) and index not in outputs):
            continue
        ours = outputs[index].float().reshape(-1).numpy()
        if ours.size != layer["outputs"] and not blurred(golden, index):
            raise Mismatch(
                f"{golden.name}: layer {index} [{kind}] has {ours.size} outputs, "
                f"C has {layer['outputs']}"
            )
        # PARITY: where the CPU code is broken, gpu_ holds what the CUDA path computes.
        gpu = f"gpu_layer_{index}" in arrays
        deviation = (layer["stats"] or {}).get("std") or 1.0
        for name in (f"{prefix}{'gpu_' * gpu}{part}_{index}" for part in ("layer", "out")):
            if name not in arrays:
                continue
            error = difference(ours, arrays[name], layer["outputs"])
            relative = error / max(deviation, 1e-6)
            if not relative <= TOLERANCE or ("soft" in kind and error > PROBABILITY_TOLERANCE):
                raise Mismatch(
                    f"{golden.name}: layer {index} [{kind}] is off by {relative:.2g} of its "
                    f"deviation ({error:.2g}) in {name}"
                )
            if relative > worst.worst:
                worst = Replay(relative, index)
    return worst


def blurred(golden: Golden, index: int) -> bool:
    """Whether this layer is antialiased: C then counts its outputs before the blur."""
    return bool(getattr(golden.network()[index].options, "antialiasing", 0))


def difference(ours: np.ndarray, samples: np.ndarray, count: int | None = None) -> float:
    """The largest difference at C's samples, evenly spaced over `count` values, where finite.

    Behind a blur C's array is longer than what counts; places past our end are left out.
    """
    places = np.linspace(0, (count or ours.size) - 1, samples.size).astype(np.int64)
    expected = samples.reshape(-1).astype(np.float64)
    compared = np.isfinite(expected) & (places < ours.size)
    if not compared.any():
        return 0.0
    return float(np.abs(ours[places[compared]] - expected[compared]).max())


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two files are equal."""
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as a, other.open("rb") as b:
        while chunk := a.read(1 << 24):
            if chunk != b.read(1 << 24):
                return False
    return True

"""All that a training run needs to go on exactly where it was, in one file (NAME_last.state)."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from darknet_py.cfg import format_cfg
from darknet_py.errors import TrainError
from darknet_py.learning import Learner
from darknet_py.network import Network

FORMAT = "darknet-py training state 1"


@dataclass
class Run:
    """What a run knows beside its learner."""

    seed: int = 0
    average: float = -1.0
    """C's average loss; below 0: none yet."""
    score: float = -1.0
    """The last mAP, or top-k accuracy; below 0: none yet."""
    best: float = -1.0
    scored: int = 0
    """The iteration of the last evaluation."""
    saved: int = 0
    """The iteration of the last numbered weights file."""
    saved_last: int = 0
    """The iteration of the last NAME_last.weights."""
    losses: list[tuple[int, float]] = field(default_factory=list)
    """(iteration, average loss), for the chart."""
    scores: list[tuple[int, float]] = field(default_factory=list)
    """(iteration, score), for the chart."""


@dataclass(frozen=True)
class Seal:
    """Which weights file a state belongs to, by its SHA-256."""

    weights: str
    previous: str
    """Of the file that `weights` takes the place of: there still, if a run ended in between."""


def pack(learner: Learner, run: Run, seal: Seal) -> bytes:
    """The file's bytes."""
    network = learner.network
    content = {
        "format": FORMAT,
        "dialect": network.dialect.name,
        "cfg": format_cfg(network.sections),
        "seal": asdict(seal),
        "run": asdict(run),
        "iteration": learner.iteration,
        "seen": learner.seen,
        "random": json.dumps(learner.random.bit_generator.state),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "rejection": learner.rejection.state(),
        "parameters": _held(dict(network.named_parameters())),
        "buffers": _held(dict(network.named_buffers())),
        "learner": _held(dict(learner.state())),
    }
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _held(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}


class State:
    """A state file that was read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Read it; nothing in it can run code.

        Raises:
            TrainError: it cannot be opened, is damaged, or something else.
        """
        self.path = os.fspath(path)
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            reason = error.strerror or str(error)
            raise TrainError(f"{self.path}: cannot be opened: {reason}") from None
        try:
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, OSError):
            raise TrainError(
                f"{self.path}: is damaged, or no state of a training run (without it, training "
                "goes on from the weights alone)"
            ) from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise TrainError(f"{self.path}: is no state of a training run")
        try:
            self.seal = Seal(**content["seal"])
            known = {f.name for f in fields(Run)}
            self.run = Run(**{k: v for k, v in content["run"].items() if k in known})
            self.iteration, self.seen = int(content["iteration"]), int(content["seen"])
            self.dialect, self.cfg = str(content["dialect"]), str(content["cfg"])
            self.random = json.loads(content["random"])
            self._content: dict[str, Any] = content
            for part in ("parameters", "buffers", "learner", "rejection"):
                dict(content[part])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise TrainError(f"{self.path}: is damaged, or of another version") from None

    def check(self, network: Network) -> None:
        """Check that it is a state of this network.

        Raises:
            TrainError: it is of another.
        """
        if self.dialect != network.dialect.name:
            raise TrainError(
                f"{self.path}: is of dialect {self.dialect}, the run of {network.dialect.name}"
            )
        _check_fit(self.path, self._content["parameters"], dict(network.named_parameters()))

    def changes(self, network: Network) -> list[str]:
        """What is otherwise in the cfg now: `[net] max_batches`, ..."""
        old, new = self.cfg.splitlines(), format_cfg(network.sections).splitlines()
        if old == new:
            return []
        section, changed = "", []
        for line in new:
            section = line if line.startswith("[") else section
            if line not in old and not line.startswith("["):
                changed.append(f"{section} {line.partition('=')[0]}")
        return changed or ["keys that are gone"]

    def restore(self, learner: Learner) -> Run:
        """Put a learner of the same network where this one was.

        Raises:
            TrainError: the learner remembers other things.
        """
        self.check(learner.network)
        network, content = learner.network, self._content
        _copy(content["parameters"], dict(network.named_parameters()))
        buffers = dict(network.named_buffers())
        for name, tensor in content["buffers"].items():
            known = buffers.get(name)
            if known is not None and known.shape == tensor.shape:
                known.copy_(tensor)
            else:
                module, _, attribute = name.rpartition(".")
                setattr(network.get_submodule(module), attribute, tensor.to(learner.device))
        averages = sum(name.startswith("ema.") for name in content["learner"])
        if averages and len(learner.average.arrays) == averages:
            learner.average.averages = [array.clone() for array in learner.average.arrays]
        remembered = dict(learner.state())
        _check_fit(self.path, content["learner"], remembered)
        _copy(content["learner"], remembered)
        learner.rejection.restore(content["rejection"])
        learner.iteration, learner.seen = self.iteration, self.seen
        network.seen, network.initialized = self.seen, True
        try:
            learner.random.bit_generator.state = self.random
            torch.set_rng_state(content["torch"])
            if content["cuda"] and len(content["cuda"]) == torch.cuda.device_count():
                torch.cuda.set_rng_state_all(content["cuda"])
        except (KeyError, RuntimeError, TypeError, ValueError):
            raise TrainError(f"{self.path}: is damaged: its random numbers are not") from None
        return self.run


def _check_fit(path: str, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    for name in sorted({*given, *wanted}):
        here, there = wanted.get(name), given.get(name)
        if here is None or there is None or here.shape != there.shape:
            shapes = [None if x is None else tuple(x.shape) for x in (there, here)]
            told = ["nothing" if shape is None else " x ".join(map(str, shape)) for shape in shapes]
            raise TrainError(
                f"{path}: is of another cfg: {name} is {told[0] or 'a number'} in it, and "
                f"{told[1] or 'a number'} here"
            )


@torch.no_grad()
def _copy(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    for name, tensor in given.items():
        wanted[name].copy_(tensor)

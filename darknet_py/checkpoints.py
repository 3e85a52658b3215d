"""Weights files in C's names and cadence, and beside them the state that a run goes on from."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from darknet_py.errors import DivergedError, TrainError, WeightsError
from darknet_py.learning import Learner
from darknet_py.network import Network
from darknet_py.replacing import replacing
from darknet_py.training_state import Run, Seal, State, pack
from darknet_py.weights import save_weights, write_weights


@dataclass(frozen=True)
class Cadence:
    """When a command's C writes which file; docs/training.md has the table."""

    last_every: int = 100
    every: int = 0
    """NAME_ITERATION.weights; 0: none are written."""
    early: int = 0
    """The same, below iteration 1000."""
    from_last: bool = False
    """Whether both count from the last file written (AlexeyAB), not only from 0."""
    at_multiples: bool = True
    epochs: bool = False
    """Whether NAME_EPOCH.weights are written at each new epoch."""
    backup: bool = False
    """Whether C's name is NAME.backup: it is written beside NAME_last.weights."""
    plain: bool = False
    """Whether C's name at the end is NAME.weights: it is written beside NAME_final.weights."""

    def is_due(self, iteration: int, saved: int) -> bool:
        """Whether NAME_ITERATION.weights is to be written."""
        if self.early and iteration < 1000 and iteration % self.early == 0:
            return True
        return self._is_due(iteration, saved, self.every)

    def is_last_due(self, iteration: int, saved: int) -> bool:
        """Whether NAME_last.weights is to be written."""
        return self._is_due(iteration, saved, self.last_every)

    def _is_due(self, iteration: int, saved: int, every: int) -> bool:
        if every < 1:
            return False
        if self.from_last and iteration >= saved + every:
            return True
        return self.at_multiples and iteration % every == 0


class Checkpoints:
    """The files of one run in a folder.

    The state, NAME_last.state, alone holds all that a run goes on from; its seal says which
    weights file it belongs to. It takes its place before NAME_last.weights does, so that whenever
    a run ends, one of its two hashes is that of the weights file.
    """

    def __init__(self, folder: Path, base: str, cadence: Cadence) -> None:
        """Take a folder, which is made if need be.

        Raises:
            TrainError: nothing can be written there.
        """
        self.folder, self.base, self.cadence = folder, base, cadence
        self.sealed = ""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".{base}.{'0' * 8}"
            with replacing(probe) as file:
                file.write(b"\0" * 4096)
            probe.unlink()
        except OSError as error:
            reason = error.strerror or error
            raise TrainError(
                f"{folder}: weights cannot be written there: {reason} (backup= of the .data file, "
                "or -out, names the folder)"
            ) from None

    @property
    def last(self) -> Path:
        """NAME_last.weights."""
        return self.folder / f"{self.base}_last.weights"

    @property
    def state(self) -> Path:
        """NAME_last.state."""
        return state_beside(self.folder, self.base)

    def tidy(self) -> None:
        """Remove what a run that was killed while it wrote left behind."""
        name = re.compile(rf"\.{re.escape(self.base)}[_.].*(weights|state|backup)\.[0-9a-f]{{8}}")
        for path in self.folder.iterdir():
            if name.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def find(self, weights: str | None) -> State | None:
        """The state that `weights` belongs to; without one, that of NAME_last.weights.

        Raises:
            TrainError: it is damaged, or with no `weights` does not belong to the file there.
        """
        path = self.state if weights is None else state_beside(Path(weights).parent, self.base)
        if not path.is_file():
            return None
        state = State(path)
        file = self.last if weights is None else Path(weights)
        if not file.is_file():
            return state if file.name == self.last.name else None
        seal, digest = state.seal, digest_of(file)
        # An older file counts only under the name that would have been written next.
        names = (f"{self.base}_last.weights", f"{self.base}.backup")
        if digest == seal.weights or (digest == seal.previous and file.name in names):
            return state
        if weights is None:
            raise TrainError(
                f"{path}: belongs to another file than {file}: name the weights to go on with "
                "instead of -resume, or remove one of the two"
            )
        return None

    def adopt(self, state: State, learner: Learner, run: Run) -> None:
        """Go on behind `state`, to which `learner` was restored."""
        self.sealed = state.seal.weights
        if not self.last.is_file() or digest_of(self.last) != self.sealed:
            self.save_last(learner, run)

    def save_due(self, learner: Learner, run: Run, epoch: int = 0) -> None:
        """Write what is due after an iteration.

        Args:
            learner: what is saved.
            run: the rest of it.
            epoch: the number of an epoch that has just ended, or 0.

        Raises:
            WeightsError: a file cannot be written; older ones are as they were.
            TrainError: the weights are not finite: nothing is written.
        """
        iteration, cadence = learner.iteration, self.cadence
        numbered = cadence.is_due(iteration, run.saved)
        last = cadence.is_last_due(iteration, run.saved_last)
        if last:
            run.saved_last = iteration
        if numbered:
            run.saved = iteration
            self.save(learner, f"_{iteration}.weights")
        if cadence.epochs and epoch:
            self.save(learner, f"_{epoch}.weights")
        if last or numbered:
            self.save_last(learner, run)
            if learner.average.averages:
                self._save_average(learner)

    def save_last(self, learner: Learner, run: Run) -> None:
        """Write NAME_last.weights and its state.

        Raises:
            WeightsError: one cannot be written; both are as they were.
            TrainError: the weights are not finite: nothing is written.
        """
        self._prepare(learner)
        digest = hashlib.sha256()

        def write(data: bytes | memoryview) -> None:
            digest.update(data)
            file.write(data)

        try:
            with replacing(self.last) as file:
                write_weights(learner.network, write)
                seal = Seal(digest.hexdigest(), self.sealed)
                with replacing(self.state) as beside:
                    beside.write(pack(learner, run, seal))
            self.sealed = seal.weights
            if self.cadence.backup:
                self._copy(".backup")
        except OSError as error:
            raise _cannot(self.last, error) from None

    def save(self, learner: Learner, ending: str) -> Path:
        """Write NAME`ending`.

        Raises:
            WeightsError: it cannot be written; an older one is as it was.
            TrainError: the weights are not finite: nothing is written.
        """
        self._prepare(learner)
        path = self.folder / f"{self.base}{ending}"
        save_weights(learner.network, path)
        return path

    def finish(self, learner: Learner, run: Run) -> Path:
        """Write NAME_final.weights, and the state that a longer run would go on from.

        Raises:
            WeightsError: a file cannot be written.
            TrainError: the weights are not finite: nothing is written.
        """
        path = self.save(learner, "_final.weights")
        if self.cadence.plain:
            save_weights(learner.network, self.folder / f"{self.base}.weights")
        self.save_last(learner, run)
        return path

    def _prepare(self, learner: Learner) -> None:
        check_finite(learner.network)
        network = learner.network
        network.version = network.dialect.version
        if network.dialect.name == "alexeyab":
            # PARITY: as many images as the cfg's batch makes (C: parser.c:save_weights_upto).
            network.seen = learner.iteration * learner.batch * learner.subdivisions

    def _save_average(self, learner: Learner) -> None:
        """NAME_ema.weights, with the moving averages in place of the weights."""
        average = learner.average
        kept = [array.clone() for array in average.arrays]
        try:
            torch._foreach_copy_(average.arrays, average.averages)
            save_weights(learner.network, self.folder / f"{self.base}_ema.weights")
        finally:
            torch._foreach_copy_(average.arrays, kept)

    def _copy(self, ending: str) -> None:
        """NAME_last.weights under another name."""
        path = self.folder / f"{self.base}{ending}"
        with open(self.last, "rb") as source, replacing(path) as file:
            shutil.copyfileobj(source, file)


def state_beside(folder: Path, base: str) -> Path:
    """NAME_last.state."""
    return folder / f"{base}_last.state"


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        read: Callable[[], bytes] = lambda: file.read(1 << 20)  # noqa: E731
        for part in iter(read, b""):
            digest.update(part)
    return digest.hexdigest()


def check_finite(network: Network) -> None:
    """Check that there is no nan and no infinity in the weights.

    Raises:
        TrainError: there is; the first such layer is named.
    """
    for index, name, tensor in network.arrays():
        if not bool(torch.isfinite(tensor).all()):
            kind = network[index].section.type
            raise DivergedError(f"{name} of layer {index} [{kind}] is no longer finite: not saved")


def _cannot(path: Path, error: OSError) -> WeightsError:
    return WeightsError(f"{path}: cannot be written: {error.strerror or error}")

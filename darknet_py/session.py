"""A training run from its first iteration, or a checkpoint's, to its last."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from darknet_py.checkpoints import Checkpoints
from darknet_py.datasets import Dataset
from darknet_py.datasets.text import Text
from darknet_py.errors import DivergedError, TrainError, WeightsError
from darknet_py.layers.recurrent import Recurrent
from darknet_py.learning import Learner
from darknet_py.network import Network
from darknet_py.train import Progress, Rows, load, train
from darknet_py.training_state import Run, State

MOST_POINTS = 4000
"""How many losses are kept for the chart; of more, every second one."""


class Examiner(ABC):
    """What scores a network now and then while it is being trained."""

    title: str
    """What the score is: `mAP@0.50`, `top5`."""

    @abstractmethod
    def next(self, scored: int) -> int:
        """The iteration of the evaluation that follows the one of iteration `scored`."""

    @abstractmethod
    def score(self, network: Network) -> float:
        """The score, from 0 to 1; the network is put back as it was."""


@dataclass
class Session:
    """A run: what learns, from which data, and where its files go.

    Iterate over it: it trains and yields each iteration's progress, then it evaluates and saves
    what is due. `ended` says whether it came to its end.
    """

    learner: Learner
    dataset: Dataset
    checkpoints: Checkpoints
    run: Run = field(default_factory=Run)
    examiner: Examiner | None = None
    workers: int = 1
    processes: bool = False
    save_seconds: float = 600.0
    """The state is saved when it has not been for so long; 0: only in C's cadence."""
    tell: Callable[[str], None] = lambda line: None
    """Is told what cannot be done."""
    scored: Callable[[], None] = lambda: None
    """Called after an evaluation."""
    stop: Callable[[], bool] = lambda: False
    """Asked after each iteration whether to end early."""
    keep: float = 0.9
    """How much of the average loss an iteration keeps."""

    def __post_init__(self) -> None:
        self.safe = self.learner.iteration
        """The iteration of the newest checkpoint, or where the run began."""
        self.ended = False
        self._saved_at = time.monotonic()
        self._failed = False
        if not self.run.losses:
            self.run.scored = self.run.saved = self.run.saved_last = self.learner.iteration

    def resume(self, state: State) -> None:
        """Go on exactly where `state` was.

        Raises:
            TrainError: it is of another network.
        """
        self.run = state.restore(self.learner)
        self.safe = self.learner.iteration
        self.checkpoints.adopt(state, self.learner, self.run)

    def __iter__(self) -> Iterator[Progress]:
        """Train to the end.

        Raises:
            TrainError: the loss or a weight is no longer finite; the last checkpoint is intact.
            DataError: a file cannot be read.
        """
        learner = self.learner
        learner.share_state()
        if isinstance(self.dataset, Text):
            learner.before = self._forget_streams
        end = learner.options.max_batches
        if end and learner.iteration >= end:
            self.ended = True
            return
        with load(
            learner, self.dataset, self.run.seed, workers=self.workers, processes=self.processes
        ) as loader:
            try:
                rows = (Rows(*batch) for batch in loader)
                for progress in train(learner, rows, average=self.run.average):
                    yield self._note(progress)
                    self._follow()
                    if learner.group.any(self.stop()):
                        return
            except TrainError as error:
                where = self._where()
                if isinstance(error, DivergedError) and learner.optimizer.max_norm == math.inf:
                    where += "; -max_norm 50 or a lower learning_rate may keep it from running away"
                raise TrainError(f"{error}; {where}") from None
        self.ended = True

    def _note(self, progress: Progress) -> Progress:
        """Remember the average loss."""
        run, iteration = self.run, progress.iteration
        before = run.average
        if before >= 0 and self.keep != 0.9:
            average = before * self.keep + progress.loss * (1 - self.keep)
            progress = replace(progress, average=average)
        run.average = progress.average
        run.losses.append((iteration, run.average))
        if len(run.losses) > MOST_POINTS:
            del run.losses[1::2]
        return progress

    def _follow(self) -> None:
        """Evaluate and save, where it is due after an iteration."""
        run, iteration = self.run, self.learner.iteration
        if self.examiner is not None and (
            iteration >= self.examiner.next(run.scored)
            or iteration == self.learner.options.max_batches
        ):
            self._examine(self.examiner)
        count = self.learner.batch * self.learner.subdivisions
        epoch = self.learner.seen // self.dataset.length
        if epoch == (self.learner.seen - count) // self.dataset.length:
            epoch = 0
        self._try(lambda: self.checkpoints.save_due(self.learner, run, epoch))
        wait = 30.0 if self._failed else self.save_seconds
        if wait and time.monotonic() > self._saved_at + wait:
            self.save()

    def _examine(self, examiner: Examiner) -> None:
        run = self.run
        score = examiner.score(self.learner.network)
        run.score, run.scored = score, self.learner.iteration
        run.scores.append((run.scored, score))
        if score >= run.best:
            run.best = score
            self._try(lambda: self.checkpoints.save(self.learner, "_best.weights"), counts=False)
        self.scored()

    def save(self) -> bool:
        """Write NAME_last.weights and its state now; whether it could be done."""
        return self._try(lambda: self.checkpoints.save_last(self.learner, self.run))

    def finish(self) -> bool:
        """Write NAME_final.weights; whether it could be done."""
        return self._try(lambda: self.checkpoints.finish(self.learner, self.run))

    def _try(self, save: Callable[[], object], *, counts: bool = True) -> bool:
        """Save; a full disk does not end the run: it is told, and tried again soon."""
        sealed = self.checkpoints.sealed
        try:
            save()
        except WeightsError as error:
            self._failed, self._saved_at = True, time.monotonic()
            self.tell(f"{error}; {self._where()}, and the training goes on")
            return False
        if counts and self.checkpoints.sealed != sealed:
            self._failed, self._saved_at = False, time.monotonic()
            self.safe = self.learner.iteration
        return True

    def _where(self) -> str:
        path = self.checkpoints.last
        if not self.checkpoints.sealed:
            return "there is no checkpoint yet"
        return f"{path} of iteration {self.safe} is intact"

    def _forget_streams(self, iteration: int, subdivision: int) -> None:
        """Recurrent layers forget those streams of text that start anew."""
        assert isinstance(self.dataset, Text)
        streams = self.dataset.jumps(iteration, subdivision)
        if not streams:
            return
        for layer in self.learner.network.modules():
            for name in layer.memory if isinstance(layer, Recurrent) else ():
                state = getattr(layer, name)
                if state is not None:
                    state = state.clone()
                    state[list(streams)] = 0
                    setattr(layer, name, state)

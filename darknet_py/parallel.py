"""Data-parallel training: every process learns from its part of each mini-batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from darknet_py.batchnorm import BatchNormalizer
from darknet_py.datasets import Dataset
from darknet_py.errors import TrainError
from darknet_py.group import Group
from darknet_py.learning import Learner, Loss
from darknet_py.network import Network
from darknet_py.train import Rows, load, train

_LAYERS, _ITERATION = 1, 2  # what random numbers are for


class ParallelLearner(Learner):
    """A Learner that is one of several, each in a process of its own.

    Together they do what one does: the cfg's batch is divided over them, and since a gradient is
    a sum over images, the sum of the processes' is that of the whole batch. Images are counted
    for all; figures of the heads are those of this process. As with more subdivisions, batch norm
    goes by each process's images alone, unless `sync_batchnorm`; its rolling values are averaged.

    Gradients are added up once in an iteration, in one piece, at `update`. That takes the place
    of DistributedDataParallel's hooks, which add them up during the last backward pass: here that
    pass is not known beforehand, because an iteration that ran out of memory on one process is
    begun again there in smaller mini-batches, which the others need not know of; nor is a layer's
    share known (`stopbackward` changes it), or a mean over processes wanted.

    Random numbers of layers are a function of seed, process and iteration, so that the first
    process's state is enough for all to go on from.
    """

    def __init__(
        self,
        network: Network,
        group: Group,
        *,
        sync_batchnorm: bool = False,
        amp: bool = False,
        seed: int = 0,
    ) -> None:
        """Take part.

        Args:
            network: what learns; the first process's weights hold.
            group: this process and the others.
            sync_batchnorm: normalise by all processes' images.
            amp: compute in bfloat16 where that is safe.
            seed: of what is left to chance.

        Raises:
            TrainError: the batch cannot be divided, or the network reads sequences.
        """
        super().__init__(network, amp=amp, seed=seed)
        self.group, self.seed = group, seed
        self.sync_batchnorm = sync_batchnorm
        self._check()
        normalizers = [m for m in network.modules() if isinstance(m, BatchNormalizer)]
        self._rolling = [t for n in normalizers for t in (n.rolling_mean, n.rolling_variance)]
        if sync_batchnorm:
            for normalizer in normalizers:
                normalizer.processes = group
        self._arrays = [array for part in self.optimizer.groups for array in part.arrays]
        sizes = [array.numel() for array in (*self._arrays, *self._rolling)]
        self._sums = torch.zeros(sum(sizes), device=self.device)
        starts = np.cumsum([0, *sizes]).tolist()
        self._parts = [  # in each array's own order in memory
            self._sums.as_strided(array.shape, array.stride(), start)
            for array, start in zip((*self._arrays, *self._rolling), starts, strict=False)
        ]
        self._is_shared = False

    def _check(self) -> None:
        net, section, group = self.network.net, self.network.sections[0], self.group
        if self.time_steps > 1:
            raise TrainError(
                f"{section.path}: a network with time_steps={self.time_steps} is trained in one "
                f"process, not in {group.ranks}"
            )
        if self.batch % group.ranks:
            raise TrainError(
                f"{section.path}: batch={net.batch} with subdivisions={net.subdivisions} cannot "
                f"be divided over {group.ranks} processes: mini-batches have {self.batch} images"
            )
        if self.sync_batchnorm and any(
            isinstance(m, BatchNormalizer) and m.across is not None for m in self.network.modules()
        ):
            raise TrainError(f"{section.path}: cbn=1 and -syncbn do not go together")

    def share_state(self) -> None:
        """Give all processes the first one's weights, and what else it remembers.

        Called once a run was resumed by the first process; at the latest by `learn`.
        """
        self._is_shared = True
        network, group, average = self.network, self.group, self.average
        counts = self.seen, self.iteration, self.rejection.state(), bool(average.averages)
        self.seen, self.iteration, rejection, averages = group.agree(counts)
        self.rejection.restore(rejection)
        if averages and not average.averages:
            average.averages = [array.clone() for array in average.arrays]
        with torch.no_grad():
            for _, _, array in network.arrays():
                group.spread(array.data)
            for _, tensor in self.state():
                group.spread(tensor)
        network.seen = self.seen
        self._draw()

    def learn(self, inputs: Tensor | np.ndarray, truth: Tensor | np.ndarray) -> Loss:
        """Forward and backward of this process's part of one mini-batch."""
        if not self._is_shared:
            self.share_state()
        try:
            return super().learn(inputs, truth)
        except RuntimeError as error:
            if self.sync_batchnorm and "memory" in str(error):
                raise TrainError(
                    "the memory does not hold a mini-batch, and with -syncbn it cannot be made "
                    "smaller on the way: raise subdivisions"
                ) from None
            raise

    def _describe(self, x: Tensor, loss: Loss) -> str:
        """Where nan or infinity came from, found without the others."""
        for module in self.network.modules():
            if isinstance(module, BatchNormalizer):
                module.processes = None
        return super()._describe(x, loss)

    def update(self) -> float:
        """Add up what all processes learned, and take the step; return its rate."""
        self._add_up()
        self.random = np.random.default_rng((self.seed, self.iteration, _ITERATION))
        rate = super().update()
        self._draw()
        return rate

    def _draw(self) -> None:
        key = (self.seed, self.iteration, _LAYERS, self.group.rank)
        self.random = np.random.default_rng(key)

    @torch.no_grad()
    def _add_up(self) -> None:
        arrays, rolling = self._arrays, self._rolling
        gradients, means = self._parts[: len(arrays)], self._parts[len(arrays) :]
        given = [
            (part, array.grad)
            for part, array in zip(gradients, arrays, strict=True)
            if array.grad is not None
        ]
        if len(given) < len(arrays):
            self._sums.zero_()
        torch._foreach_copy_([part for part, _ in given], [gradient for _, gradient in given])
        if means:
            torch._foreach_copy_(means, rolling)
            torch._foreach_div_(means, self.group.ranks)
        self.group.add_up(self._sums)
        for part, array in zip(gradients, arrays, strict=True):
            array.grad = part
        if means:
            torch._foreach_copy_(rolling, means)


@dataclass
class Follower:
    """The run of a process that is not the first: it trains, and nothing else."""

    learner: Learner
    dataset: Dataset
    seed: int = 0
    workers: int = 1
    processes: bool = False
    stop: Callable[[], bool] = lambda: False
    """Asked after each iteration whether to end early."""

    def run(self) -> None:
        """Train until the first process is at its end.

        Raises:
            TrainError: the loss is no longer finite, or another process has gone.
            DataError: a file cannot be read.
        """
        learner = self.learner
        learner.share_state()
        end = learner.options.max_batches
        if end and learner.iteration >= end:
            return
        with load(
            learner, self.dataset, self.seed, workers=self.workers, processes=self.processes
        ) as loader:
            try:
                for _ in train(learner, (Rows(*batch) for batch in loader)):
                    if learner.group.any(self.stop()):
                        return
            except TrainError:
                if not self.stop():  # else the first has ended while it evaluated
                    raise

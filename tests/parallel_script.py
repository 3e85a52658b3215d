"""One of two processes that train together, as tests/test_parallel.py starts them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from helpers import build, ramp

from darknet_py.errors import DarknetError
from darknet_py.group import ALONE, Group, join
from darknet_py.learning import Learner
from darknet_py.parallel import ParallelLearner
from darknet_py.train import Rows, train

NET = """momentum=0.9
decay=0.001
learning_rate=0.05
policy=constant
max_batches=4
"""
BODY = """[convolutional]
filters=4
size=3
stride=1
pad=1
batch_normalize={norm}
activation=leaky
[maxpool]
size=2
stride=2
[convolutional]
filters=6
size=3
pad=1
batch_normalize={norm}
activation=mish
[avgpool]
[connected]
output=3
activation=linear
[softmax]
[cost]
"""
BATCH = 8
CASES = {
    "plain": ("alexeyab", 0, False, 1),
    "plain, subdivisions": ("pjreddie", 0, False, 2),
    "sync, alexeyab": ("alexeyab", 1, True, 1),
    "sync, pjreddie": ("pjreddie", 1, True, 2),
    "own norm": ("alexeyab", 1, False, 1),
}
"""(dialect, batch_normalize, -syncbn, subdivisions)"""


def network_of(dialect, norm, subdivisions, more=""):
    head = f"batch={BATCH}\nsubdivisions={subdivisions}\n{NET}{more}"
    return build(head + BODY.format(norm=norm), (3, 6, 8), dialect)


def rows(group, subdivisions, iterations=4, bad=-1):
    """The group's share of every mini-batch, as Loader gives it."""
    count = BATCH // subdivisions
    size = count // group.ranks
    for number in range(iterations):
        x = (ramp(BATCH, 3, 6, 8, start=number * 1.7) * 0.5 + 0.5).numpy()
        truth = np.eye(3, dtype=np.float32)[(np.arange(BATCH) * 7 + number) % 3]
        if number == bad:
            x[-1] = np.nan
        for first in range(group.rank * size, BATCH, count):
            part = slice(first, first + size)
            names = tuple(f"{number}-{i}.jpg" for i in range(BATCH))
            yield Rows(x[part], truth[part], names[part])


def arrays_of(network):
    return {f"{index} {name}": array.detach().numpy() for index, name, array in network.arrays()}


def run(group: Group, name: str) -> tuple[dict[str, np.ndarray], list[float]]:
    dialect, norm, sync, subdivisions = CASES[name]
    alone = group.ranks == 1
    parts = subdivisions * 2 if alone and norm and not sync else subdivisions
    network = network_of(dialect, norm, parts)
    if group.rank:  # the first process's weights must win
        with torch.no_grad():
            for _, _, array in network.arrays():
                array.mul_(0.5)
    learner = Learner(network) if alone else ParallelLearner(network, group, sync_batchnorm=sync)
    losses = [progress.loss for progress in train(learner, rows(group, parts))]
    assert learner.seen == 4 * BATCH, learner.seen
    return arrays_of(network), losses


def resumed(group: Group) -> bool:
    """Whether a run that the first process alone remembers goes on as if it had not ended."""
    dropping = "[dropout]\nprobability=0.5\n[avgpool]"

    def learner_of() -> ParallelLearner:
        head = f"batch={BATCH}\nsubdivisions=1\n{NET}adam=1\n" + BODY.format(norm=1)
        network = build(head.replace("[avgpool]", dropping), (3, 6, 8), "alexeyab")
        return ParallelLearner(network, group, seed=3)

    whole, first, second = learner_of(), learner_of(), learner_of()
    for batch in rows(group, 1):
        whole.learn(batch.inputs, batch.truth)
        whole.update()
    for number, batch in enumerate(rows(group, 1)):
        if number == 2:
            if group.is_first:
                second.network.load_state_dict(first.network.state_dict())
                for (_, here), (_, there) in zip(second.state(), first.state(), strict=True):
                    here.copy_(there)
                second.iteration, second.seen = first.iteration, first.seen
            second.share_state()
            first = second
        first.learn(batch.inputs, batch.truth)
        first.update()
    a, b = arrays_of(whole.network), arrays_of(first.network)
    return all(np.array_equal(a[key], b[key]) for key in a)


def out_of_memory(group: Group) -> dict[str, np.ndarray]:
    """As "plain", but the second process's memory does not hold a whole mini-batch."""

    class Small(ParallelLearner):
        def learn(self, inputs, truth):
            if self.group.rank and len(inputs) > 2:
                raise MemoryError
            return super().learn(inputs, truth)

    network = network_of("alexeyab", 0, 1)
    list(train(Small(network, group), rows(group, 1)))
    return arrays_of(network)


def main(task: str, folder: str) -> int:
    torch.set_num_threads(1)
    try:
        with join("cpu") as group:
            if task == "nan":
                network = network_of("alexeyab", 1, 1)
                learner = ParallelLearner(network, group, sync_batchnorm=True)
                for _ in train(learner, rows(group, 1, bad=2)):
                    pass
                return 0
            if task == "gone" and group.rank:
                group.total(1.0)
                import os

                os._exit(9)
            if task == "gone":
                group.total(1.0)
                group.total(1.0)
            outcome = {}
            for name in CASES:
                arrays, losses = run(group, name)
                outcome |= {f"{name}: {key}": value for key, value in arrays.items()}
                outcome[f"{name}: losses"] = np.array(losses)
            outcome |= {f"memory: {k}": v for k, v in out_of_memory(group).items()}
            outcome["resumed"] = np.array(resumed(group))
            outcome["any"] = np.array([group.any(group.rank == 1), group.any(False)])
            np.savez(Path(folder) / f"{group.rank}.npz", **outcome)
    except DarknetError as error:
        sys.stderr.write(f"darknet-py: {error}\n")
        return 1
    return 0


def alone(name: str) -> tuple[dict[str, np.ndarray], list[float]]:
    """The same by one process."""
    return run(ALONE, name)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

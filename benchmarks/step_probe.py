"""One training step, again and again, in a process of its own: step_probe.py KIND CFG DATA SECONDS.

KIND is `ours` (Learner: forward, the heads' deltas, backward, update) or `torch`: the same layers
with PyTorch's convolution, batch norm and SGD, and the mean square of what the heads read as loss.
Prints JSON: the seconds of each step.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle

import torch
from torch import Tensor, nn

from darknet_py.datafile import read_data
from darknet_py.datasets import dataset_of
from darknet_py.datasets.base import Batch
from darknet_py.learning import Learner
from darknet_py.network import Network

Step = Callable[[Batch], None]
LEAST = 3
"""So many steps are timed, however long they take."""


def ours(network: Network) -> Step:
    """A mini-batch learned."""
    learner = Learner(network)

    def step(batch: Batch) -> None:
        learner.learn(batch.inputs, batch.truth)
        learner.update()

    return step


def bare(network: Network) -> Step:
    """PyTorch's own step."""
    layers = nn.ModuleList(
        _plain(layer) if layer.section.type == "convolutional" else layer for layer in network
    )
    layers.train()
    layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    sources = [layer.sources for layer in network]
    ends = {i for i, layer in enumerate(network) if layer.section.type in ("yolo", "softmax")}
    optimizer = torch.optim.SGD(layers.parameters(), 0.0001, momentum=0.9, weight_decay=0.0005)

    def step(batch: Batch) -> None:
        x = torch.from_numpy(batch.inputs).contiguous(memory_format=torch.channels_last)
        outputs: list[Tensor] = []
        loss = torch.zeros(())
        for index, layer in enumerate(layers):
            read = [x if i < 0 else outputs[i] for i in sources[index]]
            if index in ends:
                loss = loss + read[0].square().mean()
            outputs.append(read[0] if index in ends else layer(*read))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _plain(layer: nn.Module) -> nn.Module:
    """PyTorch's modules for a [convolutional]."""
    o = layer.options
    convolution = nn.Conv2d(
        layer.channels,
        layer.filters,
        layer.size,
        (layer.stride_y, layer.stride_x),
        layer.padding,
        groups=layer.groups,
        bias=not layer.normalized,
    )
    norm = [nn.BatchNorm2d(layer.filters)] if layer.normalized else []
    leaky = [nn.LeakyReLU(0.1, inplace=True)] if o.activation == "leaky" else []
    other = [] if o.activation in ("leaky", "linear") else [_Activation(layer.activation)]
    return nn.Sequential(convolution, *norm, *leaky, *other)


class _Activation(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def main(words: Sequence[str]) -> None:
    """Time one kind."""
    kind, cfg, data, seconds = words
    torch.manual_seed(0)
    network = Network.from_cfg(cfg)
    dataset = dataset_of(network, read_data(data))
    batches = [dataset.batch(iteration) for iteration in range(2)]
    step = {"ours": ours, "torch": bare}[kind](network)
    for batch in batches:
        step(batch)
    times: list[float] = []
    for batch in cycle(batches):
        start = time.perf_counter()
        step(batch)
        times.append(time.perf_counter() - start)
        if len(times) >= LEAST and sum(times) > float(seconds):
            break
    print(json.dumps(times))


if __name__ == "__main__":
    main(sys.argv[1:])

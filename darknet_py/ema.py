"""The moving average of the weights that AlexeyAB's `ema_alpha` keeps."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from darknet_py.layers.convolutional import Convolutional
from darknet_py.network import Network


class MovingAverage:
    """Averages of every convolution's arrays from the middle of the training on.

    1000 iterations before the end they take the weights' place.
    C: network.c:train_network_waitkey, ema_update, ema_apply.
    """

    def __init__(self, network: Network, alpha: float, max_batches: int) -> None:
        self.alpha, self.first = alpha, max_batches // 2
        self.last = max_batches - 1000
        self.arrays = [
            array.data
            for layer in network
            if isinstance(layer, Convolutional)
            for _, array in layer.arrays()
            if isinstance(array, nn.Parameter)
        ]
        self.averages: list[Tensor] = []

    @torch.no_grad()
    def follow(self, iteration: int) -> None:
        """Take in the weights after the update `iteration`."""
        if not self.alpha or iteration < self.first:
            return
        if not self.averages:
            self.averages = [array.clone() for array in self.arrays]
        if iteration == self.last:
            torch._foreach_copy_(self.arrays, self.averages)
        elif iteration < self.last:
            torch._foreach_mul_(self.averages, self.alpha)
            torch._foreach_add_(self.averages, self.arrays, alpha=1 - self.alpha)

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """(name, tensor) of the averages."""
        for index, tensor in enumerate(self.averages):
            yield f"ema.{index}", tensor

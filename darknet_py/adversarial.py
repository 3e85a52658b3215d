"""The adversarial step: before it learns from images, a network hides from itself what they show.

C: AlexeyAB's network_kernels.cu:train_network_datum_gpu, forward_backward_network_gpu.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from darknet_py.augment import AugmentOptions
from darknet_py.batchnorm import BatchNormalizer
from darknet_py.network import Network

LossT = TypeVar("LossT")
Passes: TypeAlias = Callable[[Tensor, Tensor], tuple[list[Tensor], list[Tensor], LossT]]
"""Images and truth to (the heads' inputs, minus their step directions, the loss)."""


class Attack:
    """Changes images so that a network finds less in them (`adversarial_lr`).

    Half of the mini-batches after the burn-in are attacked, by a step that grows to
    `adversarial_lr` at the end of the training. With `contrastive` every second image stays.
    """

    def __init__(
        self, network: Network, options: AugmentOptions, burn_in: int, max_batches: int
    ) -> None:
        self.network, self.burn_in, self.max_batches = network, burn_in, max_batches
        self.rate, self.pairs = options.adversarial_lr, options.contrastive

    def is_due(self, iteration: int, random: np.random.Generator) -> bool:
        """Whether the next mini-batch is attacked."""
        return bool(self.rate) and iteration > self.burn_in and bool(random.integers(2))

    def __call__(self, x: Tensor, truth: Tensor, iteration: int, passes: Passes[object]) -> Tensor:
        """The images `x`, changed, from 0 to 1; the network learns nothing."""
        gradient, _ = find_gradient(self.network, x, torch.zeros_like(truth), passes)
        if gradient is None:  # a layer lets none through
            return x
        step = self.rate * iteration / max(self.max_batches, 1)
        changed = (x - step * gradient).clamp(0, 1)
        if self.pairs:
            changed[1::2] = x[1::2]
        return changed


def find_gradient(
    network: Network, x: Tensor, truth: Tensor, passes: Passes[LossT]
) -> tuple[Tensor | None, LossT]:
    """The gradient of the loss by the images, of their shape, and the loss.

    None for a gradient that does not reach them. The network learns nothing, and its batch norm
    goes by the rolling values (C: network_kernels.cu:forward_backward_network_gpu).

    Args:
        network: in training.
        x: `(batch, channels, height, width)`, from 0 to 1.
        truth: `(batch, values)`, as the heads take it.
        passes: the network's passes, see `Passes`.
    """
    seen = x.detach().clone().requires_grad_()
    with _by_rolling_values(network):
        ends, directions, loss = passes(seen, truth)
    if not ends:
        return None, loss
    (gradient,) = torch.autograd.grad(ends, seen, directions, allow_unused=True)
    return gradient, loss


@contextmanager
def _by_rolling_values(network: Network) -> Iterator[None]:
    """Batch norm as when the network answers."""
    learning = [
        module
        for module in network.modules()
        if isinstance(module, BatchNormalizer) and module.training
    ]
    for module in learning:
        module.eval()
    try:
        yield
    finally:
        for module in learning:
            module.train()

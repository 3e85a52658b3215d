"""The adversarial step: before it learns from images, a network hides from itself what they show.

C: AlexeyAB's network_kernels.cu:train_network_datum_gpu, forward_backward_network_gpu.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from darknet_py.augment import AugmentOptions
from darknet_py.batchnorm import BatchNormalizer
from darknet_py.network import Network

Passes = Callable[[Tensor, Tensor], tuple[list[Tensor], list[Tensor], object]]
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

    def __call__(self, x: Tensor, truth: Tensor, iteration: int, passes: Passes) -> Tensor:
        """The images `x`, changed, from 0 to 1; the network learns nothing."""
        seen = x.detach().clone().requires_grad_()
        with self._by_rolling_values():
            ends, directions, _ = passes(seen, torch.zeros_like(truth))
        if not ends:
            return x
        (gradient,) = torch.autograd.grad(ends, seen, directions, allow_unused=True)
        if gradient is None:  # a layer lets none through
            return x
        step = self.rate * iteration / max(self.max_batches, 1)
        changed = (x - step * gradient).clamp(0, 1)
        if self.pairs:
            changed[1::2] = x[1::2]
        return changed

    @contextmanager
    def _by_rolling_values(self) -> Iterator[None]:
        """Batch norm as when the network answers."""
        learning = [
            module
            for module in self.network.modules()
            if isinstance(module, BatchNormalizer) and module.training
        ]
        for module in learning:
            module.eval()
        try:
            yield
        finally:
            for module in learning:
                module.train()

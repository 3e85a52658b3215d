"""Batch norm over the mini-batches of several processes together (-syncbn)."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py import narrow_norm


class Processes(Protocol):
    """What passes between the processes."""

    def add_up(self, tensor: Tensor) -> Tensor:
        """Replace `tensor` by the sum over the processes."""

    def gather(self, tensor: Tensor) -> Tensor:
        """All processes' tensors, along a new first dimension."""


class Normalizer(Protocol):
    """What a BatchNormalizer has."""

    rolling_mean: Tensor
    rolling_variance: Tensor
    latest: tuple[Tensor, Tensor]
    sample_variance: bool


class SyncNorm(torch.autograd.Function):
    """Batch norm by the mean and variance of all processes' mini-batches.

    As one process would with all of them: each dialect's variance, epsilon and backward pass
    (see batchnorm.py). PyTorch's SyncBatchNorm has one formula, and runs on GPUs alone.
    Gradients of scales and biases are those of this process's part: they add up like all others.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scales: Tensor,
        biases: Tensor | None,
        normalizer: Normalizer,
        processes: Processes,
    ) -> Tensor:
        """Normalise, and let the rolling values follow."""
        count, mean, squares = _of_all(x, processes)
        unbiased = squares / max(count - 1, 1)
        variance = unbiased if normalizer.sample_variance else squares / count
        normalizer.rolling_mean.lerp_(mean, 0.01)
        normalizer.rolling_variance.lerp_(unbiased, 0.01)
        normalizer.latest = mean, variance
        ctx.save_for_backward(x, scales, mean, variance)
        ctx.count, ctx.normalizer, ctx.processes = count, normalizer, processes
        ctx.has_biases = biases is not None
        if not normalizer.sample_variance:
            return F.batch_norm(x, mean, variance, scales, biases, eps=1e-5)
        squared = (variance.double().sqrt() + 1e-6).square().to(variance.dtype)
        return F.batch_norm(x, mean, squared, scales, biases, eps=0.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Through values, scales and biases; see SampleNorm for what pjreddie's C does."""
        x, scales, own_mean, own_variance = ctx.saved_tensors
        gradient, normalizer = gradients[0].float(), ctx.normalizer
        shape = (1, -1, *[1] * (x.dim() - 2))
        mean, variance = own_mean, own_variance
        if normalizer.sample_variance:
            mean, variance = normalizer.latest
        own_deviation = (own_variance + 1e-5).sqrt()
        if normalizer.sample_variance:
            own_deviation = own_variance.sqrt() + 1e-6
        ones = torch.ones_like(own_mean)
        _, with_x, of_biases = narrow_norm.backward(
            gradient, x.float(), ones, own_mean, ones, of_x=False
        )
        of_scales = with_x / own_deviation
        if not ctx.needs_input_grad[0]:
            return None, of_scales, of_biases if ctx.has_biases else None, None, None
        # The same with x measured from another mean, where that is not its own.
        with_x = with_x + (own_mean - mean) * of_biases
        sums = ctx.processes.add_up(torch.cat((of_biases, with_x))) / ctx.count
        gradient_mean, gradient_with_x = sums.chunk(2)
        inverse = 1 / (variance + 1e-5).sqrt()
        factor, slope = scales * inverse, -scales * inverse**3 * gradient_with_x
        offset = -factor * gradient_mean - slope * mean
        of_x = torch.addcmul(offset.view(shape), gradient, factor.view(shape))
        of_x = of_x.addcmul_(x, slope.view(shape)).to(x.dtype)
        return of_x, of_scales, of_biases if ctx.has_biases else None, None, None


def _of_all(x: Tensor, processes: Processes) -> tuple[float, Tensor, Tensor]:
    """Count, mean and sum of squared deviations from it, per channel, of all processes."""
    wide = x.detach().float()
    count = wide.numel() // wide.shape[1]
    mean = wide.mean([0, *range(2, x.dim())])
    squares = torch.zeros_like(mean)
    if count > 1:  # the fast way; its mean is off by 1e-5 in channels_last
        torch.batch_norm_update_stats(wide, torch.zeros_like(mean), squares, 1.0)
        squares = squares * (count - 1)
    own = torch.stack((torch.full_like(mean, count), mean, squares))
    counts, means, squares = processes.gather(own).double().unbind(1)
    total = counts.sum(0)
    together = (counts * means).sum(0) / total
    squared = squares.sum(0) + (counts * (means - together).square()).sum(0)
    return float(total[0]), together.to(mean.dtype), squared.to(mean.dtype)

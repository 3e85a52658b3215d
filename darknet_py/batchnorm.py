"""Batch norm's arithmetic, shared by every layer that has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from darknet_py import narrow_norm
from darknet_py.dialect import Dialect
from darknet_py.rounding import give_value, moments_in_order, normalize_in_order
from darknet_py.sync_norm import Processes, SyncNorm

_INSIDE = {"inside": 1e-5, "opencv": 1e-6}
_BLOCK = 1 << 16


class BatchNormalizer(nn.Module):
    """`scales * (x - mean) / deviation + biases`, per channel.

    The mean and the deviation are the rolling ones, or while training those of the mini-batch.

    The deviation is `sqrt(rolling_variance) + 1e-6` or `sqrt(rolling_variance + 1e-5)`, as the
    dialect says. Source: Ioffe & Szegedy 2015; C: batchnorm_layer.c, blas.c:normalize_cpu.
    The biases belong to the layer, which stores them before these arrays.

    `epsilon` may be set to "opencv": `sqrt(rolling_variance + 1e-6)`, which OpenCV 4 takes for
    Darknet networks (opencv/). `in_c_order` sums and rounds as C's loops do while training
    (rounding.py).
    """

    rolling_mean: Tensor
    rolling_variance: Tensor
    latest: tuple[Tensor, Tensor]
    """Mean and variance of the last mini-batch (pjreddie)."""

    def __init__(self, channels: int, dialect: Dialect) -> None:
        super().__init__()
        self.epsilon: Literal["outside", "inside", "opencv"] = dialect.batchnorm_epsilon
        self.across: CrossIteration | None = None
        self.processes: Processes | None = None
        self.in_c_order = False
        self.sample_variance = dialect.batchnorm_variance == "sample"
        self.scales = nn.Parameter(torch.empty(channels))
        self.register_buffer("rolling_mean", torch.empty(channels))
        self.register_buffer("rolling_variance", torch.empty(channels))

    def forward(self, x: Tensor, biases: Tensor | None) -> Tensor:
        """`x`: `(batch, channels, ...)`; returns its shape."""
        if self.training:
            return self._learn(x, biases)
        variance, epsilon = self.rolling_variance, _INSIDE.get(self.epsilon, 0.0)
        if self.epsilon == "outside":
            # PARITY: sqrt(variance) + 1e-6 (C: blas.c:normalize_cpu), written as a variance.
            variance = (_root(variance) + 1e-6).square().to(variance.dtype)
        return F.batch_norm(x, self.rolling_mean, variance, self.scales, biases, eps=epsilon)

    def _learn(self, x: Tensor, biases: Tensor | None) -> Tensor:
        """Normalise by the mini-batch and let the rolling values follow it by a hundredth."""
        if self.processes is not None:
            together: Tensor = SyncNorm.apply(  # type: ignore[no-untyped-call]
                x, self.scales, biases, self, self.processes
            )
            return together
        if x.numel() == x.shape[1]:
            return self._learn_one(x, biases)
        if self.across is not None and biases is not None:
            return self.across.normalize(x, self, biases)
        if self.in_c_order:
            return self._learn_in_order(x, biases)
        if self.sample_variance:
            biases = torch.zeros_like(self.scales) if biases is None else biases
            out: Tensor = SampleNorm.apply(  # type: ignore[no-untyped-call]
                x, self.scales, biases, self
            )
            return out
        rolling = self.rolling_mean, self.rolling_variance
        pixels = narrow_norm.pixels_in_a_row(x)
        if pixels == 1:
            return F.batch_norm(x, *rolling, self.scales, biases, True, 0.01, 1e-5)
        narrow: Tensor = narrow_norm.NarrowNorm.apply(  # type: ignore[no-untyped-call]
            x, self.scales, biases, rolling, pixels
        )
        return narrow

    def _learn_in_order(self, x: Tensor, biases: Tensor | None) -> Tensor:
        """As C's loops: their mean and variance, their rounding of every value."""
        biases = torch.zeros_like(self.scales) if biases is None else biases
        if self.sample_variance:
            out = SampleNorm.apply(x, self.scales, biases, self)  # type: ignore[no-untyped-call]
            mean, variance = self.latest
        else:
            mean, variance = moments_in_order(x, sample=False)
            with torch.no_grad():
                self.rolling_mean.lerp_(mean, 0.01)
                self.rolling_variance.lerp_(variance, 0.01)
            out = GivenNorm.apply(x, self.scales, biases, mean, variance)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            shape = (1, -1, *[1] * (x.dim() - 2))
            value = normalize_in_order(x, mean, variance, inside=not self.sample_variance)
            value = value * self.scales.view(shape) + biases.view(shape)
        return give_value(out, value)

    def _learn_one(self, x: Tensor, biases: Tensor | None) -> Tensor:
        """One value for each channel has no variance; C gives nan (pjreddie) or the bias."""
        with torch.no_grad():
            self.rolling_mean.lerp_(x.flatten().to(self.rolling_mean), 0.01)
            self.rolling_variance.mul_(0.99)
        shape = (1, -1, *[1] * (x.dim() - 2))
        out = torch.zeros_like(x) * self.scales.view(shape)
        return out if biases is None else out + biases.view(shape)

    def fold(
        self, weights: Tensor, biases: Tensor, *, in_place: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Weights `(channels, ...)` and biases that do both the matrix's work and this one's.

        Computed in double precision, as C does (network.c:fuse_conv_batchnorm); with `in_place`
        in the memory of `weights`.
        """
        variance = self.rolling_variance.double()
        deviation = _root(variance) + 1e-6
        if self.epsilon in _INSIDE:
            deviation = (variance + _INSIDE[self.epsilon]).sqrt()
        factor = self.scales.double() / deviation
        factors = factor.view(-1, *[1] * (weights.dim() - 1))
        rows = max(_BLOCK // max(weights[0].numel(), 1), 1)  # what stays in a cache is faster
        weights = weights.detach()
        folded = weights if in_place else torch.empty_like(weights)
        blocks = (torch.split(x, rows) for x in (folded, weights, factors))
        with torch.no_grad():
            for target, part, by in zip(*blocks, strict=True):
                target.copy_(part.double() * by)
        shifted = biases.double() - self.rolling_mean.double() * factor
        return folded, shifted.to(biases.dtype)

    def at_epsilon(self, epsilon: float) -> tuple[Tensor, Tensor]:
        """Scales and variance with which `scales / sqrt(variance + epsilon)` is the same."""
        variance = self.rolling_variance.double()
        if self.epsilon == "inside" and epsilon == 1e-5:
            return self.scales.detach(), self.rolling_variance
        inside = variance + 1e-5 if self.epsilon == "inside" else (_root(variance) + 1e-6) ** 2
        variance = (inside - epsilon).clamp(min=0)  # what is less than epsilon goes to the scales
        scales = self.scales.detach().double() * ((variance + epsilon) / inside).sqrt()
        return scales.to(self.scales.dtype), variance.to(self.scales.dtype)

    def arrays(self) -> Iterator[tuple[str, Tensor]]:
        """The (name, tensor) pairs of a .weights file, in file order."""
        yield "scales", self.scales
        yield "rolling_mean", self.rolling_mean
        yield "rolling_variance", self.rolling_variance


def _root(variance: Tensor) -> Tensor:
    """The square root in double precision.

    PARITY: weights of channels that died hold -7e-44, which C, built to flush denormal numbers,
    takes for 0.
    """
    return variance.double().clamp(min=0).sqrt()


class CrossIteration:
    """Batch norm over the mini-batches of an iteration so far (`cbn`).

    Mean and mean square are averaged over them; gradients take them for the mini-batch's own.
    Source: Yao et al. 2020; C: AlexeyAB's blas_kernels.cu:fast_v_cbn_kernel.
    """

    def __init__(self) -> None:
        self.subdivision = 0
        self.mean = self.square = torch.zeros(())

    def normalize(self, x: Tensor, normalizer: BatchNormalizer, biases: Tensor) -> Tensor:
        """Normalise by the averages, and let the rolling values follow."""
        dims, share = [0, *range(2, x.dim())], 1 / (self.subdivision + 1)
        with torch.no_grad():
            count, mean = x.numel() // x.shape[1], x.mean(dims)
            # PARITY: the mean square divides by N - 1 (C: fast_v_cbn_kernel).
            square = x.square().sum(dims) / (count - 1)
            square = torch.maximum(square, mean.square())
            if self.subdivision == 0:
                self.mean, self.square = mean, square
            self.mean = share * mean + (1 - share) * self.mean
            self.square = share * square + (1 - share) * self.square
            variance = (self.square - self.mean.square()).clamp(min=0)
            normalizer.rolling_mean.lerp_(self.mean, 0.01)
            normalizer.rolling_variance.lerp_(variance, 0.01)
        normalized: Tensor = GivenNorm.apply(  # type: ignore[no-untyped-call]
            x, normalizer.scales, biases, self.mean, variance
        )
        return normalized


class GivenNorm(torch.autograd.Function):
    """Batch norm by a given mean and variance, differentiated as if they were the batch's."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scales: Tensor, biases: Tensor, mean: Tensor, variance: Tensor
    ) -> Tensor:
        """Normalise."""
        ctx.save_for_backward(x, scales, mean, (variance + 1e-5).rsqrt())
        return narrow_norm.normalize(x, mean, variance, scales, biases, 1e-5)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Through values, scales and biases."""
        x, scales, mean, inverse = ctx.saved_tensors
        wanted = ctx.needs_input_grad[0]
        found = narrow_norm.backward(gradients[0], x, scales, mean, inverse, wanted)
        return (*found, None, None)


class SampleNorm(torch.autograd.Function):
    """pjreddie's batch norm of a mini-batch: `(x - mean) / (sqrt(variance) + 1e-6)`.

    The variance divides by N - 1.
    """

    # PARITY: backward differentiates sqrt(variance + 1e-5) with means over N, not what forward
    # computed (C: batchnorm_layer.c:backward_batchnorm_layer, blas.c:normalize_delta_cpu).
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scales: Tensor,
        biases: Tensor,
        normalizer: BatchNormalizer,
    ) -> Tensor:
        """Normalise, and let the rolling values follow."""
        mean, variance = torch.zeros_like(scales), torch.zeros_like(scales)
        if normalizer.in_c_order:
            mean, variance = moments_in_order(x, sample=True)
        elif (pixels := narrow_norm.pixels_in_a_row(x)) > 1:
            mean, variance = narrow_norm.moments(x, pixels)
            count = x.numel() // x.shape[1]
            variance *= count / (count - 1)
        else:
            torch.batch_norm_update_stats(x, mean, variance, 1.0)
            # What that gives for a mean is off by 1e-5 in channels_last.
            mean = x.mean([0, *range(2, x.dim())], dtype=mean.dtype)
        normalizer.rolling_mean.lerp_(mean, 0.01)
        normalizer.rolling_variance.lerp_(variance, 0.01)
        ctx.save_for_backward(x, scales, mean, variance)
        ctx.normalizer, normalizer.latest = normalizer, (mean, variance)
        squared = (variance.double().sqrt() + 1e-6).square().to(variance.dtype)
        return narrow_norm.normalize(x, mean, squared, scales, biases, 0.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Through values, scales and biases."""
        x, scales, own_mean, own_variance = ctx.saved_tensors
        # PARITY: in a recurrent layer mean and variance are those of the last step, whatever the
        # step (C: rnn_layer.c:increment_layer leaves l.mean and l.variance).
        mean, variance = ctx.normalizer.latest
        deviation = (variance + 1e-5).sqrt()
        of_x, of_scales, of_biases = narrow_norm.backward(
            gradients[0], x, scales, mean, 1 / deviation, ctx.needs_input_grad[0]
        )
        if mean is not own_mean:
            centred = x - own_mean.view(-1, *[1] * (x.dim() - 2))
            of_scales = (gradients[0] * centred).sum([0, *range(2, x.dim())])
            deviation = torch.ones_like(deviation)
        of_scales = of_scales * (deviation / (own_variance.sqrt() + 1e-6))
        return of_x, of_scales, of_biases, None

"""Batch norm's arithmetic, shared by every layer that has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from darknet_py.dialect import Dialect

_INSIDE = {"inside": 1e-5, "opencv": 1e-6}


class BatchNormalizer(nn.Module):
    """`scales * (x - rolling_mean) / deviation + biases`, per channel (inference).

    The deviation is `sqrt(rolling_variance) + 1e-6` or `sqrt(rolling_variance + 1e-5)`, as the
    dialect says. Source: Ioffe & Szegedy 2015; C: batchnorm_layer.c, blas.c:normalize_cpu.
    The biases belong to the layer, which stores them before these arrays.

    `epsilon` may be set to "opencv": `sqrt(rolling_variance + 1e-6)`, which OpenCV 4 takes for
    Darknet networks (opencv/).
    """

    rolling_mean: Tensor
    rolling_variance: Tensor

    def __init__(self, channels: int, dialect: Dialect) -> None:
        super().__init__()
        self.epsilon: Literal["outside", "inside", "opencv"] = dialect.batchnorm_epsilon
        self.scales = nn.Parameter(torch.empty(channels))
        self.register_buffer("rolling_mean", torch.empty(channels))
        self.register_buffer("rolling_variance", torch.empty(channels))

    def forward(self, x: Tensor, biases: Tensor | None) -> Tensor:
        """`x`: `(batch, channels, ...)`; returns its shape."""
        variance, epsilon = self.rolling_variance, _INSIDE.get(self.epsilon, 0.0)
        if self.epsilon == "outside":
            # PARITY: sqrt(variance) + 1e-6 (C: blas.c:normalize_cpu), written as a variance.
            variance = (variance.double().sqrt() + 1e-6).square().to(variance.dtype)
        return F.batch_norm(x, self.rolling_mean, variance, self.scales, biases, eps=epsilon)

    def fold(self, weights: Tensor, biases: Tensor) -> tuple[Tensor, Tensor]:
        """Weights `(channels, ...)` and biases that do both the matrix's work and this one's.

        Computed in double precision, as C does (network.c:fuse_conv_batchnorm).
        """
        variance = self.rolling_variance.double()
        deviation = variance.sqrt() + 1e-6
        if self.epsilon in _INSIDE:
            deviation = (variance + _INSIDE[self.epsilon]).sqrt()
        factor = self.scales.double() / deviation
        folded = weights.double() * factor.view(-1, *[1] * (weights.dim() - 1))
        shifted = biases.double() - self.rolling_mean.double() * factor
        return folded.to(weights.dtype), shifted.to(biases.dtype)

    def at_epsilon(self, epsilon: float) -> tuple[Tensor, Tensor]:
        """Scales and variance with which `scales / sqrt(variance + epsilon)` is the same."""
        variance = self.rolling_variance.double()
        if self.epsilon == "inside" and epsilon == 1e-5:
            return self.scales.detach(), self.rolling_variance
        inside = variance + 1e-5 if self.epsilon == "inside" else (variance.sqrt() + 1e-6) ** 2
        variance = (inside - epsilon).clamp(min=0)  # what is less than epsilon goes to the scales
        scales = self.scales.detach().double() * ((variance + epsilon) / inside).sqrt()
        return scales.to(self.scales.dtype), variance.to(self.scales.dtype)

    def arrays(self) -> Iterator[tuple[str, Tensor]]:
        """The (name, tensor) pairs of a .weights file, in file order."""
        yield "scales", self.scales
        yield "rolling_mean", self.rolling_mean
        yield "rolling_variance", self.rolling_variance

"""[logistic]: scores to independent probabilities, with cross entropy as the loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from darknet_py.gradients import PassOn
from darknet_py.layers.base import Delta, Layer, Step
from darknet_py.losses.softmax import logistic_cross_entropy


class Logistic(Layer):
    """`1 / (1 + e^-x)`; any shape in, the same out. C: logistic_layer.c."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """The logistic function."""
        (x,) = inputs
        if not self.training:
            return torch.sigmoid(x)
        # PARITY: backward adds what comes from above unchanged (C: backward_logistic_layer).
        passed: Tensor = PassOn.apply(x, x.detach().sigmoid())  # type: ignore[no-untyped-call]
        return passed

    def delta(
        self, inputs: Sequence[Tensor], output: Tensor, truth: Tensor, step: Step
    ) -> Delta | None:
        """Truth minus output."""
        return Delta(*logistic_cross_entropy(output, truth.view(output.shape)))

    def row(self) -> str:
        """As logistic_layer.c:make_logistic_layer prints it."""
        return f"logistic x entropy                             {self.in_shape.size:4d}"

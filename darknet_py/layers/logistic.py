"""[logistic]: scores to independent probabilities, with cross entropy as the loss."""

from __future__ import annotations

import torch
from torch import Tensor

from darknet_py.layers.base import Layer


class Logistic(Layer):
    """`1 / (1 + e^-x)`; any shape in, the same out. C: logistic_layer.c."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """The logistic function."""
        return torch.sigmoid(inputs[0])

    def row(self) -> str:
        """As logistic_layer.c:make_logistic_layer prints it."""
        return f"logistic x entropy                             {self.in_shape.size:4d}"

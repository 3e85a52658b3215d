"""[empty], [silence]: nothing at all."""

from __future__ import annotations

from torch import Tensor

from darknet_py.layers.base import Layer
from darknet_py.operations import Identity, Operation, Place


class Empty(Layer):
    """The identity; takes a layer number and nothing else. C: parser.c:parse_network_cfg_custom."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """The input itself."""
        return inputs[0]

    def lower(self, place: Place) -> Operation:
        """Nothing."""
        return Identity()

    def row(self) -> str:
        """As parser.c:parse_network_cfg_custom prints it."""
        return "empty "

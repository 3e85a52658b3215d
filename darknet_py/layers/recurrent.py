"""What layers with a memory share: parts of their own, and state kept from call to call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from darknet_py.layers.base import Layer, Shape, Site


class Recurrent(Layer):
    """A layer that is made of parts and remembers.

    A call is one time step of `batch` sequences. What it leaves for the next call lies in the
    buffers that `memory` names, each `(batch, ...)`; they are no weights and in no state_dict.
    A batch of another size, or images of another size, start from zero.
    """

    memory: ClassVar[tuple[str, ...]] = ("state",)
    parts: nn.ModuleDict

    def __init__(self, options: Any, site: Site) -> None:
        super().__init__(options, site)
        self.parts = nn.ModuleDict()  # in the order in which C makes and prints them
        for name in self.memory:
            self.register_buffer(name, None, persistent=False)

    def step(self, x: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """One time step: the output, then what each of `memory` holds from now on."""
        raise NotImplementedError(type(self).__name__)

    def state_shape(self, x: Tensor) -> tuple[int, ...]:
        """The shape of each of `memory` for the input `x`."""
        raise NotImplementedError(type(self).__name__)

    def file_order(self) -> tuple[str, ...]:
        """The names of `parts` in the order of a .weights file."""
        return tuple(self.parts)

    def title(self) -> str:
        """The first line of `row`."""
        raise NotImplementedError(type(self).__name__)

    def forward(self, *inputs: Tensor) -> Tensor:
        """One time step, from the state that the call before left."""
        (x,) = inputs
        output, *after = self.step(x, *(self._recall(name, x) for name in self.memory))
        for name, state in zip(self.memory, after, strict=True):
            setattr(self, name, state.detach())
        return output

    def _recall(self, name: str, x: Tensor) -> Tensor:
        state: Tensor | None = getattr(self, name)
        shape = self.state_shape(x)
        if state is None or state.shape != shape:
            return x.new_zeros(shape)
        if state.is_inference() and not torch.is_inference_mode_enabled():
            state = state.clone()  # autograd may save no tensor that inference_mode made
        return state.to(x)

    def reset_state(self) -> None:
        """Forget all: the next call starts from zero."""
        # PARITY: C built without CUDA forgets nothing (network.c:reset_network_state).
        for name in self.memory:
            setattr(self, name, None)

    def apply_part(self, name: str, x: Tensor) -> Tensor:
        """The output of one of `parts`."""
        return cast("Tensor", self.parts[name](x))

    def arrays(self) -> Iterator[tuple[str, Tensor]]:
        """Those of the parts, `part.array` each."""
        for part in self.file_order():
            for name, tensor in cast("Layer", self.parts[part]).arrays():
                yield f"{part}.{name}", tensor

    def row(self) -> str:
        """As C prints it: a title, then a line for each part."""
        return "\n".join([self.title(), *(self.indent + part.row() for part in self._parts())])

    @property
    def indent(self) -> str:
        """What stands before the lines of the parts."""
        return "\t\t"

    @property
    def operations(self) -> int:
        """Those of the parts."""
        return sum(part.operations for part in self._parts())

    def _parts(self) -> list[Layer]:
        return [cast("Layer", part) for part in self.parts.values()]

    def resize_parts(self, **shapes: Shape) -> None:
        """Give each part named the shape of its input."""
        for name, shape in shapes.items():
            cast("Layer", self.parts[name]).resize(shape)

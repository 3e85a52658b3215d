"""What layers with a memory share: parts of their own, and state kept from call to call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import Tensor, nn

from darknet_py.gradients import Share
from darknet_py.layers.base import Layer, Shape, Site

if TYPE_CHECKING:
    from darknet_py.layers.connected import Connected
    from darknet_py.layers.convolutional import Convolutional


class Recurrent(Layer):
    """A layer that is made of parts and remembers.

    A call is one time step of `batch` sequences; while training it is `time_steps` of them, the
    first step of every sequence first, and gradients go back through all of these. What a call
    leaves for the next one lies in the buffers that `memory` names, each `(batch, ...)`; they are
    no weights and in no state_dict. A batch of another size, or images of another size, start
    from zero.
    """

    memory: ClassVar[tuple[str, ...]] = ("state",)
    forgets: bool = False
    """Whether every mini-batch of training starts from zero."""
    parts: nn.ModuleDict

    def __init__(self, options: Any, site: Site) -> None:
        super().__init__(options, site)
        self.time_steps = site.time_steps
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
        """One time step, or all of a mini-batch, from the state that the call before left."""
        (x,) = inputs
        if self.training and self.forgets:
            self.reset_state()
        steps = x.chunk(self.time_steps) if self.training else (x,)
        state = [self._recall(name, steps[0]) for name in self.memory]
        outputs = []
        for values in steps:
            output, *state = self.step(values, *state)
            outputs.append(output)
        for name, after in zip(self.memory, state, strict=True):
            setattr(self, name, after.detach())
        return torch.cat(outputs) if len(outputs) > 1 else outputs[0]

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

    def initialize(self) -> None:
        """Give the parts their starting values."""
        for part in self.parts.values():
            cast("Layer", part).initialize()

    def apply_part(self, name: str, x: Tensor) -> Tensor:
        """The output of one of `parts`."""
        return cast("Tensor", self.parts[name](x))

    def next_state(self, x: Tensor, before: Tensor, *, bypass: bool) -> Tensor:
        """`input_layer(x) + self_layer(before)`, and with `bypass` the old state, too."""
        added = self.apply_part("input_layer", x)
        if not self.training:
            state = added + self.apply_part("self_layer", before)
            return state + before if bypass else state
        own = cast("Connected | Convolutional", self.parts["self_layer"])
        # PARITY: some gradients are those below the activation and batch norm of self_layer
        # (C: Dialect.recurrent_input_gradient; for `before`, backward_rnn_layer of both forks).
        lent = [added] if self.dialect.recurrent_input_gradient == "self" else []
        raw = own.multiply(before)
        raw = Share.apply(raw, *lent, *([before] if bypass else []))  # type: ignore[no-untyped-call]
        state = (added.detach() if lent else added) + own.finish(raw)
        return state + before.detach() if bypass else state

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

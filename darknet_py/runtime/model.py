"""A converted model, whichever library runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darknet_py.errors import DarknetError
from darknet_py.metadata import Metadata
from darknet_py.shape import Shape


@dataclass(frozen=True)
class Input:
    """An input of a model: its name, its sides (None where any will do), its numbers' type."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[np.generic]


class Model(ABC):
    """A network in another library's hands; a subclass says how that one runs it.

    The first input takes pictures `(batch, channels, height, width)`. Those after it are what
    recurrent layers remember: it is kept from one run to the next, until the batch changes or
    `reset_state`.
    """

    def __init__(self, path: str, metadata: Metadata, inputs: Sequence[Input]) -> None:
        self.path, self.metadata, self.inputs = path, metadata, tuple(inputs)
        self.states: list[np.ndarray] = []
        if not self.inputs or len(self.inputs) != 1 + len(metadata.states):
            raise DarknetError(f"{path}: its inputs are not those that its metadata names")

    @property
    def shape(self) -> Shape:
        """The size that the network is made for; `fits` tells of others."""
        return Shape(*self.metadata.input)

    def fits(self, height: int, width: int) -> bool:
        """Whether the model takes pictures of that size."""
        sides = self.inputs[0].shape[2:]
        return all(have in (None, want) for have, want in zip(sides, (height, width), strict=True))

    def reset_state(self) -> None:
        """Forget what recurrent layers remember."""
        self.states = []

    def run(self, inputs: np.ndarray) -> list[np.ndarray]:
        """The outputs for a batch, float32 or int64, in the metadata's order.

        Raises:
            DarknetError: the model does not take inputs of this shape.
        """
        first = self.inputs[0]
        wanted = first.shape[1:]
        if any(w not in (None, have) for w, have in zip(wanted, inputs.shape[1:], strict=True)):
            sides = " x ".join("any" if side is None else str(side) for side in wanted)
            got = " x ".join(map(str, inputs.shape[1:]))
            raise DarknetError(f"{self.path}: takes inputs of {sides} values, got {got}")
        batch = first.shape[0]
        if batch is None or batch == len(inputs):
            return self._step(inputs)
        if batch != 1:
            raise DarknetError(f"{self.path}: takes {batch} pictures at once, got {len(inputs)}")
        samples = [self._step(inputs[i : i + 1]) for i in range(len(inputs))]
        return [np.concatenate(parts) for parts in zip(*samples, strict=True)]

    def _step(self, inputs: np.ndarray) -> list[np.ndarray]:
        values = [inputs, *self._remembered(len(inputs))]
        feed = {
            known.name: np.ascontiguousarray(value, known.dtype)
            for known, value in zip(self.inputs, values, strict=True)
        }
        outputs = [_plain(output) for output in self._run(feed)]
        count = len(self.metadata.outputs)
        self.states = outputs[count:]
        return outputs[:count]

    def _remembered(self, batch: int) -> list[np.ndarray]:
        states = self.inputs[1:]
        if len(self.states) == len(states) and all(len(s) == batch for s in self.states):
            return self.states
        return [
            np.zeros((batch, *(side or 1 for side in state.shape[1:])), np.float32)
            for state in states
        ]

    @abstractmethod
    def _run(self, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        """All outputs, those of the metadata first, then the states."""


def _plain(output: np.ndarray) -> np.ndarray:
    """Floats of any precision as float32."""
    return output if output.dtype.kind in "iu" else np.asarray(output, np.float32)

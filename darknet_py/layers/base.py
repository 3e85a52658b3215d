"""What every layer is and knows: Shape, Site, Layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from darknet_py.cfg import Section
from darknet_py.dialect import Dialect
from darknet_py.layers.step import Delta as Delta
from darknet_py.layers.step import Step as Step
from darknet_py.operations import Operation, Place, Plain
from darknet_py.options import LayerOptions
from darknet_py.shape import Shape as Shape

if TYPE_CHECKING:
    from darknet_py.boxes import Detections


@dataclass
class Budget:
    """How many bytes a network may need, and how many its arrays need so far."""

    limit: int
    used: int = 0

    def take(self, section: Section, count: int) -> None:
        """Count `count` float32 values of `section`.

        Raises:
            CfgError: the limit is passed.
        """
        self.used += 4 * count
        if self.used > self.limit:
            raise section.error(
                f"the network needs more than {self.used / 2**30:.1f} GiB of memory, the limit is "
                f"{self.limit / 2**30:.1f} GiB (raise it with DARKNET_PY_MEMORY_LIMIT=GiB)"
            )


@dataclass(frozen=True)
class Site:
    """Where a layer is built: all it may know of the network.

    `layers` and their `shapes` are those before it, `image` is the network's input,
    `time_steps` is [net]'s.
    """

    section: Section
    index: int
    layers: Sequence[Layer]
    image: Shape
    dialect: Dialect
    budget: Budget
    time_steps: int = 1

    @property
    def input(self) -> Shape:
        """The shape that the layer before gives."""
        return self.shape(self.index - 1)

    def shape(self, source: int) -> Shape:
        """The output shape of layer `source`; -1 is the image."""
        return self.image if source < 0 else self.layers[source].out_shape

    def source(self, number: int, key: str) -> int:
        """The layer that the cfg calls `number`: negative counts back from here, else absolute.

        Raises:
            CfgError: there is no such layer before this one.
        """
        index = self.index + number if number < 0 else number
        if not 0 <= index < self.index:
            raise self.section.error(
                f"{key}={number} names layer {index}, but only layers 0 to {self.index - 1} "
                f"come before this one (layer {self.index})",
                key,
            )
        return index

    def part(self, shape: Shape) -> Site:
        """Where a part of this layer is built, whose input has `shape`."""
        return replace(self, index=0, layers=(), image=shape)

    def parameter(self, *shape: int) -> nn.Parameter:
        """A trainable array, counted against the memory limit before it is made."""
        return nn.Parameter(self.array(*shape))

    def array(self, *shape: int) -> Tensor:
        """An array, counted against the memory limit before it is made.

        Raises:
            CfgError: a side is not positive, or the limit is passed.
        """
        if min(shape) < 1:
            raise self.section.error(f"needs an array of {' x '.join(map(str, shape))} values")
        self.budget.take(self.section, math.prod(shape))
        return torch.empty(shape)

    def need_image(self) -> Shape:
        """The input's shape, checked to be an image.

        Raises:
            CfgError: the layer before gives a plain vector.
        """
        if not self.input.is_image:
            raise self.section.error(
                "the layer before must give an image (width, height, channels)"
            )
        return self.input


class Layer(nn.Module):
    """One section of a cfg as a function of the outputs it reads.

    `sources` are the indices of the layers whose outputs `forward` takes, -1 being the
    network's input; `in_shape` and `out_shape` hold for the network's present input size.
    Outputs are `(batch, c, h, w)` or `(batch, n)`: flattened, each sample is in C's order.
    """

    Options: ClassVar[type[LayerOptions]] = LayerOptions
    overwrites: ClassVar[bool] = False
    """Whether its backward pass drops what later readers of its input gave, as C's copies do."""
    in_shape: Shape
    out_shape: Shape

    def __init__(self, options: Any, site: Site) -> None:
        super().__init__()
        self.options = options
        self.section = site.section
        self.index = site.index
        self.dialect = site.dialect
        self.sources: tuple[int, ...] = (site.index - 1,)

    def resize(self, *inputs: Shape) -> None:
        """Set `in_shape` and `out_shape` for inputs of these shapes.

        Raises:
            CfgError: the layer cannot take them.
        """
        self.in_shape = self.out_shape = inputs[0]

    def forward(self, *inputs: Tensor) -> Tensor:
        """The layer's output."""
        raise NotImplementedError(type(self).__name__)

    def lower(self, place: Place) -> Operation:
        """What inference runs in this layer's stead (lower/): here its own `forward`.

        Args:
            place: where it will run.
        """
        return Plain(self, place)

    def begin(self, step: Step, truth: Tensor) -> None:
        """Called before `forward` while training: what depends on iteration, chance or truth."""

    def delta(
        self, inputs: Sequence[Tensor], output: Tensor, truth: Tensor, step: Step
    ) -> Delta | None:
        """The layer's own loss; None: it has none.

        Args:
            inputs: what `forward` took.
            output: what it gave.
            truth: `(batch, n)`, each sample in C's order (boxes, one-hot classes, ...).
            step: where in the training this is.
        """
        return None

    def arrays(self) -> Iterator[tuple[str, Tensor]]:
        """The (name, tensor) pairs a .weights file holds for this layer, in file order."""
        return iter(())

    def row(self) -> str:
        """The layer's line in the table that C prints while it reads a cfg (without the index)."""
        return f"{self.section.type:<38} {self.in_shape!s:>18}   ->  {self.out_shape!s:>18}"

    @property
    def operations(self) -> int:
        """Floating point operations for one sample, as the dialect's C counts them."""
        return 0

    @property
    def work(self) -> int:
        """How many values `forward` needs for one sample, besides its inputs and its output."""
        return 0

    @torch.no_grad()
    def initialize(self) -> None:
        """Give the arrays their starting values: random weights and batch norm at rest, as C."""
        for name, tensor in self.arrays():
            kind = name.rpartition(".")[2]
            if kind == "weights":
                self.draw(tensor, math.sqrt(2 * len(tensor) / tensor.numel()))
            else:
                tensor.fill_(1.0 if kind in ("scales", "rolling_variance") else 0.0)

    def draw(self, weights: Tensor, scale: float) -> None:
        """Fill `weights` at random; `scale` is `sqrt(2 / inputs of one output)`.

        C: connected_layer.c:make_connected_layer, local_layer.c:make_local_layer.
        """
        weights.uniform_(-scale, scale)

    def reset_state(self) -> None:
        """Forget what recurrent layers remember."""


class Head(Layer):
    """A layer whose output is read as boxes."""

    @property
    def classes(self) -> int:
        """How many classes each box is scored for."""
        return int(self.options.classes)

    def decode(self, output: Tensor, image: Shape, thresh: float, hier: float) -> Detections:
        """One sample's boxes whose objectness passes `thresh`, in C's order.

        Args:
            output: this layer's output for one sample, without the batch axis.
            image: the network's input shape.
            thresh: scores not above it are 0.
            hier: the threshold of the walk down a class tree.

        Returns:
            Boxes `cxcywh` relative to the network's input.
        """
        raise NotImplementedError(type(self).__name__)

    def dense(self, output: Tensor, image: Shape) -> tuple[Tensor, Tensor, Tensor]:
        """Every candidate of a batch, in the order of `decode`, with no threshold.

        What `decode` does after the arithmetic is candidates.py's part.

        Args:
            output: this layer's output, with the batch axis.
            image: the network's input shape.

        Returns:
            Boxes `(batch, n, 4)` cxcywh relative to the input, objectness `(batch, n)`, and
            scores `(batch, n, classes)`, objectness times class.
        """
        raise NotImplementedError(type(self).__name__)


def flat(x: Tensor) -> Tensor:
    """`(batch, n)`, each sample in C's memory order."""
    return x.flatten(1)


def image(x: Tensor) -> Tensor:
    """`(batch, c, h, w)`: a vector becomes an image of one pixel."""
    return x if x.dim() == 4 else x[:, :, None, None]


def place(offsets: Tensor) -> Tensor:
    """Centres inside cells, `(batch, h, w, n, 2)`, as centres relative to the image."""
    height, width = offsets.shape[1:3]
    column = torch.arange(width, dtype=offsets.dtype, device=offsets.device).view(1, -1, 1)
    row = torch.arange(height, dtype=offsets.dtype, device=offsets.device).view(-1, 1, 1)
    x, y = (offsets[..., 0] + column) / width, (offsets[..., 1] + row) / height
    return torch.stack([x, y], -1)


def as_array(x: Tensor) -> np.ndarray:
    """A tensor of any device and precision as float32 on numpy."""
    array: np.ndarray = x.detach().float().cpu().numpy()
    return array

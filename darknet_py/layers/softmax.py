"""[softmax]: scores to probabilities that sum to 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py.gradients import PassOn
from darknet_py.hierarchy import read_named_tree
from darknet_py.layers.base import Delta, Layer, Shape, Site, Step, flat
from darknet_py.losses.softmax import cross_entropy
from darknet_py.operations import Operation, Place
from darknet_py.operations.softmax import Shares
from darknet_py.options import LayerOptions, key
from darknet_py.trees import softmax_groups


@dataclass(frozen=True)
class SoftmaxOptions(LayerOptions):
    """Keys of [softmax] (C: parser.c:parse_softmax)."""

    groups: int = key("split the values into this many parts, each with a sum of 1", 1)
    temperature: float = key("divides the scores first: above 1 flattens, below 1 sharpens", 1.0)
    tree: str | None = key("file of a class tree: each of its groups sums to 1", None)
    spatial: float = key("over the channels of each position; read by C's GPU code only", 0.0)
    noloss: bool = key("no training loss of its own", False)


class Softmax(Layer):
    """`e^(x / temperature)` over its sum, in each group.

    Input flattened to `(batch, n)`, output `(batch, n)`. While training, gradients of later
    layers reach the input as they are. Its own loss is cross-entropy, whose cost is a sum.
    C: softmax_layer.c:forward_softmax_layer, blas.c:softmax.
    """

    Options = SoftmaxOptions
    options: SoftmaxOptions

    def __init__(self, options: SoftmaxOptions, site: Site) -> None:
        super().__init__(options, site)
        section = site.section
        if options.groups < 1:
            raise section.error(f"groups must be at least 1, got {options.groups}", "groups")
        if options.temperature == 0:
            raise section.error("temperature must not be 0", "temperature")
        if options.spatial:
            # PARITY: the CPU program ignores spatial (C: softmax_layer.c:forward_softmax_layer).
            section.warn("spatial is ignored, as in C without a GPU", "spatial")
        self.tree = read_named_tree(section, options.tree)

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        count, groups = inputs[0].size, self.options.groups
        if self.tree is not None and len(self.tree.names) > count:
            raise self.section.error(
                f"the tree {self.options.tree} has {len(self.tree.names)} classes, but the layer "
                f"before gives {count} values",
                "tree",
            )
        if self.tree is None and count % groups:
            raise self.section.error(f"groups={groups} must divide the {count} inputs", "groups")
        self.in_shape, self.out_shape = inputs[0], Shape(count, 0, 0)

    def forward(self, *inputs: Tensor) -> Tensor:
        """One softmax for each group."""
        (x,) = inputs
        if not self.training:
            return self._shares(x)
        # PARITY: backward adds what comes from above unchanged (C: backward_softmax_layer).
        with torch.no_grad():
            out = self._shares(x)
        passed: Tensor = PassOn.apply(x, out)  # type: ignore[no-untyped-call]
        return passed

    def delta(
        self, inputs: Sequence[Tensor], output: Tensor, truth: Tensor, step: Step
    ) -> Delta | None:
        """Truth minus share, unless noloss."""
        if self.options.noloss:
            return Delta(torch.zeros_like(inputs[0]), 0.0)
        masked = self.tree is not None
        direction, cost = cross_entropy(output, truth.view_as(output), masked=masked)
        return Delta(direction.view(inputs[0].shape), cost)

    def _shares(self, x: Tensor) -> Tensor:
        scores = flat(x) / self.options.temperature
        count, groups = scores.shape[1], self.options.groups
        if self.tree is None:
            return scores.view(-1, groups, count // groups).softmax(2).view(-1, count)
        # PARITY: values past the tree's classes stay 0 (C: softmax_layer.c).
        return F.pad(softmax_groups(scores, self.tree), (0, count - len(self.tree)))

    def lower(self, place: Place) -> Operation:
        """One softmax of all values, where it is that."""
        if self.tree is not None or self.options.groups > 1:
            return super().lower(place)
        return Shares(self, place, self.options.temperature)

    def row(self) -> str:
        """As softmax_layer.c:make_softmax_layer prints it."""
        return f"softmax                                        {self.in_shape.size:4d}"

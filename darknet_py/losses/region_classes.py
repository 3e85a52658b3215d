"""How a [region]'s classes are taught: one against all, or down a tree."""

from __future__ import annotations

import torch
from torch import Tensor

from darknet_py.datafile import Tree
from darknet_py.heads.region import RegionOptions
from darknet_py.losses.canvas import Canvas, Cells
from darknet_py.losses.classes import focal_factor


class RegionClasses:
    """C: region_layer.c:delta_region_class of both forks."""

    def __init__(self, options: RegionOptions, tree: Tree | None, *, keeps: bool) -> None:
        """`keeps`: without softmax, a box that has been taught keeps its other classes."""
        self.options = options
        self.tree = tree
        self.keeps = keeps and not options.softmax
        self._rivals: dict[int, Tensor] = {}

    def path(self, number: int) -> Tensor:
        """A class of the tree and those above it."""
        assert self.tree is not None
        nodes = []
        while number >= 0:
            nodes.append(number)
            number = self.tree.parents[number]
        return torch.tensor(nodes)

    def rivals(self, number: int) -> Tensor:
        """The groups along the path: all classes that one of them was chosen from."""
        assert self.tree is not None
        if number not in self._rivals:
            found: list[int] = []
            for node in self.path(number).tolist():
                first, size = self.tree.groups[self.tree.group_of[node]]
                found.extend(range(first, first + size))
            self._rivals[number] = torch.tensor(found)
        return self._rivals[number]

    def teach(
        self, canvas: Canvas, cells: Cells, numbers: Tensor, first: int, scale: Tensor | float
    ) -> None:
        """Change the classes' deltas, those from entry `first` on, and add to the figures."""
        last = first + self.options.classes
        out, delta = cells.out[:, first:last], cells.delta[:, first:last]
        canvas.add("classes", torch.ones_like(numbers))
        if self.tree is not None:
            self._climb(canvas, out, delta, numbers, scale)
            return
        index = numbers.unsqueeze(-1)
        mine = out.gather(1, index)
        wanted = torch.zeros_like(out).scatter_(1, index, 1.0)
        fresh = scale * (wanted - out)
        if self.options.focal_loss:
            fresh = fresh * focal_factor(mine)
        if self.keeps:
            told = delta[:, :1] != 0
            # PARITY: such a class is left out of the average (C: region_layer.c).
            canvas.add("class", torch.where(told, 0.0, mine))
            again = delta.scatter(1, index, fresh.gather(1, index))
            fresh = torch.where(told, again, fresh)
        else:
            canvas.add("class", mine)
        cells.delta[:, first:last] = fresh

    def _climb(
        self, canvas: Canvas, out: Tensor, delta: Tensor, numbers: Tensor, scale: Tensor | float
    ) -> None:
        for number in sorted(set(numbers.tolist())):
            rows = (numbers == number).nonzero()
            rivals, path = self.rivals(number).to(rows.device), self.path(number).to(rows.device)
            factor = scale[rows[:, 0]] if isinstance(scale, Tensor) else scale
            delta[rows, rivals] = factor * (0 - out[rows, rivals])
            delta[rows, path] = factor * (1 - out[rows, path])
            canvas.add("class", out[rows, path].prod(1))

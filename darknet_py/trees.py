"""A class tree's arithmetic on tensors, without a loop over its groups, which may be thousands."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py.datafile import Tree


def softmax_groups(scores: Tensor, tree: Tree) -> Tensor:
    """A softmax over each group of the classes, which stand in the last axis.

    Groups of about the same size share one table, filled up with minus infinity.
    """
    count = len(tree)
    padded = F.pad(scores[..., :count], (0, 1), value=-math.inf)
    shares, places, start = [], [0] * count, 0
    for width, groups in _tables(tree).items():
        index = [first + i if i < size else count for first, size in groups for i in range(width)]
        table = padded[..., torch.tensor(index, device=scores.device)]
        table = table.reshape(*scores.shape[:-1], len(groups), width).softmax(-1)
        shares.append(table.flatten(-2))
        for place, node in enumerate(index, start=start):
            if node < count:
                places[node] = place
        start += len(index)
    return torch.cat(shares, -1)[..., torch.tensor(places, device=scores.device)]


def multiply_paths(shares: Tensor, tree: Tree) -> Tensor:
    """Each class's share of its group, `(..., classes)`, times those of the classes above it."""
    top = len(tree)
    parents = [top if parent < 0 else parent for parent in tree.parents]
    parents.append(top)  # past the classes stands a 1, its own parent
    padded = F.pad(shares, (0, 1), value=1.0)
    products, above = shares, parents[:-1]
    while any(parent < top for parent in above):
        products = products * padded[..., torch.tensor(above, device=shares.device)]
        above = [parents[parent] for parent in above]
    return products


def _tables(tree: Tree) -> dict[int, list[tuple[int, int]]]:
    """The groups by the power of 2 that holds them."""
    tables: dict[int, list[tuple[int, int]]] = {}
    for first, size in tree.groups:
        tables.setdefault(1 << (size - 1).bit_length(), []).append((first, size))
    return tables

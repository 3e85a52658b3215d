"""Comparing what was written with what was meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from darknet_py.convert import Options
from darknet_py.errors import DarknetError
from darknet_py.network import Network

TOLERANCE = 1e-4
"""Largest difference of an output, in parts of its largest value, but of 1 at least."""


def check_same(
    meant: Mapping[str, Tensor], written: Mapping[str, Tensor], options: Options
) -> None:
    """See that the file holds every array, bit for bit.

    Raises:
        DarknetError: it does not.
    """
    for name, tensor in meant.items():
        found = written.get(name)
        if found is None or not torch.equal(_bits(found), _bits(tensor)):
            raise DarknetError(f"the file written holds another {name}: nothing was kept")
    options.report(f"{len(meant)} arrays read back, equal bit for bit")


def check_close(
    names: Sequence[str], ours: Sequence[Tensor], theirs: Sequence[Tensor], options: Options
) -> None:
    """See that two networks' outputs are equal but for rounding.

    Raises:
        DarknetError: they are not.
    """
    for name, mine, other in zip(names, ours, theirs, strict=True):
        if mine.shape != other.shape:
            raise DarknetError(f"{name}: has shape {tuple(other.shape)}, not {tuple(mine.shape)}")
        difference, largest = float((mine - other).abs().max()), float(mine.abs().max())
        options.report(f"{name}: largest difference {difference:.2g} of values up to {largest:.2g}")
        if not difference <= TOLERANCE * max(1.0, largest):
            raise DarknetError(f"{name}: differs by {difference:.2g}: nothing was kept")


def noise(network: Network, batch: int = 1) -> Tensor:
    """An input of random values from 0 to 1, always the same."""
    shape, generator = network.image, torch.Generator().manual_seed(0)
    sides = (shape.height, shape.width) if shape.is_image else ()
    return torch.rand(batch, shape.channels, *sides, generator=generator)


def output_indices(network: Network) -> list[int]:
    """The layers whose outputs a converted network gives: the heads, or the last layer."""
    return [head.index for head in network.heads] or [network.output_index]


def _bits(tensor: Tensor) -> Tensor:
    """The tensor as integers: two nan of one payload are equal, 0 and -0 are not."""
    kinds = {torch.float32: torch.int32, torch.float16: torch.int16}
    return tensor.detach().cpu().contiguous().view(kinds.get(tensor.dtype, tensor.dtype))

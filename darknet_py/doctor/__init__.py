"""Checks that a cfg, its weights and its data file agree, and says what to mend."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator

from darknet_py.cfg import read_cfg
from darknet_py.dialect import get_dialect
from darknet_py.doctor.data import check_data
from darknet_py.doctor.finding import Finding, split
from darknet_py.doctor.sections import check_sections, dialect_reason
from darknet_py.doctor.weights import check_weights
from darknet_py.errors import DarknetError, DarknetWarning
from darknet_py.network import Network, find_dialect

__all__ = ["Finding", "check_weights", "dialect_reason", "examine"]


def examine(
    cfg: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    *,
    dialect: str | None = None,
) -> list[Finding]:
    """Everything that is worth saying on a cfg, and on its weights and data file where given.

    No check stops at the first mistake; a cfg from which no network can be built is not
    compared with its weights.
    """
    name = os.fspath(cfg)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DarknetWarning)
        found = list(_examine(cfg, weights, data, dialect))
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        found.append(Finding("warning", *split(message, name)))
    return found


def _examine(
    cfg: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None,
    data: str | os.PathLike[str] | None,
    dialect: str | None,
) -> Iterator[Finding]:
    name = os.fspath(cfg)
    network: Network | None = None
    try:
        sections = read_cfg(cfg)
        kind = find_dialect(sections) if dialect is None else get_dialect(dialect)
    except DarknetError as error:
        yield Finding("error", *split(str(error), name))
        return
    why = dialect_reason(sections) if dialect is None else "as asked for"
    yield Finding("note", name, f"dialect {kind.name}: {why}")
    seen = list(check_sections(sections))
    yield from seen
    try:
        network = Network(sections, kind, initialize=False)
    except DarknetError as error:
        finding = Finding("error", *split(str(error), name))
        if all(other.where != finding.where for other in seen):  # else it is said already
            yield finding
    if network is not None:
        yield from _check_strides(network, name)
    if weights is not None and network is not None:
        yield from check_weights(network, weights)
    if data is not None:
        yield from check_data(data, sections, network)


def _check_strides(network: Network, name: str) -> Iterator[Finding]:
    for head in network.heads:
        for side, length, cells in (
            ("width", network.image.width, head.in_shape.width),
            ("height", network.image.height, head.in_shape.height),
        ):
            if cells and length % cells:
                stride = 2 ** round(math.log2(length / cells))
                less = max(length // stride, 1) * stride
                yield Finding(
                    "warning",
                    f"{name}: [net]",
                    f"{side}={length} is no multiple of "
                    f"{stride}, the boxes of layer {head.index} will be off",
                    f"set {side}={less} or {side}={less + stride}",
                )

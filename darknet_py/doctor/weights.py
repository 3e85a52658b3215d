"""Whether a .weights file is one of a network, and if not, of which other it may be."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from darknet_py.cfg import Section
from darknet_py.dialect import DIALECTS, Dialect
from darknet_py.doctor.finding import Finding, split
from darknet_py.doctor.sections import classes_of, filters_of
from darknet_py.errors import DarknetError, DarknetWarning
from darknet_py.layers import Layer
from darknet_py.network import Network
from darknet_py.weights import count_floats, read_weights

MOST_CLASSES = 30000
"""More than any network in use has: a higher answer is a coincidence."""


def check_weights(network: Network, path: str | os.PathLike[str]) -> list[Finding]:
    """Whether a .weights file is one of this network; if not, of which other it may be."""
    name = os.fspath(path)
    try:
        header, values = read_weights(path)
    except DarknetError as error:
        return [Finding("error", *split(str(error), name))]
    needed, count = count_floats(network), values.size
    version = f"version {header.major}.{header.minor}.{header.revision}"
    found = [
        Finding(
            "note",
            name,
            f"header of {header.size} bytes, {version}, "
            f"{header.seen} images seen in training; {count} floats",
        )
    ]
    if (os.path.getsize(path) - header.size) % 4:
        found.append(
            Finding(
                "warning",
                name,
                "its size is no whole number of floats",
                "it was cut off or changed on the way: fetch it again",
            )
        )
    if count == needed:
        found.append(Finding("note", name, f"fits: the cfg needs {needed} floats"))
    else:
        found.append(_misfit(network, name, count, needed))
    if not np.isfinite(values).all():
        first = int(np.flatnonzero(~np.isfinite(values))[0])
        found.append(
            Finding(
                "error",
                name,
                f"float {first} is no finite number",
                "the training diverged, or the file is damaged",
            )
        )
    return found


def _misfit(network: Network, name: str, count: int, needed: int) -> Finding:
    what = f"holds {count} floats, the cfg needs {needed}"
    start = 0
    for index, layer in enumerate(network):
        size = sum(tensor.numel() for _, tensor in layer.arrays())
        if count == start and size and start:
            return Finding(
                "warning",
                name,
                f"{what}: it is cut off before layer {index}, which is right to start training "
                "from",
                "to run it, take the whole file",
            )
        start += size
    for text, mend in (*_other_dialect(network, count), *_other_classes(network, count - needed)):
        return Finding("error", name, f"{what}: {text}", mend)
    mend = "take the cfg that these weights were trained with"
    if count < needed:
        mend += ", or fetch them again if the download broke off"
    return Finding("error", name, what, mend)


def _other_classes(network: Network, difference: int) -> Iterator[tuple[str, str]]:
    """The count of classes with which the weights would fit."""
    before = [network[head.index - 1] for head in network.heads]
    per_class = 0
    for head, layer in zip(network.heads, before, strict=True):
        classes = classes_of(head.section)
        one, other = (filters_of(head.section, n) for n in (classes, classes + 1))
        if one is None or other is None:
            return
        per_class += (other - one) * _per_filter(layer)
    if before and per_class and difference % per_class == 0:
        now = classes_of(network.heads[0].section)
        classes = now + difference // per_class
        if 0 < classes < MOST_CLASSES:
            sizes = dict.fromkeys(filters_of(h.section, classes) for h in network.heads)
            yield (
                f"they fit {classes} classes, the cfg has {now}",
                f"set classes={classes} in every head, and filters="
                f"{' or '.join(map(str, sizes))} before each",
            )
    if not before:
        last = [layer for layer in network if any(True for _ in layer.arrays())]
        outputs = last[-1].out_shape.channels if last else 0
        slope = _per_filter(last[-1]) if last else 0
        if slope and difference % slope == 0 and 0 < outputs + difference // slope < MOST_CLASSES:
            yield (
                f"they fit {outputs + difference // slope} classes, the cfg has {outputs}",
                "take the cfg of that many classes",
            )


def _per_filter(layer: Layer) -> int:
    """How many floats one more output channel takes."""
    return sum(tensor.numel() // len(tensor) for _, tensor in layer.arrays())


def _other_dialect(network: Network, count: int) -> Iterator[tuple[str, str]]:
    for other in DIALECTS.values():
        if other is not network.dialect and _fits(network.sections, other, count):
            yield f"they fit in dialect {other.name}", f"give -dialect {other.name}"


def _fits(sections: Sequence[Section], dialect: Dialect, count: int) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DarknetWarning)
        try:
            return count_floats(Network(sections, dialect, initialize=False)) == count
        except DarknetError:
            return False

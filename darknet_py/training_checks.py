"""What is wrong with a training before it starts: batch, classes, names, as one line each."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from darknet_py.cfg import Section
from darknet_py.datafile import DataFile, read_names
from darknet_py.errors import DarknetWarning, DataError
from darknet_py.network import Network


def check_batch(network: Network) -> None:
    """Check [net]'s batch and subdivisions.

    Raises:
        CfgError: they make no mini-batch, or a detector of AlexeyAB's would learn from single
            images, as it refuses to.
    """
    head, batch, parts = network.sections[0], network.net.batch, network.net.subdivisions
    for name, value in (("batch", batch), ("subdivisions", parts)):
        if value < 1:
            raise head.error(f"{name} must be at least 1, got {value}", name)
    if parts > batch:
        raise head.error(
            f"subdivisions={parts} is more than batch={batch}: a mini-batch would have no image",
            "subdivisions",
        )
    if batch % parts:
        head.warn(
            f"batch={batch} is no multiple of subdivisions={parts}: an iteration has "
            f"{batch // parts * parts} images",
            "subdivisions",
        )
    if batch == 1 and network.dialect.name == "alexeyab" and network.heads:
        raise head.error(
            "batch=1 is for detection: set batch=64, subdivisions=16 to train", "batch"
        )
    if network.net.time_steps < 1:
        steps = network.net.time_steps
        raise head.error(f"time_steps must be at least 1, got {steps}", "time_steps")


def check_detector(network: Network, data: DataFile, names_needed: bool) -> list[str] | None:
    """Check that .data file, names and cfg speak of the same classes; gives the names.

    Args:
        network: the cfg's.
        data: the .data file.
        names_needed: whether a list of names that cannot be opened is an error, or passed over.

    Raises:
        DataError: they do not.
        CfgError: the list of names cannot be opened.
    """
    heads: Sequence[Any] = network.heads
    if not heads:
        return None
    sections: list[Section] = [head.section for head in heads]
    counts = [head.classes for head in heads]
    for section, count in zip(sections, counts, strict=True):
        if count != counts[0]:
            raise section.error(
                f"classes={count}, but [{sections[0].type}] in line {sections[0].line} has "
                f"classes={counts[0]}",
                "classes",
            )
    if any(getattr(head.options, "map", None) for head in heads):
        return None
    where = f"{sections[0].path}:{sections[0].line}: [{sections[0].type}] has classes={counts[0]}"
    given = data.number("classes", counts[0])
    if given != counts[0]:
        raise DataError(f"{data.path}: classes={given}, but {where}")
    path = data.find("names")
    if path is None or (not path.is_file() and not names_needed):
        if path is not None:
            warnings.warn(f"{path}: there is no such list of names", DarknetWarning, stacklevel=2)
        return None
    names = read_names(Path(path))
    if len(names) != counts[0]:
        raise DataError(f"{path}: holds {len(names)} names, but {where}")
    return names

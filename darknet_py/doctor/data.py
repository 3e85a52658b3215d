"""Whether a .data file and its names agree with a network."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from darknet_py.cfg import Section
from darknet_py.datafile import DataFile, read_data, read_names
from darknet_py.doctor.finding import Finding, split
from darknet_py.doctor.sections import HEADS, classes_of
from darknet_py.errors import DarknetError
from darknet_py.network import Network


def check_data(
    path: str | os.PathLike[str], sections: Sequence[Section], network: Network | None
) -> Iterator[Finding]:
    """The .data file: classes, names, lists and folders."""
    name = os.fspath(path)
    try:
        data = read_data(path)
        classes = data.number("classes", 0)
    except DarknetError as error:
        yield Finding("error", *split(str(error), name))
        return
    heads = [section for section in sections if section.type in HEADS]
    wanted = classes_of(heads[-1]) if heads else 0
    if not heads and network is not None:
        wanted = network[network.output_index].out_shape.size
    if classes and wanted and classes != wanted:
        yield Finding(
            "error",
            name,
            f"classes={classes}, the cfg has {wanted}",
            f"set classes={wanted} if the names are right, else mend the cfg",
        )
    yield from _check_names(data, wanted, bool(heads))
    for key, use in (("train", "training"), ("valid", "validation"), ("backup", "training")):
        file = data.find(key)
        folder = Path(data[key]) if key == "backup" and key in data else None
        if (folder is not None and not folder.is_dir()) or (
            folder is None and file is not None and not file.is_file()
        ):
            yield Finding(
                "warning",
                name,
                f"{key}={data[key]} does not exist",
                f"{use} needs it; a path counts from the working directory",
            )


def _check_names(data: DataFile, wanted: int, is_detector: bool) -> Iterator[Finding]:
    file = data.find("names") or data.find("labels")
    if file is None:
        yield Finding("error", data.path, "has no line names=...", "add one with the list's path")
        return
    try:
        count = len(read_names(file))
    except DarknetError as error:
        yield Finding("error", *split(str(error), data.path))
        return
    if wanted and (count < wanted or (is_detector and count > wanted)):
        yield Finding(
            "error",
            str(file),
            f"has {count} names, the cfg {wanted} classes",
            "one line a class, in the order of training",
        )
    else:
        yield Finding("note", str(file), f"{count} names")

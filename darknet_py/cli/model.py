"""What the commands that run a network share: its files, names, device, and what loading prints."""

from __future__ import annotations

import sys
import warnings
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.datafile import DataFile, read_data, read_names
from darknet_py.errors import DarknetError, DarknetWarning
from darknet_py.files import packaged

if TYPE_CHECKING:
    from darknet_py.network import Network

DETECTOR_NAMES = {
    20: "data/voc.names",
    80: "data/coco.names",
    601: "data/openimages.names",
    9418: "data/9k.names",
}
CLASSIFIER_NAMES = {
    1000: "data/imagenet.shortnames.list",
    9418: "data/9k.names",
    21842: "data/imagenet.shortnames.list",
}
"""The packaged names of that many classes."""


def resolve(name: str) -> str:
    """A file by its name, or the one of that name that the package brings."""
    if Path(name).exists():
        return name
    found = packaged(name)
    return name if found is None else str(found)


def choose_device(args: Namespace) -> str | None:
    """The torch device that the flags ask for; None where they say nothing.

    A GPU is asked for by its number, and where there is none the CPU does it, as in a C
    program that was built without.
    """
    if args.device:
        return str(args.device)
    if args.nogpu:
        return "cpu"
    if args.i is None and args.gpus is None:
        return None
    import torch

    first = str(args.i) if args.i is not None else args.gpus.split(",")[0]
    if not first.isdigit():
        return "cpu"  # C: -i -1
    return f"cuda:{first}" if torch.cuda.is_available() else "cpu"


def detector_names(args: Namespace, data: DataFile | None, classes: int) -> list[str]:
    """The classes' names, from -names, the .data file, or the list that has as many."""
    path = _named(args, data)
    names = read_names(path) if path is not None else []
    known = packaged(DETECTOR_NAMES.get(classes, ""))
    if len(names) != classes and known is not None and not _is_asked_for(args):
        return read_names(known)
    return names if len(names) == classes else _numbers(path, len(names), classes)


def classifier_names(args: Namespace, data: DataFile | None, classes: int) -> list[str]:
    """The same for a classifier; of a longer list the first names count, as in C."""
    path = _named(args, data)
    if not _is_asked_for(args):
        known = packaged(CLASSIFIER_NAMES.get(classes, ""))
        path = path if path is not None and known is not None else known
    names = read_names(path) if path is not None else []
    return names[:classes] if len(names) >= classes > 0 else _numbers(path, len(names), classes)


def _is_asked_for(args: Namespace) -> bool:
    """Whether the line itself says where the names are."""
    return bool(args.names) or "data" in args


def open_data(args: Namespace, default: str) -> DataFile | None:
    """The .data file of the line; a command without one takes `default` from where it stands.

    Raises:
        DarknetError: the file that the line names cannot be read.
    """
    if "data" in args:
        return None if args.data is None else read_data(resolve(args.data))
    return read_data(default) if Path(default).is_file() else None


def print_loading(network: Network, args: Namespace) -> None:
    """The table of layers and the line on the weights, on stderr, as C prints them."""
    if not args.quiet:
        print_table(network)
        print_loaded(network, args.weights)


def print_table(network: Network) -> None:
    """The table of layers, on stderr."""
    from darknet_py.table import table

    for line in table(network):
        print(line, file=sys.stderr)


def print_loaded(network: Network, weights: str) -> None:
    """What C prints about a weights file that is loaded, on stderr."""
    dialect = network.dialect.name
    print_header(dialect, (*network.version, network.seen), len(network), weights)


def print_header(
    dialect: str, header: tuple[int, int, int, int], layers: int, weights: str
) -> None:
    """The same by a file's header and the number of layers."""
    major, minor, _, seen = header
    loading = f"Loading weights from {weights}..."
    if dialect == "pjreddie":
        print(f"{loading}Done!", file=sys.stderr)
        return
    wide = major * 10 + minor >= 2
    print(
        f"{loading}\n seen {64 if wide else 32}, trained: {seen // 1000} K-images "
        f"({seen // 64000} Kilo-batches_64) \n"
        f"Done! Loaded {layers} layers from weights-file ",
        file=sys.stderr,
    )


def _named(args: Namespace, data: DataFile | None) -> Path | None:
    """The file of names that the line or the .data file says."""
    if args.names:
        return Path(resolve(args.names))
    if data is None:
        return None
    named = data.find("names") or data.find("labels")
    if named is None:
        raise DarknetError(f"{data.path}: has no line names=... that says where the names are")
    return Path(resolve(str(named)))


def _numbers(path: Path | None, count: int, classes: int) -> list[str]:
    why = f"there is no list of {classes} names (-names FILE gives one)"
    if path is not None:
        why = f"{path}: has {count} names, the network {classes} classes"
    warnings.warn(f"{why}; the classes are numbered", DarknetWarning, stacklevel=2)
    return [str(number) for number in range(classes)]

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

NAMES_BY_COUNT = {20: "data/voc.names", 80: "data/coco.names"}
IMAGENET_NAMES = "data/imagenet.shortnames.list"


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
    if path is None:
        path = packaged(NAMES_BY_COUNT.get(classes, "data/none"))
    if path is None:
        return _numbers(classes, f"there is no list of {classes} names; -names FILE gives one")
    names = read_names(path)
    if len(names) == classes:
        return names
    return _numbers(classes, f"{path}: has {len(names)} names, the network {classes} classes")


def classifier_names(args: Namespace, data: DataFile | None, classes: int) -> list[str]:
    """The same for a classifier; of a longer list the first names count, as in C."""
    path = _named(args, data) or packaged(IMAGENET_NAMES)
    if path is None:
        return _numbers(classes, f"there is no list of {classes} names; -names FILE gives one")
    names = read_names(path)
    is_imagenet = not args.names and "imagenet" in path.name
    if is_imagenet and classes not in (1000, len(names)):
        return _numbers(classes, f"{path}: names ImageNet, the network has {classes} classes")
    if len(names) < classes:
        return _numbers(classes, f"{path}: has {len(names)} names, the network {classes} classes")
    return names[:classes]


def open_data(args: Namespace, default: str) -> DataFile | None:
    """The .data file of the line; a command without one takes `default` from where it stands.

    Raises:
        DarknetError: the file that the line names cannot be read.
    """
    if "data" in args:
        return read_data(resolve(args.data))
    return read_data(default) if Path(default).is_file() else None


def print_loading(network: Network, args: Namespace) -> None:
    """The table of layers and the line on the weights, on stderr, as C prints them."""
    if args.quiet:
        return
    from darknet_py.table import table

    for line in table(network):
        print(line, file=sys.stderr)
    loading = f"Loading weights from {args.weights}..."
    if network.dialect.name == "pjreddie":
        print(f"{loading}Done!", file=sys.stderr)
        return
    wide = network.version[0] * 10 + network.version[1] >= 2
    print(
        f"{loading}\n seen {64 if wide else 32}, trained: {network.seen // 1000} K-images "
        f"({network.seen // 64000} Kilo-batches_64) \n"
        f"Done! Loaded {len(network)} layers from weights-file ",
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


def _numbers(classes: int, why: str) -> list[str]:
    warnings.warn(f"{why}; the classes are numbered", DarknetWarning, stacklevel=2)
    return [str(number) for number in range(classes)]

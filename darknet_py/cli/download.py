"""`download`: official models, by their names."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Argument, Command, Flag, UsageError, file_name

if TYPE_CHECKING:
    from darknet_py.download import Model


def _download(args: Namespace) -> int:
    from darknet_py.download import find_model

    if args.list:
        _list()
        return 0
    if not args.model:
        raise UsageError("download needs a MODEL; darknet-py download --list shows all")
    folder = None if args.out is None else Path(args.out)
    for model in [find_model(name) for name in args.model]:
        print(fetch_with_bar(model, folder))
    return 0


def fetch_with_bar(model: Model, folder: Path | None = None) -> Path:
    """The weights of a model, with a bar at the bottom of the terminal while they arrive."""
    from darknet_py.download import fetch

    if not sys.stderr.isatty():
        return fetch(model, folder)
    try:
        return fetch(model, folder, lambda done, total: _draw(model.weights, done, total))
    finally:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def use_name(args: Namespace) -> None:
    """Where the line names a model in place of cfg and weights, get it and name its files."""
    from darknet_py.download import find_model, locate

    fetch_with_bar(find_model(args.cfg))
    files = locate(args.cfg)
    args.cfg, args.weights = str(files.cfg), str(files.weights)
    if not args.names and getattr(args, "data", None) is None and files.names is not None:
        args.names = str(files.names)


def _draw(name: str, done: int, total: int) -> None:
    bar = "#" * (30 * done // total)
    text = f"\r[{bar:<30}] {name} {done / 1e6:.1f}/{total / 1e6:.1f} MB"
    print(text, end="", file=sys.stderr, flush=True)


def _list() -> None:
    from darknet_py.cache import cache_folder
    from darknet_py.download import models

    folder = cache_folder()
    for model in models().values():
        kind = "size only" if model.hash is None else model.hash.partition(":")[0]
        here = "here" if (folder / model.weights).is_file() else ""
        size = f"{model.bytes / 1e6:.1f} MB"
        print(f"{model.name:<28}{model.task:<10}{size:>10}  {kind:<10}{here}".rstrip())


DOWNLOAD = Command(
    "download",
    "Get the weights of official models, and print where they are. They are checked and kept in a "
    "cache; what was there before is not loaded again, what broke off goes on.",
    (Argument("model", "names from --list, such as yolov4-tiny", required=False, many=True),),
    (
        Flag("list", "print the names, tasks, sizes, what they are checked by, and which are here"),
        Flag("out", "the folder to write to (default: the cache)", file_name),
    ),
    _download,
)

"""The lists of pictures that a .data file names."""

from __future__ import annotations

from pathlib import Path

from darknet_py.datafile import DataFile, read_list
from darknet_py.errors import DarknetError


def list_pictures(data: DataFile, *keys: str) -> list[str]:
    """The pictures in the list that the first of `keys` with a value names.

    A path that does not lead from here is taken from the list's folder.

    Raises:
        DarknetError: the .data file names no such list, or it is empty.
    """
    key = next((key for key in keys if key in data), keys[0])
    path = data.find(key)
    if path is None:
        raise DarknetError(f"{data.path}: has no line {key}=... that names a list of pictures")
    return read_pictures(path)


def read_pictures(path: str | Path) -> list[str]:
    """The pictures in a list.

    Raises:
        DarknetError: it cannot be read, or is empty.
    """
    folder = Path(path).resolve().parent
    names = [line.strip() for line in read_list(path)]
    if not names:
        raise DarknetError(f"{path}: names no pictures")
    return [
        str(folder / name) if not Path(name).exists() and (folder / name).exists() else name
        for name in names
    ]

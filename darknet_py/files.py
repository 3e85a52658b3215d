"""The cfg and data files that come with the package, such as `cfg/tiny.cfg`, by their names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

FOLDERS = ("cfg", "data")
"""The folders that hold them, at the top of the checkout and in the wheel's `_files`."""


def packaged(name: str) -> Path | None:
    """The packaged file called `name` (`cfg/tiny.cfg`), or None if there is none.

    An installed wheel keeps the files inside the package, a checkout beside it.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if len(parts) < 2 or parts[0] not in FOLDERS or ".." in parts or "\0" in name:
        return None
    paths = [root.joinpath(*parts) for root in _roots()]
    return next((path for path in paths if path.is_file()), None)


def packaged_names(folder: str) -> list[str]:
    """The names that `packaged` knows in `folder` ("cfg" or "data"), sorted."""
    names: set[str] = set()
    for root in _roots():
        base = root / folder
        if folder in FOLDERS and base.is_dir():
            names.update(p.relative_to(root).as_posix() for p in base.rglob("*") if p.is_file())
    return sorted(names)


def _roots() -> list[Path]:
    package = Path(__file__).resolve().parent
    roots = [package / "_files"]
    if (package.parent / "pyproject.toml").is_file():  # else it is site-packages
        roots.append(package.parent)
    return roots

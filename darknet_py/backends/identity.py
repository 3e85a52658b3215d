"""What tells one converted model from another: its files' contents, and what made it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darknet_py import __version__
from darknet_py.backends.store import recall, remember
from darknet_py.cfg import format_cfg, read_cfg, read_files
from darknet_py.errors import DarknetWarning, WeightsError

_PACKAGE = Path(__file__).parent.parent
_YOUNG = 2.0
"""Seconds for which a file's time may not show that it was written again."""


@dataclass(frozen=True)
class Source:
    """What is converted, and how."""

    cfg: str
    weights: str | None
    """None: `cfg` is a model that carries its cfg."""
    dialect: str | None = None
    """None: found from the cfg."""
    half: bool = False
    int8: bool = False
    calibration: str | None = None
    """The folder of pictures for `int8`."""

    def key(self, *more: Any) -> str:
        """A name for what comes of it, with `more` that it depends on.

        Raises:
            DarknetError: a file cannot be read.
        """
        parts: list[Any] = [__version__, code_state(), self.dialect, self.half, self.int8, *more]
        if self.weights is None:
            parts.append(file_digest(self.cfg))
        else:
            parts += [*_cfg_digests(self.cfg), file_digest(self.weights)]
        if self.int8:
            parts.append(_folder(self.calibration))
        return digest(json.dumps(parts).encode())


def digest(data: bytes) -> str:
    """A name that no other data have."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def file_digest(path: str) -> str:
    """The digest of a file's contents, remembered for as long as the file is not touched.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        facts = os.stat(path)
        stamp = [
            os.path.realpath(path),
            facts.st_size,
            facts.st_mtime_ns,
            facts.st_ctime_ns,
            facts.st_ino,
        ]
        key = digest(json.dumps(stamp).encode("utf-8", "surrogateescape"))
        known = recall("digests", key)
        if isinstance(known, str):
            return known
        hasher = hashlib.blake2b(digest_size=16)
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                hasher.update(chunk)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WeightsError(f"{path}: cannot be opened: {reason}") from None
    if time.time() - max(facts.st_mtime, facts.st_ctime) > _YOUNG:
        remember("digests", key, hasher.hexdigest())
    return hasher.hexdigest()


def code_state() -> list[list[Any]]:
    """The state of this package's own files: in a checkout the version stays while they change."""
    files = (path for ending in ("py", "h", "cpp") for path in _PACKAGE.rglob(f"*.{ending}"))
    facts = [(str(path), path.stat()) for path in files]
    return sorted([name, f.st_size, f.st_mtime_ns] for name, f in facts)


def versions(packages: Iterable[str]) -> list[str | None]:
    """The versions of packages, without importing them; None: not installed."""
    return [_version(package) for package in packages]


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            names = [line for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].partition(":")[2].strip() if names else platform.processor()


def _version(package: str) -> str | None:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    prefix = f"{package}-"
    site = Path(spec.origin).parent.parent
    try:
        found = [name for name in os.listdir(site) if name.startswith(prefix)]
    except OSError:
        found = []
    infos = sorted(name for name in found if name.endswith(".dist-info"))
    return infos[-1] if infos else spec.origin


def _cfg_digests(cfg: str) -> list[str]:
    """The digests of a cfg, and of the files (trees, maps) that it names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DarknetWarning)  # the conversion gives them
        sections = read_cfg(cfg)
    texts = [cfg, format_cfg(sections), json.dumps(read_files(sections))]
    return [digest(text.encode("utf-8", "surrogateescape")) for text in texts]


def _folder(folder: str | None) -> list[Any]:
    """Name, size and time of every file in a folder."""
    if folder is None or not os.path.isdir(folder):
        return []
    with os.scandir(folder) as entries:
        facts = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    return sorted([name, f.st_size, f.st_mtime_ns] for name, f in facts)

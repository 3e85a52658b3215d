"""Kernels of our own, in C++: a wheel brings them compiled, else that is done once on a machine.

pip brings no compiler; where there is neither, or the library cannot be made, PyTorch's own kernels
run.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from darknet_py.cache import cache_folder
from darknet_py.kernels import compiler
from darknet_py.processor import find_features

CACHE = "DARKNET_PY_KERNELS"
"""The environment variable that names another folder than the user's for the library, or `off`:
none is made or used. What lies there is run: the folder is its owner's alone."""

BUILT = Path(__file__).parent / "built"
"""Where a wheel has its libraries, one for each of `compiler.LEVELS`."""


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The kernels; None: there are none for this processor, and no C++ compiler (g++, or $CXX).

    Where no wheel brought them the first call on a machine compiles, which takes ten seconds; the
    others load a file. What has failed is not tried again: FILE.failed beside the library's place
    says why.
    """
    if os.environ.get(CACHE) == "off" or not sys.platform.startswith("linux"):
        return None
    return _load_built() or _load_compiled()


def _load_built() -> ctypes.CDLL | None:
    """The wheel's library for this processor."""
    features = set(find_features().split())
    for name, (_, needed) in compiler.LEVELS.items():
        path = BUILT / f"{name}.so"
        if needed <= features and path.exists():
            try:
                found = ctypes.CDLL(str(path))
            except OSError:
                return None
            return found if found.check_kernels() else None
    return None


def _load_compiled() -> ctypes.CDLL | None:
    command = compiler.find_compiler()
    try:
        path = cache_folder(CACHE, "kernels") / f"{_key()}.so"
        failed = path.with_suffix(".failed")
        if not path.exists():
            if not command or failed.exists():
                return None
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if sys.stderr.isatty():
                message = "compiling kernels for this processor, once: ten seconds"
                sys.stderr.write(f"darknet-py: {message}\n")
            try:
                compiler.compile_library(command, compiler.NATIVE, path, check=True)
            except subprocess.SubprocessError as error:  # it would fail again
                failed.write_text(f"{error}\n{getattr(error, 'stderr', None) or ''}")
                return None
        return ctypes.CDLL(str(path))
    except OSError:
        return None


def _sources() -> list[Path]:
    return sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in (".h", ".cpp"))


def _key() -> str:
    """What the library depends on: sources, flags, $CXX, processor.

    One that was made where there was a compiler serves where there is none.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in _sources():
        digest.update(path.read_bytes())
    for text in (compiler.FLAGS, compiler.NATIVE, os.environ.get("CXX"), find_features()):
        digest.update(f"{text}\n".encode())
    return digest.hexdigest()

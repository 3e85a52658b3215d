"""Kernels of our own: C++ that is compiled once for this processor, where there is a compiler.

pip brings no compiler; without one, or where the library cannot be made, PyTorch's own kernels run.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from darknet_py.cache import cache_folder
from darknet_py.processor import find_features

CACHE = "DARKNET_PY_KERNELS"
"""The environment variable that names another folder than the user's for the library, or `off`:
none is made or used. What lies there is run: the folder is its owner's alone."""

FLAGS = [
    *("-O2", "-march=native", "-std=gnu++17", "-fopenmp", "-fPIC", "-shared"),
    *("-fno-math-errno", "-fno-trapping-math"),
]

_SECONDS = 120
"""A compiler that takes longer is stopped."""

_CHECK = "import ctypes, sys; sys.exit(not ctypes.CDLL(sys.argv[1]).check_kernels())"


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The kernels; None: there is no C++ compiler (g++, or $CXX), or it cannot do it.

    The first call on a machine compiles, which takes eight seconds; the others load a file. What
    has failed is not tried again: FILE.failed beside the library's place says why.
    """
    if os.environ.get(CACHE) == "off" or not sys.platform.startswith("linux"):
        return None
    compiler = _find_compiler()
    try:
        path = cache_folder(CACHE, "kernels") / f"{_key()}.so"
        failed = path.with_suffix(".failed")
        if not path.exists():
            if not compiler or failed.exists():
                return None
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                _compile(compiler, path)
            except subprocess.SubprocessError as error:  # it would fail again
                failed.write_text(f"{error}\n{getattr(error, 'stderr', None) or ''}")
                return None
        return ctypes.CDLL(str(path))
    except OSError:
        return None


def _find_compiler() -> list[str]:
    """The command, in words; none: empty."""
    given = os.environ.get("CXX", "").split()
    for words in [given] if given else [["g++"], ["c++"]]:
        if shutil.which(words[0]):
            return words
    return []


def _sources() -> list[Path]:
    return sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in (".h", ".cpp"))


def _key() -> str:
    """What the library depends on: sources, flags, $CXX, processor.

    One that was made where there was a compiler serves where there is none.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in _sources():
        digest.update(path.read_bytes())
    for text in (FLAGS, os.environ.get("CXX"), find_features()):
        digest.update(f"{text}\n".encode())
    return digest.hexdigest()


def _compile(compiler: list[str], path: Path) -> None:
    """Make the library; it takes its place once it is whole."""
    if sys.stderr.isatty():
        sys.stderr.write("darknet-py: compiling kernels for this processor, once: eight seconds\n")
    handle, name = tempfile.mkstemp(prefix=".", suffix=".so", dir=path.parent)
    os.close(handle)
    try:
        source = Path(__file__).parent / "kernels.cpp"
        command = [*compiler, *FLAGS, str(source), "-o", name]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)
        # in a process of its own: what this processor does not know would end it
        command = [sys.executable, "-c", _CHECK, name]
        subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)

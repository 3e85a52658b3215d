"""How kernels are compiled; standard library only, since the build of a wheel loads this."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FLAGS = [
    *("-O2", "-std=gnu++17", "-fopenmp", "-fPIC", "-shared"),
    *("-fno-math-errno", "-fno-trapping-math"),
]
NATIVE = ["-march=native"]

_V3 = frozenset(("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"))
_V4 = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
LEVELS = {
    "avx512-bf16": (["-march=x86-64-v4", "-mavx512bf16"], _V4 | {"avx512_bf16"}),
    "avx512": (["-march=x86-64-v4"], _V4),
    "avx2": (["-march=x86-64-v3"], _V3),
}
"""What a wheel brings libraries for, best first: flags, and what Linux says that such a CPU has."""

_SECONDS = 120
"""A compiler that takes longer is stopped."""

_CHECK = "import ctypes, sys; sys.exit(not ctypes.CDLL(sys.argv[1]).check_kernels())"


def find_compiler() -> list[str]:
    """The command, in words; none: empty."""
    given = os.environ.get("CXX", "").split()
    for words in [given] if given else [["g++"], ["c++"]]:
        if shutil.which(words[0]):
            return words
    return []


def has_levels() -> bool:
    """Whether this is a system that `LEVELS` are for."""
    return sys.platform.startswith("linux") and platform.machine() == "x86_64"


def compile_library(
    compiler: Sequence[str], flags: Sequence[str], path: Path, *, check: bool
) -> None:
    """Make the library; it takes its place once it is whole.

    Args:
        compiler: the command, in words.
        flags: beside `FLAGS`: for which processor.
        path: where it goes.
        check: see first whether it computes what it should, on this processor.

    Raises:
        subprocess.SubprocessError: the compiler failed, or the check did.
    """
    handle, name = tempfile.mkstemp(prefix=".", suffix=".so", dir=path.parent)
    os.close(handle)
    try:
        source = Path(__file__).parent / "kernels.cpp"
        command = [*compiler, *FLAGS, *flags, str(source), "-o", name]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)
        if check:  # in a process of its own: what this processor does not know would end it
            command = [sys.executable, "-c", _CHECK, name]
            subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)

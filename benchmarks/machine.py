"""What the figures were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from rivals import HERE, RIVALS, interpreter

FLAGS = ("avx", "avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8")


def facts() -> dict[str, str]:
    """CPU, memory, system and versions."""
    return {
        "CPU": _line("/proc/cpuinfo", "model name") or platform.processor(),
        "CPUs": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "?"),
        "flags": " ".join(f for f in FLAGS if f in _line("/proc/cpuinfo", "flags").split()),
        "memory": _line("/proc/meminfo", "MemTotal"),
        "system": platform.platform(),
        "Python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "numpy", "onnxruntime", "openvino")},
        "OpenCV of the rival": _opencv(),
        "Debian's darknet": _run("dpkg-query", "-W", "-f", "${Version}", "darknet"),
        "darknet-py": _run("git", "-C", str(HERE), "describe", "--always", "--dirty"),
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def _line(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, "")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _opencv() -> str:
    (rival,) = (rival for rival in RIVALS if rival.engine == "opencv")
    python = interpreter(rival)
    return _run(str(python), "-c", "import cv2; print(cv2.__version__)") if python else ""


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return "not installed"
    return done.stdout.strip() or "not installed"

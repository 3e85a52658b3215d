"""What the processor can do."""

from __future__ import annotations

import platform
from pathlib import Path


def find_features() -> str:
    """The processor's model and instructions, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    found = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return " ".join(sorted(found))

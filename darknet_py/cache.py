"""Where files lie that can be made, or downloaded, again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CACHE = "DARKNET_PY_CACHE"
"""The environment variable that names another folder than the system's."""


def cache_folder(variable: str = CACHE, part: str = "") -> Path:
    r"""The folder that the environment's `variable` names, or `part` of the system's for caches.

    That is `$XDG_CACHE_HOME/darknet-py`, `~/.cache/darknet-py`, `~/Library/Caches/darknet-py`, or
    `%LOCALAPPDATA%\darknet-py\Cache`.
    """
    given = os.environ.get(variable)
    return Path(given) if given else _system() / part


def _system() -> Path:
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "darknet-py"
    if os.name == "nt" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "darknet-py" / "Cache"
    home = Path.home()
    mac = sys.platform == "darwin"
    return (home / "Library/Caches" if mac else home / ".cache") / "darknet-py"

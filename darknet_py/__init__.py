"""darknet_py: every Darknet network in Python, with the C program's own numbers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darknet_py.errors import CfgError, DarknetError, DarknetWarning, ImageError, WeightsError
    from darknet_py.network import Network
    from darknet_py.weights import load_weights, save_weights

__version__ = "0.1.0"

_HOMES = {
    "CfgError": "errors",
    "DarknetError": "errors",
    "DarknetWarning": "errors",
    "ImageError": "errors",
    "WeightsError": "errors",
    "Network": "network",
    "load_weights": "weights",
    "save_weights": "weights",
}

__all__ = [
    "CfgError",
    "DarknetError",
    "DarknetWarning",
    "ImageError",
    "Network",
    "WeightsError",
    "load_weights",
    "save_weights",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `import darknet_py` loads no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"darknet_py.{_HOMES[name]}"), name)

"""darknet_py: every Darknet network in Python, with the C program's own numbers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darknet_py.classifier import Classifier
    from darknet_py.detector import Detector
    from darknet_py.errors import CfgError, DarknetError, DarknetWarning, ImageError, WeightsError
    from darknet_py.network import Network
    from darknet_py.results import Box, Classification, Detection
    from darknet_py.weights import load_weights, save_weights

__version__ = "0.1.0"

_HOMES = {
    "Box": "results",
    "CfgError": "errors",
    "Classification": "results",
    "Classifier": "classifier",
    "DarknetError": "errors",
    "DarknetWarning": "errors",
    "Detection": "results",
    "Detector": "detector",
    "ImageError": "errors",
    "Network": "network",
    "WeightsError": "errors",
    "load_weights": "weights",
    "save_weights": "weights",
}

__all__ = [
    "Box",
    "CfgError",
    "Classification",
    "Classifier",
    "DarknetError",
    "DarknetWarning",
    "Detection",
    "Detector",
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


def __dir__() -> list[str]:
    """The public names, those not yet imported too."""
    return sorted({*globals(), *__all__})

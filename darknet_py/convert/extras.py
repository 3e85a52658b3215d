"""Packages that only some conversions need: how they are imported, and what to do without."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from darknet_py.errors import DarknetError


class MissingExtra(DarknetError):
    """A package that is not installed; the message holds the pip command."""


def extra(package: str, group: str | None = None) -> ModuleType:
    """The module `package`, of the optional dependencies `group` (default: of the same name).

    >>> onnx = extra("onnx")
    >>> extra("nncf", "openvino")

    Raises:
        MissingExtra: it is not installed, or does not run here.
    """
    top = package.partition(".")[0]
    command = f"pip install 'darknet-py[{group or top}]'"
    if importlib.util.find_spec(top) is None:
        raise MissingExtra(f"needs the package {top}: {command}")
    try:
        return importlib.import_module(package)
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise MissingExtra(f"the package {top} does not load ({reason}): {command}") from None

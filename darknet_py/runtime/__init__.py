"""Running converted models, .onnx and .xml: no module here needs torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.errors import DarknetError

if TYPE_CHECKING:
    from darknet_py.runtime.model import Model

SUFFIXES = (".onnx", ".xml")
"""The endings of the files that `open_model` reads."""


def open_model(path: str | os.PathLike[str], device: str | None = None) -> Model:
    """A converted model, ready to run: .onnx by onnxruntime, .xml by OpenVINO.

    Args:
        path: as `darknet-py convert` wrote it.
        device: "cpu", or another that the library knows; None: a GPU, where onnxruntime has one.

    Raises:
        DarknetError: the file is wrong, or the library is not installed.
    """
    name = os.fspath(path)
    if Path(name).suffix.lower() not in SUFFIXES:
        raise DarknetError(f"{name}: models that run here end in {' or '.join(SUFFIXES)}")
    try:
        with open(name, "rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise DarknetError(f"{name}: cannot be opened: {error.strerror}") from None
    if empty:
        raise DarknetError(f"{name}: is empty")
    if name.lower().endswith(".onnx"):
        from darknet_py.runtime.onnx import OnnxModel

        return OnnxModel(name, device)
    from darknet_py.runtime.openvino import OpenVinoModel

    return OpenVinoModel(name, device)

"""Networks converted for onnxruntime and OpenVINO, once, and opened from where they are kept."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darknet_py.backends.identity import Source, versions
from darknet_py.backends.store import drop_entry, find_entry, make_entry
from darknet_py.errors import DarknetError, DarknetWarning

if TYPE_CHECKING:
    from darknet_py.runtime.model import Model

FORMATS = {"onnxruntime": "onnx", "openvino": "openvino"}
"""What each library other than torch takes, of `convert.FORMATS`."""
PACKAGES = {
    "torch": ("torch",),
    "onnxruntime": ("onnxruntime", "onnx", "onnxscript", "torch"),
    "openvino": ("openvino", "nncf", "onnx", "onnxscript", "torch"),
}
"""On whose versions a conversion depends."""

Say = Callable[[str], None]


def open_cached(
    source: Source,
    backend: str,
    device: str | None = None,
    say: Say = lambda line: None,
) -> tuple[Model, dict[str, Any]]:
    """A network in the hands of onnxruntime or OpenVINO, converted once, and what is known of it.

    The second has `table`, the lines that C prints about the layers, and `layers`, their number.

    Args:
        source: the network.
        backend: "onnxruntime" or "openvino".
        device: see `runtime.open_model`.
        say: takes each line that tells what is done, if anything is.

    Raises:
        DarknetError: a file is wrong, a package is missing, or the network cannot be converted.
    """
    _check(source, backend)
    half = source.half
    stored = replace(source, half=False)  # 16 bits are a matter of running, not of the file
    key = stored.key(backend, *versions(PACKAGES[backend]))
    found = find_entry(key)
    if found is not None:
        try:
            model = _open(found[0], backend, device, half)
        except DarknetError:  # damaged, though as long as it was
            drop_entry(key)
        else:
            for message in found[1].get("warnings", ()):
                warnings.warn(message, DarknetWarning, stacklevel=3)
            return model, found[1]
    say(f"Converting {source.weights or source.cfg} for {backend}, once ...")
    folder, about = make_entry(key, lambda folder: _convert(stored, backend, folder, say))
    return _open(folder, backend, device, half), about


def _check(source: Source, backend: str) -> None:
    if backend not in FORMATS:
        known = ", ".join(("torch", *FORMATS, "auto"))
        raise DarknetError(f"unknown backend {backend!r}: one of {known}")
    if source.half and source.int8:
        raise DarknetError("half and int8 exclude each other")
    if source.half and backend == "onnxruntime":
        raise DarknetError("half: onnxruntime has no 16 bits here: take openvino or torch")
    if source.int8 and source.calibration is None:
        raise DarknetError("int8 needs a folder of pictures to calibrate on: -calibration FOLDER")


def _open(folder: Path, backend: str, device: str | None, half: bool) -> Model:
    if backend == "onnxruntime":
        from darknet_py.runtime.onnx import OnnxModel

        return OnnxModel(os.fspath(folder / "model.onnx"), device)
    from darknet_py.runtime.openvino import OpenVinoModel

    path = os.fspath(folder / "model.xml")
    return OpenVinoModel(
        path, device, half=half, cache=os.fspath(folder.parent.parent / "openvino")
    )


def _convert(source: Source, backend: str, folder: Path, say: Say) -> dict[str, Any]:
    from darknet_py.convert import Options, convert_network
    from darknet_py.convert.source import read_source
    from darknet_py.table import table

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", DarknetWarning)
        network, names = read_source(source.cfg, source.weights, source.dialect)
        options = Options(head="raw", int8=source.int8, calibration=source.calibration, report=say)
        suffix = "onnx" if backend == "onnxruntime" else "xml"
        convert_network(
            network, FORMATS[backend], folder / f"model.{suffix}", names=names, options=options
        )
    messages = [str(warning.message) for warning in caught]
    for message in messages:
        warnings.warn(message, DarknetWarning, stacklevel=4)
    return {
        "table": list(table(network)),
        "layers": len(network),
        "warnings": messages,
        "cfg": source.cfg,
        "weights": source.weights,
    }

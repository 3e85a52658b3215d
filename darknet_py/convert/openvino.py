"""OpenVINO: the .xml and .bin of the network's ONNX, in 32, 16 or 8 bits."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darknet_py.convert import onnx as to_onnx
from darknet_py.convert.extras import extra
from darknet_py.errors import DarknetError
from darknet_py.network import Network
from darknet_py.runtime.openvino import SECTION

if TYPE_CHECKING:
    from darknet_py.convert import Options
    from darknet_py.metadata import Metadata


def write(network: Network, metadata: Metadata, path: Path, options: Options) -> None:
    """Write `network` as `path` and a .bin beside it.

    With `half` the weights are stored in 16 bits and computed with in whichever precision the
    device prefers; with `int8` convolutions compute with 8 bits, after a calibration on pictures.

    Raises:
        DarknetError: a package is missing, the network holds what ONNX cannot, or there are no
            pictures to calibrate on.
    """
    ov = extra("openvino")
    if options.int8 and options.half:
        raise DarknetError(f"{path.name}: half and int8 exclude each other")
    if options.int8:
        from darknet_py.convert.int8 import check, find_pictures, quantize, report_loss

        check(metadata)
        pictures = find_pictures(options.calibration)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.onnx"
        to_onnx.write(network, metadata, source, replace(options, half=False, int8=False))
        model = ov.Core().read_model(source)
        if options.int8:
            original = Path(folder) / "model.xml"
            _save(ov, model, replace(metadata, precision="fp32"), original)
            quantized = quantize(model, metadata, pictures)
            _save(ov, quantized, metadata, path)
            report_loss(original, path, pictures, options.report)
        else:
            _save(ov, model, metadata, path, half=options.half)


def _save(ov: Any, model: Any, metadata: Metadata, path: Path, *, half: bool = False) -> None:
    for key, text in metadata.to_dict().items():
        model.set_rt_info(text, [SECTION, key])
    if model.has_rt_info(["framework"]):
        del model.rt_info["framework"]  # the same, as it came from ONNX
    try:
        ov.save_model(model, path, compress_to_fp16=half)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise OSError(None, f"{reason} (is there room?)") from None

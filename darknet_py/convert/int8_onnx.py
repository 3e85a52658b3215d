"""8 bit integers for onnxruntime: calibration on pictures."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darknet_py.convert.extras import extra
from darknet_py.errors import DarknetError
from darknet_py.pictures import fit_picture
from darknet_py.shape import Shape

if TYPE_CHECKING:
    from darknet_py.metadata import Metadata

_SUMS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""The operations that 8 bits are for."""
_OTHERS = ("Add", "Concat", "GlobalAveragePool", "LeakyRelu", "MaxPool", "Relu", "Resize")
"""Those between them that would only turn 8 bits into 32 and back."""


def quantize(source: Path, target: Path, metadata: Metadata, pictures: Sequence[Path]) -> None:
    """Write `source` with convolutions in 8 bits as `target`, their ranges found on `pictures`.

    What comes after the last convolutions, the arithmetic of boxes, stays in 32 bits.

    Raises:
        DarknetError: a package is missing, or onnxruntime cannot quantize the network.
    """
    extra("onnxruntime", "onnx")
    onnx, tools = extra("onnx"), extra("onnxruntime.quantization", "onnx")
    model = onnx.load(source)
    shape = Shape(*metadata.input)
    name = model.graph.input[0].name
    feeds = ({name: fit_picture(path, shape, metadata.fit)} for path in pictures)

    class Pictures(tools.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def get_next(self) -> dict[str, Any] | None:
            return next(feeds, None)

    logging.disable(logging.WARNING)  # it speaks to the root logger
    try:
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder) / "model.onnx"
            tools.quantize_static(
                source,
                scratch,
                Pictures(),
                quant_format=tools.QuantFormat.QDQ,
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                op_types_to_quantize=[*_SUMS, *_OTHERS],
                nodes_to_exclude=_tail(model),
                per_channel=True,
                use_external_data_format=source.with_name(f"{source.name}.data").exists(),
            )
            quantized = onnx.load(scratch)
    except Exception as error:  # of many kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DarknetError(
            f"{metadata.cfg_path}: onnxruntime cannot quantize it: {reason}"
        ) from None
    finally:
        logging.disable(logging.NOTSET)
    del quantized.metadata_props[:]
    onnx.helper.set_model_props(quantized, metadata.to_dict())
    quantized.producer_name, quantized.producer_version = "darknet-py", metadata.version
    onnx.save(quantized, target)


def _tail(model: Any) -> list[str]:
    """The nodes behind the last convolutions."""
    wanted: set[str] = set()
    tail = []
    for node in reversed(model.graph.node):
        if node.op_type in _SUMS or wanted.intersection(node.output):
            wanted.update(node.input)
        else:
            tail.append(node.name)
    return tail

"""ONNX files, run by onnxruntime."""

from __future__ import annotations

import numpy as np

from darknet_py.convert.extras import extra
from darknet_py.errors import DarknetError
from darknet_py.metadata import Metadata
from darknet_py.runtime.model import Input, Model
from darknet_py.threads import given_threads

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


class OnnxModel(Model):
    """An .onnx file in a session of onnxruntime."""

    def __init__(self, path: str, device: str | None = None) -> None:
        """Open `path`; see `runtime.open_model`."""
        ort = extra("onnxruntime", "onnx")
        options = ort.SessionOptions()
        options.log_severity_level = 3  # errors, which are raised too
        # its threads else wait actively for 50 ms, in the way of whatever comes next
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.intra_op_num_threads = given_threads() or 0  # as many as it thinks best
        try:
            self.session = ort.InferenceSession(path, options, providers=_providers(ort, device))
        except Exception as error:
            reason = " ".join(str(error).split())
            raise DarknetError(f"{path}: onnxruntime does not take it: {reason}") from None
        texts = self.session.get_modelmeta().custom_metadata_map
        inputs = []
        for value in self.session.get_inputs():
            shape = tuple(side if isinstance(side, int) else None for side in value.shape)
            inputs.append(Input(value.name, shape, np.dtype(_TYPES.get(value.type, np.float32))))
        super().__init__(path, Metadata.from_dict(texts, path), inputs)
        self.wanted = [
            *self.metadata.outputs,
            *(f"{state}_next" for state in self.metadata.states),
        ]

    def _run(self, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        try:
            outputs: list[np.ndarray] = self.session.run(self.wanted, feed)
        except Exception as error:
            reason = " ".join(str(error).split())
            raise DarknetError(f"{self.path}: onnxruntime failed: {reason}") from None
        return outputs


def _providers(ort: object, device: str | None) -> list[str]:
    """A GPU first, where onnxruntime has one and it is not turned down."""
    known: list[str] = ort.get_available_providers()  # type: ignore[attr-defined]
    usable = ["CUDAExecutionProvider"] * (device is None or device.startswith("cuda"))
    return [name for name in usable if name in known] + ["CPUExecutionProvider"]

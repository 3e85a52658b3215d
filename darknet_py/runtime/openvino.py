"""OpenVINO's files, .xml with a .bin beside it, run by OpenVINO."""

from __future__ import annotations

import os
import warnings
from functools import partial
from typing import Any

import numpy as np

from darknet_py.convert.extras import extra
from darknet_py.errors import DarknetError, DarknetWarning
from darknet_py.metadata import Metadata
from darknet_py.runtime.model import Input, Model
from darknet_py.threads import given_threads

SECTION = "darknet"
"""Where the model's rt_info holds our metadata."""
ANY = 0
"""Stands for any number of pictures."""


class OpenVinoModel(Model):
    """An .xml file, compiled by OpenVINO; an .onnx file of ours runs, too."""

    def __init__(
        self, path: str, device: str | None = None, *, half: bool = False, cache: str | None = None
    ) -> None:
        """Open `path`; see `runtime.open_model`.

        Args:
            path: the file.
            device: where it runs.
            half: compute in 16 bits, bfloat16 or float16, where the device has either.
            cache: a folder where OpenVINO keeps what it compiled, for the next start.
        """
        ov = extra("openvino")
        place = "CPU" if device in (None, "cpu") else str(device).upper()
        # as computed elsewhere: not in bfloat16, which some processors would be given
        config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        threads = given_threads()
        if threads is not None and place == "CPU":
            config["INFERENCE_NUM_THREADS"] = str(threads)
        try:
            core = ov.Core()
            if half:
                config["INFERENCE_PRECISION_HINT"] = _half(core, place)
            if cache is not None and _writable(cache):
                config["CACHE_DIR"] = cache
            model = core.read_model(path)
            self._any = partial(core.compile_model, model, place, config)
            single = _single(model)
            self._batches = {
                ANY if single is None else 1: core.compile_model(single or model, place, config)
            }
        except Exception as error:
            reason = " ".join(str(error).split())
            raise DarknetError(f"{path}: OpenVINO does not take it: {reason}") from None
        inputs = []
        for value in model.inputs:
            sides = tuple(
                None if side.is_dynamic else side.get_length() for side in value.get_partial_shape()
            )
            inputs.append(Input(value.get_any_name(), sides, value.get_element_type().to_dtype()))
        super().__init__(path, Metadata.from_dict(_texts(model), path), inputs)

    def _run(self, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        metadata = self.metadata
        wanted = [*metadata.outputs, *(f"{state}_next" for state in metadata.states)]
        try:
            found = self._compiled(len(feed[self.inputs[0].name]))(feed, share_inputs=True)
            return [np.array(found[name]) for name in wanted]
        except Exception as error:
            reason = " ".join(str(error).split())
            raise DarknetError(f"{self.path}: OpenVINO failed: {reason}") from None

    def _compiled(self, batch: int) -> Any:
        """The one for a single picture, or that for any number, which is made when it is needed."""
        return self._batches.get(batch) or self._batches.get(ANY) or self._compile_any()

    def _compile_any(self) -> Any:
        found = self._batches[ANY] = self._any()
        return found


def _single(model: Any) -> Any:
    """The model for one picture at a time, which OpenVINO runs up to a third faster.

    None: its batch is fixed, or it remembers what was before.
    """
    shape = model.inputs[0].get_partial_shape()
    if len(model.inputs) > 1 or not shape[0].is_dynamic:
        return None
    single = model.clone()
    try:
        shape[0] = 1
        single.reshape({single.inputs[0].get_any_name(): shape})
    except RuntimeError:
        return None
    return single


def _half(core: Any, place: str) -> str:
    """The 16 bit floats that the device computes with; 32 bits and a warning, if it has none."""
    known = core.get_property(place, "OPTIMIZATION_CAPABILITIES")
    for kind in ("BF16", "FP16") if place == "CPU" else ("FP16", "BF16"):
        if kind in known:
            return {"BF16": "bf16", "FP16": "f16"}[kind]
    message = f"{place} does not compute with 16 bits: it does with 32"
    warnings.warn(message, DarknetWarning, stacklevel=3)
    return "f32"


def _writable(folder: str) -> bool:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _texts(model: Any) -> dict[str, str]:
    """Our metadata in a model's rt_info; from ONNX, OpenVINO keeps it in a place of its own."""
    for place in (SECTION, "framework"):
        if model.has_rt_info([place]):
            texts = model.get_rt_info([place]).value
            return {k: v if isinstance(v, str) else v.astype(str) for k, v in texts.items()}
    return {}

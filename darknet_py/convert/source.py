"""What a conversion starts from: a cfg with its weights, or one file that holds both."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from darknet_py.convert.extras import extra
from darknet_py.dialect import Dialect
from darknet_py.errors import DarknetError, DarknetWarning, WeightsError
from darknet_py.metadata import Metadata
from darknet_py.named import SUFFIXES, array_names, build_network, fill_network, read_named
from darknet_py.network import Network
from darknet_py.weights import load_weights

READABLE = (*SUFFIXES, ".onnx")
"""What needs no cfg, by the ends of the names."""


def read_source(
    cfg: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    dialect: str | Dialect | None = None,
    *,
    exact: bool = False,
) -> tuple[Network, list[str]]:
    """The network, and the classes' names if the file brings them.

    Args:
        cfg: a .cfg file, or with `weights` None a model that carries its cfg.
        weights: a .weights file, or a .safetensors file, state_dict or ONNX model.
        dialect: "pjreddie" or "alexeyab"; None: found from the cfg, or told by the model.
        exact: refuse weights that lost digits.

    Raises:
        DarknetError: a file is wrong, or one is missing.
    """
    if weights is None:
        return read_model(cfg, exact=exact)
    network = Network.from_cfg(cfg, dialect, initialize=False)
    if Path(weights).suffix not in READABLE:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", ".*floats are left over", DarknetWarning)
            try:
                load_weights(network, weights)
            except DarknetWarning as rest:  # which would not come back
                raise WeightsError(str(rest)) from None
        return network, []
    tensors, texts = _read(os.fspath(weights), exact)
    fill_network(network, tensors, texts, os.fspath(weights))
    return network, _names(texts, os.fspath(weights))


def read_model(path: str | os.PathLike[str], *, exact: bool = False) -> tuple[Network, list[str]]:
    """The network of a .safetensors file, a state_dict or an ONNX model of darknet-py, its names.

    Raises:
        DarknetError: the file is none of them, or its weights are not those of Darknet any more.
    """
    name = os.fspath(path)
    if Path(path).suffix not in READABLE:
        raise DarknetError(f"{name}: WEIGHTS is missing: only {', '.join(READABLE)} need none")
    tensors, texts = _read(name, exact)
    network = build_network(texts, name)
    fill_network(network, tensors, texts, name)
    return network, _names(texts, name)


def _names(texts: Mapping[str, str], path: str) -> list[str]:
    return list(Metadata.from_dict(texts, path).names) if "darknet_names" in texts else []


def _read(name: str, exact: bool) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The arrays and texts of a file, checked to be those of training."""
    tensors, texts = _read_onnx(name) if name.endswith(".onnx") else read_named(name)
    if texts.get("darknet_folded") == "true":
        raise DarknetError(
            f"{name}: batch norm is folded into its weights, which cannot be undone: write it "
            "with --keep-batchnorm"
        )
    precision = texts.get("darknet_precision", "fp32")
    kinds = {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()}
    if (precision != "fp32" or kinds - {torch.float32}) and (exact or precision == "int8"):
        kind = precision if precision != "fp32" else str(next(iter(kinds))).removeprefix("torch.")
        raise DarknetError(
            f"{name}: its weights are rounded to {kind}: the 32 bits that Darknet keeps are lost"
        )
    return tensors, texts


def _read_onnx(path: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The initializers that are named as arrays, in Darknet's shapes, and the metadata."""
    onnx, numpy_helper = extra("onnx"), extra("onnx.numpy_helper", "onnx")
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's own error types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: is no ONNX model, or is damaged: {reason}") from None
    texts = {entry.key: entry.value for entry in model.metadata_props}
    if "darknet_cfg" not in texts:
        raise WeightsError(f"{path}: carries no cfg: it was not written by darknet-py convert")
    tensors = {
        value.name: torch.from_numpy(numpy_helper.to_array(value).copy())
        for value in model.graph.initializer
        if value.name.startswith("layers.")
    }
    if texts.get("darknet_folded") == "true":
        return tensors, texts
    arrays = array_names(build_network(texts, path))
    for name in arrays:
        if name not in tensors:
            raise WeightsError(
                f"{path}: lacks {name}, which no output depends on: not all of the .weights is here"
            )
    return {name: tensors[name].reshape(array.shape) for name, array in arrays.items()}, texts

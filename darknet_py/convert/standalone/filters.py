"""Layers with weights as lines of a standalone file."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from darknet_py.batchnorm import BatchNormalizer
from darknet_py.convert.standalone.part import (
    Inputs,
    Part,
    activation_module,
    as_image,
    blurred,
    construct,
    pair,
    refuse,
)

EPSILON = 1e-5
"""Torch's own epsilon of batch norm: the file's modules do not name it."""


def _norm(normalizer: BatchNormalizer, biases: Tensor | None) -> dict[str, Tensor]:
    """The state of torch's batch norm that does the same."""
    scales, variance = normalizer.at_epsilon(EPSILON)
    return {
        "norm.weight": scales,
        "norm.bias": torch.zeros_like(scales) if biases is None else biases,
        "norm.running_mean": normalizer.rolling_mean,
        "norm.running_var": variance,
        "norm.num_batches_tracked": torch.tensor(0),
    }


def _weighted(layer: Any, name: str) -> dict[str, Tensor]:
    """The state of a matrix or filter bank `name` and its batch norm or bias."""
    state = {f"{name}.weight": layer.weights}
    if layer.normalizer is None:
        return state | {f"{name}.bias": layer.biases}
    return state | _norm(layer.normalizer, layer.biases)


def write_convolutional(layer: Any, vectors: Inputs) -> Part:
    """[convolutional]."""
    if layer.options.xnor:
        raise refuse(layer, "xnor=1 makes its weights and inputs binary")
    if layer.bank is not layer:
        raise refuse(layer, "share_index takes the weights of another layer")
    module = construct(
        "Conv",
        layer.channels,
        layer.filters,
        layer.size,
        stride=pair(layer.stride_y, layer.stride_x) if layer.stride_y * layer.stride_x > 1 else "",
        padding=layer.padding * layer.dilation or "",
        dilation=layer.dilation if layer.dilation > 1 else "",
        groups=layer.groups if layer.groups > 1 else "",
        norm="" if layer.normalizer is not None else "False",
        activation=activation_module(layer),
    )
    state = _weighted(layer, "conv")
    module, state = blurred(layer, module, state)
    return Part(f"{{me}}({as_image(vectors)})", module, "conv", state)


def write_deconvolutional(layer: Any, vectors: Inputs) -> Part:
    """[deconvolutional]."""
    module = construct(
        "Deconv",
        layer.weights.shape[0],
        layer.filters,
        layer.size,
        stride=layer.stride if layer.stride > 1 else "",
        padding=layer.padding or "",
        norm="" if layer.normalizer is not None else "False",
        activation=activation_module(layer),
    )
    return Part(f"{{me}}({as_image(vectors)})", module, "deconv", _weighted(layer, "conv"))


def write_connected(layer: Any, vectors: Inputs) -> Part:
    """[connected]."""
    norm = layer.normalizer is not None
    module = construct(
        "Linear", layer.inputs, layer.outputs, norm=norm, activation=activation_module(layer)
    )
    return Part("{me}({0})", module, "linear", _weighted(layer, "linear"), vector=True)


def write_local(layer: Any, vectors: Inputs) -> Part:
    """[local]."""
    sides = (layer.height, layer.width)
    module = construct(
        "Local",
        layer.in_shape.channels,
        layer.filters,
        layer.size,
        layer.stride,
        layer.pad,
        *sides,
        activation=activation_module(layer),
    )
    state = {"bias": layer.biases.view(-1, *sides), "weight": layer.weights}
    return Part(f"{{me}}({as_image(vectors)})", module, "local", state)


def write_batchnorm(layer: Any, vectors: Inputs) -> Part:
    """[batchnorm]."""
    state = _norm(layer.normalizer, layer.biases)
    state = {key.removeprefix("norm."): value for key, value in state.items()}
    module = f"nn.BatchNorm2d({len(layer.normalizer.scales)})"
    return Part(f"{{me}}({as_image(vectors)})", module, "norm", state)


def write_implicit(layer: Any, vectors: Inputs) -> Part:
    """[implicit]."""
    atoms = layer.options.atoms if layer.options.atoms > 1 else ""
    module = construct("Implicit", layer.options.filters, atoms=atoms)
    return Part("{me}({0})", module, "implicit", {"weight": layer.weights})

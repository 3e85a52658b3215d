"""A layer as lines of a standalone file, and the pieces of text that many of them share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from darknet_py.errors import CfgError
from darknet_py.layers import Layer

MODULES = {
    "elu": "nn.ELU()",
    "hardtan": "nn.Hardtanh()",
    "leaky": "nn.LeakyReLU(0.1)",
    "logistic": "nn.Sigmoid()",
    "mish": "nn.Mish()",
    "relie": "nn.LeakyReLU(0.01)",
    "relu": "nn.ReLU()",
    "relu6": "nn.ReLU6()",
    "revleaky": "nn.LeakyReLU(0.1)",
    "swish": "nn.SiLU()",
    "tanh": "nn.Tanh()",
}
"""Activations that torch has as modules; the others are copied from `activations.py`."""

FUNCTIONS = {
    "elu": "F.elu({})",
    "hardtan": "F.hardtanh({})",
    "leaky": "F.leaky_relu({}, 0.1)",
    "logistic": "torch.sigmoid({})",
    "mish": "F.mish({})",
    "relie": "F.leaky_relu({}, 0.01)",
    "relu": "F.relu({})",
    "relu6": "F.relu6({})",
    "revleaky": "F.leaky_relu({}, 0.1)",
    "swish": "F.silu({})",
    "tanh": "torch.tanh({})",
}
"""The same as expressions."""


@dataclass(frozen=True)
class Part:
    """A layer as code.

    `call` is its value, with `{0}`, `{1}` for its inputs and `{me}` for its submodule; `module`
    is what makes the submodule, `name` what it is called before the layer's number, `state` its
    arrays. `vector`: whether the value is `(batch, n)`.
    """

    call: str
    module: str = ""
    name: str = ""
    state: dict[str, Tensor] = field(default_factory=dict)
    vector: bool = False


Inputs = tuple[bool, ...]
"""Of each input, whether it is `(batch, n)`."""


def refuse(layer: Layer, reason: str) -> CfgError:
    """The error that a layer cannot be written."""
    return layer.section.error(f"cannot be written as a standalone file: {reason}")


def activation_module(layer: Any) -> str:
    """The activation as an argument, if it is any."""
    name = layer.options.activation
    return "" if name == "linear" else MODULES.get(name, name)


def activated(layer: Any, value: str) -> str:
    """`value` with the layer's activation around it."""
    name = layer.options.activation
    return value if name == "linear" else FUNCTIONS.get(name, f"{name}({{}})").replace("{}", value)


def construct(name: str, *values: object, **named: object) -> str:
    """A constructor's call; arguments that are None, False or "" are left out."""
    given = [str(value) for value in values]
    given += [f"{key}={value}" for key, value in named.items() if value not in (None, False, "")]
    return f"{name}({', '.join(given)})"


def as_image(vectors: Inputs, number: int = 0) -> str:
    """Input `number` as `(batch, c, h, w)`."""
    return f"{{{number}}}[:, :, None, None]" if vectors[number] else f"{{{number}}}"


def pair(first: int, second: int) -> int | tuple[int, int]:
    """Two numbers as torch takes them: one where they are equal."""
    return first if first == second else (first, second)


def blurred(layer: Any, module: str, state: dict[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """`module` with the blur of `antialiasing` behind it."""
    blur = layer.blur
    if blur is None:
        return module, state
    after = f"Blur({blur.size}, ({blur.stride_y}, {blur.stride_x}))"
    return f"nn.Sequential({module}, {after})", {f"0.{key}": value for key, value in state.items()}

"""Activation functions by their cfg names (C: activations.h, activations.c)."""

from __future__ import annotations

import difflib
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py.cfg import Section
from darknet_py.gradients import with_gradient

Activation = Callable[[Tensor], Tensor]
"""Any shape in, the same out; the normalize_channels family takes `(batch, channels, ...)`."""


def linear(x: Tensor) -> Tensor:
    """The input itself."""
    return x


def logistic(x: Tensor) -> Tensor:
    """`1 / (1 + e^-x)`."""
    # PARITY: AlexeyAB's fast-math build gives nan below -88.72; the true 0 is kept here.
    return torch.sigmoid(x)


def loggy(x: Tensor) -> Tensor:
    """`2 / (1 + e^-x) - 1`."""
    return 2 * torch.sigmoid(x) - 1


def relie(x: Tensor) -> Tensor:
    """Relu with slope .01 below 0."""
    return F.leaky_relu(x, 0.01)


def leaky(x: Tensor) -> Tensor:
    """Relu with slope .1 below 0."""
    return F.leaky_relu(x, 0.1)


def ramp(x: Tensor) -> Tensor:
    """`max(x, 0) + .1 x`."""
    return F.relu(x) + 0.1 * x


def selu(x: Tensor) -> Tensor:
    """Scaled elu with C's short constants."""
    # PARITY: 1.0507 and 1.6732, not the paper's longer ones (C: activations.h:selu_activate).
    return torch.where(x >= 0, 1.0507 * x, 1.0507 * 1.6732 * torch.expm1(x.clamp(max=0)))


def gelu(x: Tensor) -> Tensor:
    """The tanh form of gelu with C's rounded constants."""
    # PARITY: .797885 and .035677 (C: activations.h:gelu_activate).
    return with_gradient("gelu", x, 0.5 * x * (1 + torch.tanh(0.797885 * x + 0.035677 * x**3)))


def swish(x: Tensor) -> Tensor:
    """`x * logistic(x)`."""
    return F.silu(x)


def mish(x: Tensor) -> Tensor:
    """`x * tanh(log(1 + e^x))`. Source: Misra 2019."""
    return F.mish(x)


def hard_mish(x: Tensor) -> Tensor:
    """`x` above 0, `x^2 / 2 + x` from -2 to 0, else 0 (C: activations.c:hard_mish_yashas)."""
    return torch.where(x > 0, x, torch.where(x > -2, x * x / 2 + x, torch.zeros_like(x)))


def plse(x: Tensor) -> Tensor:
    """Piecewise linear logistic: slope .125 between -4 and 4, .01 outside."""
    outside = torch.where(x < -4, 0.01 * (x + 4), 0.01 * (x - 4) + 1)
    return torch.where(x.abs() <= 4, 0.125 * x + 0.5, outside)


def stair(x: Tensor) -> Tensor:
    """Steps of width 2 joined by ramps of slope 1."""
    floor = x.floor()
    return torch.where(floor.remainder(2) == 0, (x / 2).floor(), x - floor + (x / 2).floor())


def hardtan(x: Tensor) -> Tensor:
    """The input clamped to [-1, 1]."""
    return F.hardtanh(x)


def lhtan(x: Tensor) -> Tensor:
    """The input on [0, 1], slope .001 outside."""
    return torch.where(x < 0, 0.001 * x, torch.where(x > 1, 0.001 * (x - 1) + 1, x))


def normalize_channels(x: Tensor) -> Tensor:
    """Relu divided by its sum over channels plus 1e-4."""
    positive = F.relu(x)
    out = positive / (1e-4 + positive.sum(1, keepdim=True))
    return with_gradient("normalize_channels", x, out)


def normalize_channels_softmax(x: Tensor) -> Tensor:
    """`e^x / (1e-4 + sum over channels of e^x)`."""
    exponents = x.exp()
    out = exponents / (1e-4 + exponents.sum(1, keepdim=True))
    return with_gradient("normalize_channels_softmax", x, out)


def normalize_channels_softmax_maxval(x: Tensor) -> Tensor:
    """As normalize_channels_softmax, with the largest channel subtracted first."""
    exponents = (x - x.amax(1, keepdim=True)).exp()
    out = exponents / (1e-4 + exponents.sum(1, keepdim=True))
    return with_gradient("normalize_channels_softmax", x, out)


def revleaky(x: Tensor) -> Tensor:
    """Leaky, whose gradient is divided by the slope in place of being multiplied."""
    return with_gradient("revleaky", x, leaky(x))


ACTIVATIONS: dict[str, Activation] = {
    "elu": F.elu,
    "gelu": gelu,
    "hard_mish": hard_mish,
    "hardtan": hardtan,
    "leaky": leaky,
    "lhtan": lhtan,
    "linear": linear,
    "loggy": loggy,
    "logistic": logistic,
    "mish": mish,
    "normalize_channels": normalize_channels,
    "normalize_channels_softmax": normalize_channels_softmax,
    "normalize_channels_softmax_maxval": normalize_channels_softmax_maxval,
    "plse": plse,
    "ramp": ramp,
    "relie": relie,
    "relu": F.relu,
    "relu6": F.relu6,
    "revleaky": revleaky,
    "selu": selu,
    "stair": stair,
    "swish": swish,
    "tanh": torch.tanh,
}


IN_PLACE: dict[str, Activation] = {
    "leaky": lambda x: F.leaky_relu(x, 0.1, inplace=True),
    "relie": lambda x: F.leaky_relu(x, 0.01, inplace=True),
    "relu": lambda x: F.relu(x, inplace=True),
}
"""Those that may overwrite a value nobody else reads, gradients and all."""

ALEXEYAB_ACTIVATIONS = frozenset(
    {
        "gelu",
        "hard_mish",
        "mish",
        "normalize_channels",
        "normalize_channels_softmax",
        "normalize_channels_softmax_maxval",
        "relu6",
        "revleaky",
        "swish",
    }
)
"""Names that only AlexeyAB's fork knows: a cfg that has one is in that dialect."""


def get_activation(name: str, section: Section) -> Activation:
    """The function of that name.

    Raises:
        CfgError: there is none. PARITY: C goes on with relu (activations.c:get_activation).
    """
    if name not in ACTIVATIONS:
        close = difflib.get_close_matches(name, ACTIVATIONS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(ACTIVATIONS)}"
        raise section.error(f"unknown activation {name!r}; {hint}", "activation")
    return ACTIVATIONS[name]

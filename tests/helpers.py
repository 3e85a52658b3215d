"""What many tests need: small networks, test tensors, and the only assert_close."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from darknet_py.cfg import parse_cfg
from darknet_py.network import Network

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("DARKNET_PY_SHARED", ROOT.parent / "shared"))


def build(body: str, shape: tuple[int, ...] = (3, 5, 7), dialect: str | None = None) -> Network:
    """A network of the sections in `body`, read as `test.cfg` (body starts at line 5).

    `shape` is the input's (channels, height, width), or (inputs,). Weights are a ramp each.
    """
    if len(shape) == 3:
        head = "[net]\nchannels={}\nheight={}\nwidth={}\n".format(*shape)
    else:
        head = f"[net]\ninputs={shape[0]}\n\n\n"
    network = Network(parse_cfg(head + body, "test.cfg"), dialect)
    fill(network)
    return network


@torch.no_grad()
def fill(network: Network) -> None:
    """Give every array values that no two channels share; scales and variances positive."""
    for index, name, tensor in network.arrays():
        values = ramp(*tensor.shape, start=index + len(name))
        positive = name.rpartition(".")[2] in ("scales", "rolling_variance")
        tensor.copy_(values.abs() + 0.1 if positive else values)


def ramp(*shape: int, start: float = 0) -> Tensor:
    """A float32 tensor whose values wander between -1 and 1 and never repeat."""
    count = math.prod(shape)
    return torch.sin(torch.arange(count, dtype=torch.float64) * 0.73 + start).float().view(shape)


def assert_close(actual: Tensor | np.ndarray, expected: Tensor | np.ndarray) -> None:
    """Equal shapes, and values equal to float32 rounding (looser on a GPU)."""
    actual, expected = torch.as_tensor(actual), torch.as_tensor(expected)
    loose = actual.device.type != "cpu"
    torch.testing.assert_close(
        actual.float(),
        expected.float().to(actual.device),
        rtol=1e-3 if loose else 2e-5,
        atol=1e-4 if loose else 2e-6,
    )


def golden_generator() -> ModuleType:
    """shared/golden/generate.py, which rebuilds the weights and inputs of the goldens."""
    spec = importlib.util.spec_from_file_location("generate", SHARED / "golden" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def first(items: Iterable[Tensor]) -> Tensor:
    """The first of several tensors."""
    return next(iter(items))

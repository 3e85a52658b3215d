"""Arrays by name: .safetensors files and PyTorch state_dicts, which carry cfg and header along.

In a .safetensors file an array is called `layers.12.convolutional.weights`: its layer, the type of
the section, its name in docs/weights.md. A state_dict has torch's own names, `layers.12.weights`.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from darknet_py.cfg import bring_files, format_cfg, parse_cfg, read_files
from darknet_py.errors import WeightsError
from darknet_py.network import Network

SUFFIXES = (".safetensors", ".pt", ".pth")
"""What the names of such files end in."""

STATE = "_extra_state"
"""Where a state_dict keeps what is no array."""


def array_names(network: Network) -> dict[str, Tensor]:
    """Every array of `network` by its name in a .safetensors file, in file order."""
    return {
        f"layers.{index}.{network[index].section.type}.{name}": tensor
        for index, name, tensor in network.arrays()
    }


def describe(network: Network) -> dict[str, str]:
    """Cfg, dialect and weights header as texts, under the keys of `Metadata.to_dict`.

    The files that the cfg names go along.
    """
    return {
        "darknet_files": json.dumps(list(read_files(network.sections).items())),
        "darknet_cfg": format_cfg(network.sections),
        "darknet_cfg_path": network.sections[0].path,
        "darknet_dialect": network.dialect.name,
        "darknet_weights_header": json.dumps([*network.version, network.seen]),
    }


def read_header(texts: Mapping[str, str]) -> tuple[int, int, int, int]:
    """Major, minor, revision and seen, as `describe` wrote them."""
    major, minor, revision, seen = json.loads(texts["darknet_weights_header"])
    return major, minor, revision, seen


def read_network(path: str | os.PathLike[str], *, memory_limit: int | None = None) -> Network:
    """The network of a .safetensors file or state_dict of darknet-py.

    Raises:
        WeightsError: the file is none, or is damaged.
    """
    tensors, texts = read_named(path)
    network = build_network(texts, os.fspath(path), memory_limit=memory_limit)
    fill_network(network, tensors, texts, os.fspath(path))
    return network


def load_named(network: Network, path: str | os.PathLike[str]) -> None:
    """Fill `network`, built from a cfg, from a .safetensors file or state_dict.

    Raises:
        WeightsError: the file is none, or is of another network.
    """
    tensors, texts = read_named(path)
    fill_network(network, tensors, texts, os.fspath(path))


def build_network(
    texts: Mapping[str, str], path: str, *, memory_limit: int | None = None
) -> Network:
    """The network that `texts` describe, without weights; `path` is named in errors.

    Raises:
        WeightsError: they describe none.
    """
    if "darknet_cfg" not in texts or "darknet_dialect" not in texts:
        raise WeightsError(
            f"{path}: carries no cfg: it was not written by darknet-py, so give its .cfg, too"
        )
    sections = bring_files(parse_cfg(texts["darknet_cfg"], path), _files(texts, path))
    return Network(sections, texts["darknet_dialect"], memory_limit=memory_limit, initialize=False)


def _files(texts: Mapping[str, str], path: str) -> dict[str, str]:
    """The texts of the files that the cfg names."""
    try:
        pairs = json.loads(texts.get("darknet_files", "[]"))
        return {str(name): str(text) for name, text in pairs}
    except (ValueError, TypeError):
        raise WeightsError(f"{path}: its metadata darknet_files is damaged") from None


def read_named(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The arrays and the texts of a .safetensors file or state_dict.

    Raises:
        WeightsError: the file cannot be opened, or is something else.
    """
    try:
        with open(path, "rb"):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WeightsError(f"{os.fspath(path)}: cannot be opened: {reason}") from None
    if Path(path).suffix == ".safetensors":
        return _read_safetensors(os.fspath(path))
    return _read_state_dict(os.fspath(path))


def _read_safetensors(path: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    from darknet_py.convert.extras import extra

    safetensors = extra("safetensors")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, (  # noqa: SIM118
                file.metadata() or {}
            )
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{path}: is no safetensors file, or is damaged: {error}") from None


def _read_state_dict(path: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
        raise WeightsError(
            f"{path}: is no state_dict that torch.load reads with weights_only=True, or is damaged"
        ) from None
    if not isinstance(state, dict):
        raise WeightsError(f"{path}: holds a {type(state).__name__}, not a state_dict")
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    texts = state.get(STATE, {})
    if not tensors or not isinstance(texts, dict):
        raise WeightsError(f"{path}: holds no state_dict of a Darknet network")
    return tensors, texts


@torch.no_grad()
def fill_network(
    network: Network, tensors: Mapping[str, Tensor], texts: Mapping[str, str], path: str
) -> None:
    """Copy `tensors` into `network`, and take the header from `texts`; by either kind of name.

    Raises:
        WeightsError: they do not fit it; it is then as it was.
    """
    arrays = array_names(network)
    if arrays.keys().isdisjoint(tensors):
        state = network.state_dict(keep_vars=True)
        arrays = {name: value for name, value in state.items() if name != STATE}
    for name, array in arrays.items():
        if name not in tensors:
            raise WeightsError(f"{path}: has no array {name}: is it of another cfg?")
        found = tensors[name]
        if found.shape != array.shape or not found.is_floating_point():
            raise WeightsError(
                f"{path}: {name} holds {_sides(found)} {str(found.dtype).removeprefix('torch.')}, "
                f"the cfg needs {_sides(array)} floats: is it of another cfg?"
            )
    others = [name for name in tensors if name not in arrays]
    if others:
        raise WeightsError(
            f"{path}: holds {len(others)} arrays that the cfg does not have, such as {others[0]}: "
            "is it of another cfg?"
        )
    for name, array in arrays.items():
        array.copy_(tensors[name])
    if "darknet_weights_header" in texts:
        network.set_extra_state(dict(texts))
    network.initialized = True


def _sides(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one"

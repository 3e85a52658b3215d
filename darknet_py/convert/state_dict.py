"""A state_dict for torch.load, and the standalone Python file that goes with one."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from darknet_py.convert import Options
from darknet_py.convert.proof import check_close, check_same, noise, output_indices
from darknet_py.convert.standalone import Program, write_program
from darknet_py.metadata import Metadata
from darknet_py.named import STATE, read_named
from darknet_py.network import Network


def write(network: Network, metadata: Metadata, path: Path, options: Options) -> None:
    """Write the state_dict of `network`, or with `standalone` a Python file and its state.

    Raises:
        DarknetError: a layer cannot be written, or the file gives other outputs.
    """
    if options.standalone:
        write_standalone(network, path, options)
        return
    state: dict[str, Any] = dict(network.state_dict())
    tensors = {name: tensor for name, tensor in state.items() if name != STATE}
    if options.half:
        tensors = {name: tensor.half() for name, tensor in tensors.items()}
    save({**tensors, STATE: metadata.to_dict()}, path)
    if options.verify:
        check_same(tensors, read_named(path)[0], options)


def write_standalone(network: Network, path: Path, options: Options) -> None:
    """Write a Python file, and beside it the state that its class takes; `path` is either.

    Raises:
        DarknetError: a layer cannot be written, or the file gives other outputs.
    """
    source = path.with_suffix(".py")
    target = path.with_suffix(".pt") if path == source else path
    program = write_program(network, path.stem, target.name)
    state = {name: tensor.detach().clone() for name, tensor in program.state.items()}
    if options.half:
        state = {name: t.half() if t.is_floating_point() else t for name, t in state.items()}
    save(state, target)
    source.write_text(program.text, encoding="utf-8")
    if options.verify and not options.half:
        _compare(network, program, source, target, options)


def save(state: dict[str, Any], path: Path) -> None:
    """torch.save, whose errors of writing are OSErrors here.

    Raises:
        OSError: there is no room.
    """
    try:
        torch.save(state, path)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise OSError(None, f"{reason} (is there room?)") from None


@torch.inference_mode()
def _compare(
    network: Network, program: Program, source: Path, target: Path, options: Options
) -> None:
    """Run the file that was written, and compare."""
    spec = importlib.util.spec_from_file_location(f"{program.name}_written", source)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with _no_bytecode():
        spec.loader.exec_module(module)
    with torch.device("meta"):
        twin = getattr(module, program.name)()
    twin.load_state_dict(torch.load(target, weights_only=True), assign=True)
    x, wanted = noise(network), output_indices(network)
    outputs = twin.eval()(x)
    names = [f"layer {index} [{network[index].section.type}]" for index in wanted]
    outputs = outputs if isinstance(outputs, list) else [outputs]
    check_close(names, network.run(x, wanted), outputs, options)


@contextlib.contextmanager
def _no_bytecode() -> Iterator[None]:
    """Importing leaves no `__pycache__` beside the file."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before

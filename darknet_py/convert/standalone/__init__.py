"""A network as one readable Python file: a plain `torch.nn.Module` that needs torch alone.

The text of its small modules is that of `parts.py` and `heads.py`, copied whole.
"""

from __future__ import annotations

import inspect
import keyword
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from torch import Tensor

from darknet_py import __version__, activations
from darknet_py.convert.standalone import heads, parts
from darknet_py.convert.standalone.layers import write_layer
from darknet_py.convert.standalone.part import Part
from darknet_py.network import Network


@dataclass(frozen=True)
class Program:
    """The text of a standalone file, its class's name, and the state that goes with it."""

    text: str
    name: str
    state: dict[str, Tensor]


@dataclass
class _Lines:
    """The lines of the class's two methods, as they grow."""

    init: list[str] = field(default_factory=list)
    forward: list[str] = field(default_factory=list)
    state: dict[str, Tensor] = field(default_factory=dict)


def write_program(network: Network, stem: str, state: str) -> Program:
    """The standalone file for `network`, to be called `stem`.py, its state in the file `state`.

    Its outputs are the heads', or without heads the last layer's.

    Raises:
        CfgError: it has a layer that cannot be written; the reason is in the message.
    """
    wanted = [head.index for head in network.heads] or [network.output_index]
    lines, returned = _write_layers(network, wanted)
    name = _class_name(stem)
    body = "\n".join(
        [
            f"class {name}(nn.Module):",
            f'    """{_describe(network, wanted)}"""',
            "",
            "    def __init__(self) -> None:",
            "        super().__init__()",
            *(f"        {line}" for line in lines.init),
            "",
            f"    def forward(self, {_input_name(network)}: Tensor) -> {returned[0]}:",
            *(f"        {line}" for line in lines.forward),
            f"        return {returned[1]}",
        ]
    )
    modules = _used(body)
    return Program(
        _head(network, state, name, modules + body) + modules + body + "\n", name, lines.state
    )


def _write_layers(network: Network, wanted: list[int]) -> tuple[_Lines, tuple[str, str]]:
    """The lines of all layers that `wanted` need, and the type and value that are returned."""
    needed = _find_needed(network, wanted)
    codes: dict[int, Part] = {-1: Part("", vector=not network.image.is_image)}
    for index in needed:
        layer = network[index]
        codes[index] = write_layer(layer, tuple(codes[i].vector for i in layer.sources))
    origin = {-1: -1}  # the layer whose value this one's is
    for index in needed:
        alone = codes[index].call == "{0}"
        origin[index] = origin[network[index].sources[0]] if alone else index
    readers: dict[int, list[int]] = {index: [] for index in origin}
    for index in needed:
        for source in network[index].sources if origin[index] == index else ():
            readers[origin[source]].append(index)
    real = [index for index in needed if origin[index] == index]
    following = dict(zip([-1, *real], real, strict=False))
    outputs = [origin[index] for index in wanted]
    names = {}
    for index, found in readers.items():
        kept = index in outputs and index != real[-1]
        kept = kept or any(reader != following.get(index) for reader in found)
        names[index] = f"x{index}" if kept else "x"
    names[-1] = _input_name(network)
    lines = _Lines()
    for index in real:
        layer, code = network[index], codes[index]
        me = f"{code.name}{index}"
        if code.module:
            text = f"self.{me} = {code.module}"
            lines.init += textwrap.wrap(text, 92, subsequent_indent=8 * " ")
        lines.state |= {f"{me}.{key}": value for key, value in code.state.items()}
        values = [names[origin[source]] for source in layer.sources]
        shape = layer.out_shape
        sides = f"{shape.channels} x {shape.height} x {shape.width}" if shape.height else shape
        call = code.call.format(*values, me=f"self.{me}")
        lines.forward.append(f"{names[index]} = {call}  # {index}: {sides}")
    values = [names[index] for index in outputs]
    if network.heads:
        return lines, ("list[Tensor]", f"[{', '.join(values)}]")
    return lines, ("Tensor", values[0])


def _find_needed(network: Network, wanted: list[int]) -> list[int]:
    """The layers that `wanted` depend on, themselves included, in order."""
    needed, waiting = set(), list(wanted)
    while waiting:
        index = waiting.pop()
        if index >= 0 and index not in needed:
            needed.add(index)
            waiting += network[index].sources
    return sorted(needed)


def _input_name(network: Network) -> str:
    """`x`, or `image` where a later layer reads the input again."""
    return "image" if any(-1 in layer.sources for layer in list(network)[1:]) else "x"


def _describe(network: Network, wanted: list[int]) -> str:
    """The class's docstring."""
    shape = network.image
    sides = f", {shape.height}, {shape.width}" if shape.is_image else ""
    what = "RGB from 0 to 1" if shape.is_image else "plain vectors"
    kinds = ", ".join(f"[{network[index].section.type}] {index}" for index in wanted)
    outputs = f"the outputs of {kinds}" if network.heads else f"the output of layer {kinds}"
    return (
        f"The network of {Path(network.sections[0].path).name}.\n\n"
        f"    Input `(batch, {shape.channels}{sides})`, {what}; {outputs}.\n    "
    )


def _head(network: Network, state: str, name: str, code: str) -> str:
    """The file's docstring and imports."""
    typing = [kind for kind in ("Callable", "Sequence") if re.search(rf"\b{kind}\[", code)]
    lines = [
        f'"""{Path(network.sections[0].path).name} in plain PyTorch, written by darknet-py '
        f"{__version__}.",
        "",
        f"    network = {name}()",
        f'    network.load_state_dict(torch.load("{state}", weights_only=True))',
        "    outputs = network.eval()(x)",
        '"""',
        "",
        "from __future__ import annotations",
        "",
    ]
    if typing:
        lines += [f"from collections.abc import {', '.join(typing)}", ""]
    lines += ["import torch", "from torch import Tensor, nn"]
    if re.search(r"\bF\.", code):
        lines.append("from torch.nn import functional as F")
    return "\n".join(lines) + "\n\n\n"


def _used(code: str) -> str:
    """The source of every module and activation that `code` names."""
    sources = []
    for module in (activations, parts, heads):
        for name, thing in _own(module).items():
            if re.search(rf"(?<![\w.]){name}\(|activation={name}\b", code):
                sources.append(inspect.getsource(thing).rstrip() + "\n\n\n")
    return "".join(sources)


def _own(module: ModuleType) -> dict[str, Callable[..., object]]:
    """The classes and functions that a module defines."""
    return {
        name: thing
        for name, thing in vars(module).items()
        if (inspect.isclass(thing) or inspect.isfunction(thing))
        and thing.__module__ == module.__name__
    }


def _class_name(stem: str) -> str:
    """`yolov3-tiny` as `Yolov3Tiny`."""
    words = re.findall(r"[A-Za-z0-9]+", stem)
    name = "".join(word[:1].upper() + word[1:] for word in words)
    taken = set(_own(parts)) | set(_own(heads)) | {"Tensor", "Callable", "Sequence"}
    usable = name.isidentifier() and not keyword.iskeyword(name) and name not in taken
    return name if usable else f"Net{name}"

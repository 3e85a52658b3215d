"""The layers' names, as OpenCV 4 lists them for a Darknet network: conv_0, bn_0, leaky_1, ..."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from darknet_py.layers import Layer
from darknet_py.network import Network

Stage = Literal["raw", "normalized", "permuted", "inner", "whole"]
"""How far a section's layer has come: convolved or multiplied, before the activation, turned to
`(batch, h, w, c)` for a head, at a step that has no name of its own here, or done."""

INPUT_TYPE = "__NetInputLayer__"


@dataclass(frozen=True)
class NamedLayer:
    """One of OpenCV's layers: a part of the section `index`."""

    name: str
    type: str
    index: int
    stage: Stage

    def outputNameToIndex(self, outputName: str) -> int:
        """0; the input's only output is called data, any other name gives -1."""
        return -1 if self.type == INPUT_TYPE and outputName != "data" else 0


# Section -> (name, type); the sections that OpenCV does not know keep their names.
_KINDS = {
    "avgpool": ("avgpool", "Pooling"),
    "conn": ("fullyConnected", "InnerProduct"),
    "connected": ("fullyConnected", "InnerProduct"),
    "conv": ("conv", "Convolution"),
    "convolutional": ("conv", "Convolution"),
    "cost": ("identity", "Identity"),
    "crop": ("crop", "Slice"),
    "dropout": ("identity", "Identity"),
    "max": ("pool", "Pooling"),
    "maxpool": ("pool", "Pooling"),
    "region": ("detection_out", "Region"),
    "reorg": ("reorg", "Reorg"),
    "route": ("concat", "Concat"),
    "sam": ("sam", "Eltwise"),
    "scale_channels": ("scale_channels", "Scale"),
    "shortcut": ("shortcut", "Eltwise"),
    "soft": ("softmax", "Softmax"),
    "softmax": ("softmax", "Softmax"),
    "upsample": ("upsample", "Resize"),
    "yolo": ("yolo", "Region"),
}
_ACTIVATIONS = {
    "leaky": "ReLU",
    "logistic": "Sigmoid",
    "mish": "Mish",
    "relu": "ReLU",
    "swish": "Swish",
    "tanh": "TanH",
}


def name_layers(network: Network) -> list[NamedLayer]:
    """OpenCV's layers, in order; the input is none of them (OpenCV: darknet_io.cpp).

    The number in a name is the section's; an activation has the next one. Where OpenCV makes
    several layers of a [route] or [crop], each has a number and the sections behind move on.
    """
    named: list[NamedLayer] = []
    number = 0
    for layer in network:
        counted = layer.section.type in ("route", "crop")
        for place, (name, type, stage) in enumerate(parts := list(_parts(layer))):
            full = f"{name}_{number + place * counted}" if name != "detection_out" else name
            named.append(NamedLayer(full, type, layer.index, stage))
        number += len(parts) if counted else 1
        if (activation := _activation(layer)) != "linear":
            type = _ACTIVATIONS.get(activation, activation)
            named.append(NamedLayer(f"{activation}_{number}", type, layer.index, "whole"))
    return named


def _activation(layer: Layer) -> str:
    return str(getattr(layer.options, "activation", "linear"))


def _parts(layer: Layer) -> Iterator[tuple[str, str, Stage]]:
    """Name, type and stage of each layer that OpenCV makes of a section, but the activation."""
    kind, options = layer.section.type, layer.options
    name, type = _KINDS.get(kind, (kind, kind))
    last: Stage = "whole" if _activation(layer) == "linear" else "normalized"
    if kind in ("yolo", "region"):
        yield "permute", "Permute", "permuted"
    elif kind == "route" and options.groups > 1:
        for _ in layer.sources[1:]:
            yield "slice", "Slice", "inner"
        if len(layer.sources) > 1:
            yield "slice", "Slice", "inner"
        else:
            name, type = "slice", "Slice"
    elif kind == "route" and len(layer.sources) == 1:
        name, type = "identity", "Identity"
    elif kind == "crop" and not options.noadjust:
        yield name, type, "inner"
        name, type = "adjust_crop", "Scale"
    elif type in ("Convolution", "InnerProduct") and options.batch_normalize:
        yield name, type, "raw"
        name, type = "bn", "BatchNorm"
    yield name, type, last


def unconnected(network: Network, named: Iterable[NamedLayer]) -> list[NamedLayer]:
    """The layers whose output no other layer reads."""
    read = {source for layer in network for source in layer.sources}
    last = {layer.index: layer for layer in named}
    return [layer for index, layer in last.items() if index not in read]

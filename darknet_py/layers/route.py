"""[route]: the outputs of other layers, one after the other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_py.layers.base import Layer, Shape, Site, flat, image
from darknet_py.operations import Identity, Operation, Place, Plain
from darknet_py.operations.joining import Concatenation, Slice
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class RouteOptions(LayerOptions):
    """Keys of [route] (C: parser.c:parse_route)."""

    layers: tuple[int, ...] = key("layers to join; a negative one counts back from this layer")
    groups: int = key("split every source's channels into this many parts", 1, only="alexeyab")
    group_id: int = key("the part that is taken, from 0", 0, only="alexeyab")
    stream: int = key("CUDA stream that the layer runs on", -1, only="alexeyab")
    wait_stream: int = key("CUDA stream that is waited for first", -1, only="alexeyab")


class Route(Layer):
    """Concatenation along the channels.

    Inputs `(batch, c_i, h, w)`, output `(batch, sum of c_i / groups, h, w)`; where the heights
    or widths differ, the flattened inputs joined. C: route_layer.c:forward_route_layer.
    """

    Options = RouteOptions
    options: RouteOptions

    def __init__(self, options: RouteOptions, site: Site) -> None:
        super().__init__(options, site)
        if not options.layers:
            raise site.section.error("layers names no layer", "layers")
        self.sources = tuple(site.source(number, "layers") for number in options.layers)
        self.groups, self.group_id = options.groups, options.group_id
        if self.groups < 1 or not 0 <= self.group_id < self.groups:
            raise site.section.error(
                f"group_id must be from 0 to groups - 1, got {self.group_id} of {self.groups}"
            )

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        self.in_shape = inputs[0]
        if any(shape.channels % self.groups for shape in inputs):
            raise self.section.error(
                f"groups={self.groups} must divide the channels of every source", "groups"
            )
        if len({(shape.height, shape.width) for shape in inputs}) == 1:
            channels = sum(shape.channels for shape in inputs) // self.groups
            self.out_shape = Shape(channels, inputs[0].height, inputs[0].width)
        else:
            self.out_shape = Shape(sum(shape.size for shape in inputs) // self.groups, 0, 0)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Join the sources."""
        parts = list(inputs)
        if self.groups > 1:
            parts = [x.chunk(self.groups, 1)[self.group_id] for x in parts]
        if len(parts) == 1:
            return parts[0]
        if not self.out_shape.is_image:
            return torch.cat([flat(x) for x in parts], 1)
        if any(x.dim() == 4 for x in parts):
            parts = [image(x) for x in parts]
        return torch.cat(parts, 1)

    def lower(self, place: Place) -> Operation:
        """The part of one source as it lies in memory, or several written side by side."""
        if len(self.sources) == 1 and self.groups == 1:
            return Identity()
        if len(self.sources) == 1:
            count = self.in_shape.channels // self.groups
            return Slice(count * self.group_id, count * (self.group_id + 1))
        if self.groups > 1 or not self.out_shape.is_image:
            return Plain(self, place, direct=True, traceable=True)
        return Concatenation(place)

    def row(self) -> str:
        """As route_layer.c:make_route_layer and parser.c:parse_route print it."""
        names = "".join(f" {source}" for source in self.sources)
        if self.dialect.name == "pjreddie":
            return f"route {names}"
        o, count = self.out_shape, len(self.sources)
        tabs = "\t\t            " if count == 1 else "\t            " if count < 4 else "\t    "
        part = f"{self.group_id}/{self.groups}" if self.groups > 1 else "   "
        if not o.is_image:
            names += " The width and height of the input layers are different. \n"
        return (
            f"route {names} {tabs}           {part} -> "
            f"{o.width:4d} x{o.height:4d} x{o.channels:4d} "
        )

"""[dropout]: values left out at random while training, nothing otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from darknet_py.layers.base import Layer, Site
from darknet_py.operations import Identity, Operation, Place
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class DropoutOptions(LayerOptions):
    """Keys of [dropout] (C: parser.c:parse_dropout)."""

    probability: float = key("share of the values that are left out", 0.5, alexeyab=0.2)
    dropblock: bool = key(
        "leave out square blocks instead of single values", False, only="alexeyab"
    )
    dropblock_size_rel: float = key(
        "side of a block as a share of the input's side", 0.0, only="alexeyab"
    )
    dropblock_size_abs: float = key(
        "side of a block in pixels; without any size 7", 0.0, only="alexeyab"
    )


class Dropout(Layer):
    """The identity at inference.

    Source: Srivastava et al. 2014; C: dropout_layer.c:forward_dropout_layer.
    """

    Options = DropoutOptions
    options: DropoutOptions

    def __init__(self, options: DropoutOptions, site: Site) -> None:
        super().__init__(options, site)
        if not 0 <= options.probability < 1:
            raise site.section.error(
                f"probability must be from 0 to below 1, got {options.probability:g}", "probability"
            )
        if options.dropblock:
            site.need_image()

    def forward(self, *inputs: Tensor) -> Tensor:
        """The input itself."""
        return inputs[0]

    def lower(self, place: Place) -> Operation:
        """Nothing."""
        return Identity()

    def row(self) -> str:
        """As dropout_layer.c:make_dropout_layer prints it."""
        count, p = self.in_shape.size, self.options.probability
        if self.dialect.name == "pjreddie":
            return f"dropout       p = {p:.2f}               {count:4d}  ->  {count:4d}"
        if not self.options.dropblock:
            return f"dropout    p = {p:.3f}        {count:4d}  ->   {count:4d}"
        size = f"l.dropblock_size_abs = {self.block_size}"
        if self.block_size == 0:
            size = f"l.dropblock_size_rel = {self.options.dropblock_size_rel:.2f}"
        return f"dropblock    p = {p:.3f}   {size}    {count:4d}  ->   {count:4d}"

    @property
    def block_size(self) -> int:
        """Side of a dropped block in pixels; 0: dropblock_size_rel gives it."""
        size = int(self.options.dropblock_size_abs)
        if size > min(self.in_shape.height, self.in_shape.width):
            size = min(self.in_shape.height, self.in_shape.width)
        return size if size or self.options.dropblock_size_rel else 7

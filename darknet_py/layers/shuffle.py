"""[shuffle]: channels of several groups dealt out in turn; an extension, in neither fork."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from darknet_py.layers.base import Layer, Site, image
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class ShuffleOptions(LayerOptions):
    """Keys of [shuffle], a section that C does not know."""

    groups: int = key("how many groups of channels there are", 1)


class Shuffle(Layer):
    """Channel shuffle: output channel `j * groups + i` is the j-th of input group i.

    Input and output `(batch, c, h, w)`. Source: Zhang et al., "ShuffleNet", 2018, section 3.1.
    """

    Options = ShuffleOptions
    options: ShuffleOptions

    def __init__(self, options: ShuffleOptions, site: Site) -> None:
        super().__init__(options, site)
        channels = site.need_image().channels
        if options.groups < 1 or channels % options.groups:
            raise site.section.error(
                f"groups={options.groups} must divide the {channels} channels", "groups"
            )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Shuffle."""
        x = image(inputs[0])
        groups, (channels, height, width) = self.options.groups, x.shape[1:]
        return (
            x.reshape(-1, groups, channels // groups, height, width)
            .transpose(1, 2)
            .reshape(x.shape)
        )

    def row(self) -> str:
        """In the manner of C's rows."""
        i = self.in_shape
        return (
            f"shuffle         {self.options.groups:4d}     "
            f"{i.width:4d} x{i.height:4d} x{i.channels:4d}"
        )

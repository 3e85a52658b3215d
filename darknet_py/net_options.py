"""The keys of [net] that say what goes into a network."""

from __future__ import annotations

from dataclasses import dataclass

from darknet_py.cfg import Section
from darknet_py.layers.base import Shape
from darknet_py.options import key


@dataclass(frozen=True)
class NetOptions:
    """Keys of [net] that the network itself needs (C: parser.c:parse_net_options)."""

    batch: int = key("images of one iteration", 1)
    subdivisions: int = key("mini-batches of one iteration", 1)
    time_steps: int = key("steps of a sequence", 1)
    height: int = key("the input's height", 0)
    width: int = key("the input's width", 0)
    channels: int = key("the input's channels", 0)
    inputs: int | None = key("values of one input (default: height * width * channels)", None)
    notruth: bool = key("the data hold no truth", False, only="pjreddie")
    letter_box: bool = key("keep the aspect ratio of images", False, only="alexeyab")
    show_receptive_field: bool = key(
        "print the receptive field of each layer", False, only="alexeyab"
    )

    def image(self, section: Section) -> Shape:
        """The input's shape.

        Raises:
            CfgError: neither an image size nor `inputs` is given.
        """
        sides = (self.channels, self.height, self.width)
        if min(sides) > 0:
            return Shape(*sides)
        if min(sides) < 0 or not self.inputs or self.inputs < 0:
            raise section.error("give height, width and channels, or inputs, each above 0")
        return Shape(self.inputs, 0, 0)

"""[dropout]: values left out at random while training, nothing otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_py.layers.base import Layer, Site, Step
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

    While training each value is 0 with the chance `probability`, or else divided by the rest.
    With dropblock, of each map that is hit one square is 0, and the rest of the sample grows by
    what it lost; chance and square grow over the first 85 % of the training.
    Source: Srivastava et al. 2014, Ghiasi et al. 2018; C: dropout_layer.c:forward_dropout_layer,
    dropout_layer_kernels.cu:forward_dropout_layer_gpu.
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
        self.generator = torch.Generator()
        self.progress = 1.0

    def begin(self, step: Step, truth: Tensor) -> None:
        """Draw the seed, and see how far the training is."""
        self.generator.manual_seed(int(step.random.integers(1 << 62)))
        full = step.max_batches * 0.85
        self.progress = step.iteration / full if step.iteration < full else 1.0

    def forward(self, *inputs: Tensor) -> Tensor:
        """The input itself, or while training what is left of it."""
        (x,) = inputs
        if not self.training or not self.options.probability:
            return x
        if self.options.dropblock:
            return self._drop_blocks(x)
        share = 1 - self.options.probability
        return x * self._kept(x, share).mul_(1 / share)

    def _kept(self, x: Tensor, share: float) -> Tensor:
        """1 with the chance `share`, to within 2^-16, otherwise 0: in the layout of `x`.

        Four chances come from each drawn number, which takes a quarter of bernoulli_'s time.
        """
        kept = torch.empty_like(x)
        numbers = torch.empty((x.numel() + 3) // 4, dtype=torch.int64)
        numbers = numbers.random_(-(1 << 63), None, generator=self.generator).to(x.device)
        drawn = numbers.view(torch.int16)[: x.numel()].as_strided(kept.shape, kept.stride())
        below = min(round(share * (1 << 16)) - (1 << 15), (1 << 15) - 1)
        return torch.lt(drawn, below, out=kept)

    def _drop_blocks(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        chance, side = self.options.probability * self.progress, self._side(height, width)
        places = torch.rand(batch, channels, height * width, generator=self.generator)
        least, place = places.min(2)
        # PARITY: one block of each map at most, where the lowest number fell; a corner beyond the
        # last place for a block starts again from 0 (C: dropblock_fast_kernel).
        hit = least < chance / side**2
        top, left = place // width, place % width
        top = torch.where(top > height - side, top - (height - side), top).clamp(max=height - side)
        left = torch.where(left > width - side, left - (width - side), left).clamp(max=width - side)
        rows, columns = torch.arange(height).view(-1, 1), torch.arange(width)
        top, left = top[:, :, None, None], left[:, :, None, None]
        inside = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
        dropped = (inside & hit[:, :, None, None]).to(x)
        lost = hit.sum(1).to(x) * side**2 / (channels * height * width)
        scale = 1 / (1 - lost).clamp(min=1e-6)
        return x * (1 - dropped) * scale.view(-1, 1, 1, 1)

    def _side(self, height: int, width: int) -> int:
        """The side of a block now, in pixels."""
        sides = (self.block_size, self.block_size)
        if self.options.dropblock_size_rel:
            rel = self.options.dropblock_size_rel
            sides = (int(rel * height * self.progress), int(rel * width * self.progress))
        else:
            sides = (int(sides[0] * self.progress), int(sides[1] * self.progress))
        return min(max(sides[0], 1), max(sides[1], 1), height, width)

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

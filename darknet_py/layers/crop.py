"""[crop]: the middle of an image, its values moved to -1 to 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py.layers.base import Layer, Shape, Site, Step, image
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class CropOptions(LayerOptions):
    """Keys of [crop] (C: parser.c:parse_crop)."""

    crop_height: int = key("the output's height", 1)
    crop_width: int = key("the output's width", 1)
    flip: bool = key("mirror at random while training", False)
    angle: float = key("largest random rotation while training, in degrees", 0.0)
    saturation: float = key("largest random factor of the saturation while training", 1.0)
    exposure: float = key("largest random factor of the brightness while training", 1.0)
    noadjust: bool = key("leave the values as they are", False)
    shift: float = key("largest random shift of the colours while training", 0.0)


class Crop(Layer):
    """Centre crop, and `2 x - 1` unless noadjust.

    Input `(batch, c, h, w)`, output `(batch, c, crop_height, crop_width)`. While training the
    crop, its mirroring and turn, saturation and exposure are left to chance for each sample.
    C: crop_layer.c:forward_crop_layer.
    """

    Options = CropOptions
    options: CropOptions

    def __init__(self, options: CropOptions, site: Site) -> None:
        super().__init__(options, site)
        self.first_shape = site.need_image()
        self.chances = torch.zeros(0, 8)
        if min(options.crop_height, options.crop_width) < 1:
            raise site.section.error("crop_height and crop_width must be at least 1")

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes; once the network is resized the crop scales along."""
        self.in_shape = inputs[0]
        height, width = self._window(inputs[0].height, inputs[0].width)
        if not (0 < height <= inputs[0].height and 0 < width <= inputs[0].width):
            raise self.section.error(f"a crop of {width} x {height} is not inside {inputs[0]}")
        self.out_shape = Shape(inputs[0].channels, height, width)

    def _window(self, height: int, width: int) -> tuple[int, int]:
        """The crop's height and width for an input of that size."""
        if (height, width) == (self.first_shape.height, self.first_shape.width):
            return self.options.crop_height, self.options.crop_width
        # PARITY: both sides scale by crop_height / height (C: crop_layer.c:resize_crop_layer).
        scale = np.float32(self.options.crop_height) / np.float32(self.first_shape.height)
        return int(scale * np.float32(height)), int(scale * np.float32(width))

    def begin(self, step: Step, truth: Tensor) -> None:
        """Draw eight numbers for each sample."""
        drawn = step.random.random((step.batch, 8), dtype=np.float32)
        self.chances = torch.from_numpy(drawn)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Crop and adjust."""
        x = image(inputs[0])
        if self.training and len(self.chances) == len(x):
            return self._crop_by_chance(x)
        height, width = self._window(x.shape[2], x.shape[3])
        top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
        x = x[:, :, top : top + height, left : left + width]
        return x if self.options.noadjust else x * 2 - 1

    @torch.no_grad()
    def _crop_by_chance(self, x: Tensor) -> Tensor:
        """As crop_layer_kernels.cu:forward_crop_layer_gpu."""
        o, chances = self.options, self.chances.to(x)
        x = self._recolour(x, chances)
        height, width = self._window(x.shape[2], x.shape[3])
        left = (x.shape[3] - width) * chances[:, 4].view(-1, 1, 1)
        top = (x.shape[2] - height) * chances[:, 5].view(-1, 1, 1)
        flip = (chances[:, 6] > 0.5).view(-1, 1, 1) & o.flip
        angle = ((2 * chances[:, 7] - 1) * (o.angle * np.pi / 180)).view(-1, 1, 1)
        columns = torch.arange(width).to(x)
        columns = torch.where(flip, x.shape[3] - left - columns - 1, columns + left)
        rows = torch.arange(height).to(x).view(1, -1, 1) + top
        across, down = columns - x.shape[3] / 2, rows - x.shape[2] / 2
        source_x = angle.cos() * across - angle.sin() * down + x.shape[3] / 2
        source_y = angle.sin() * across + angle.cos() * down + x.shape[2] / 2
        grid = torch.stack(
            [source_x * 2 / max(x.shape[3] - 1, 1) - 1, source_y * 2 / max(x.shape[2] - 1, 1) - 1],
            -1,
        )
        return F.grid_sample(x, grid, padding_mode="zeros", align_corners=True)

    def _recolour(self, x: Tensor, chances: Tensor) -> Tensor:
        o = self.options
        if x.shape[1] == 3 and (o.saturation != 1 or o.exposure != 1):
            factors = chances[:, (0, 2)] * torch.tensor([o.saturation - 1, o.exposure - 1]) + 1
            factors = torch.where(chances[:, (1, 3)] > 0.5, 1 / factors, factors)
            saturation, exposure = factors.view(-1, 2, 1, 1, 1).unbind(1)
            value = x.amax(1, keepdim=True)
            # In HSV: the distance of each channel from the value grows with the saturation.
            x = (value - (value - x) * saturation).clamp(min=0) * exposure
        x = x if o.noadjust else x * 2 - 1
        return x + (chances[0, :3].view(1, -1, 1, 1)[:, : x.shape[1]] - 0.5) * o.shift

    def row(self) -> str:
        """As crop_layer.c:make_crop_layer prints it."""
        i, o = self.in_shape, self.out_shape
        return f"Crop Layer: {i.height} x {i.width} -> {o.height} x {o.width} x {i.channels} image"

"""[batchnorm]: batch norm as a layer of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from darknet_py.batchnorm import BatchNormalizer
from darknet_py.layers.base import Layer, Shape, Site, image
from darknet_py.options import LayerOptions


@dataclass(frozen=True)
class BatchNormOptions(LayerOptions):
    """Keys of [batchnorm]: none of its own (C: parser.c:parse_batchnorm)."""


class BatchNorm(Layer):
    """Batch norm per channel, without an activation.

    Input and output `(batch, c, h, w)`. C: batchnorm_layer.c:forward_batchnorm_layer.
    """

    Options = BatchNormOptions
    options: BatchNormOptions
    overwrites = True

    def __init__(self, options: BatchNormOptions, site: Site) -> None:
        super().__init__(options, site)
        channels = site.need_image().channels
        # PARITY: pjreddie never loads, saves or trains these biases: they stay 0
        # (C: parser.c:save_batchnorm_weights).
        self.biases = site.parameter(channels) if site.dialect.batchnorm_biases else None
        self.normalizer = BatchNormalizer(channels, site.dialect)

    def resize(self, *inputs: Shape) -> None:
        """The output's shape is the input's."""
        self.in_shape = self.out_shape = inputs[0]

    def forward(self, *inputs: Tensor) -> Tensor:
        """Normalise, scale, shift."""
        x: Tensor = self.normalizer(image(inputs[0]), self.biases)
        return x

    def arrays(self) -> Iterator[tuple[str, Tensor]]:
        """Biases where the dialect stores them, then scales, mean and variance."""
        if self.biases is not None:
            yield "biases", self.biases
        yield from self.normalizer.arrays()

    def row(self) -> str:
        """As batchnorm_layer.c:make_batchnorm_layer prints it."""
        i = self.in_shape
        return f"Batch Normalization Layer: {i.width} x {i.height} x {i.channels} image"

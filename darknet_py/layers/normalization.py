"""[normalization], [lrn]: local response normalization across channels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from darknet_py.layers.base import Layer, Site, image
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class NormalizationOptions(LayerOptions):
    """Keys of [normalization] (C: parser.c:parse_normalization)."""

    alpha: float = key("multiplies the sum of squares", 0.0001)
    beta: float = key("the norm's exponent", 0.75)
    kappa: float = key("added to the norm", 1.0)
    size: int = key("how many neighbouring channels are summed", 5)


class Normalization(Layer):
    """`x * norm ** -beta`, with `norm = kappa + alpha * (sum of squares of near channels)`.

    The channels near k are those from `k - (size - 1) // 2` to `k + size // 2`, and the square
    of channel `size // 2` is taken off every sum. Input and output `(batch, c, h, w)`.
    Source: Krizhevsky et al. 2012, section 3.3; C: normalization_layer.c.
    """

    Options = NormalizationOptions
    options: NormalizationOptions
    overwrites = True

    def __init__(self, options: NormalizationOptions, site: Site) -> None:
        super().__init__(options, site)
        channels, half = site.need_image().channels, options.size // 2
        if options.size < 1 or half > channels:
            raise site.section.error(
                f"size must be from 1 to {2 * channels + 1}, twice the {channels} channels, "
                f"got {options.size}",
                "size",
            )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Normalise."""
        x = image(inputs[0])
        size, half = self.options.size, self.options.size // 2
        squares = x.square()
        columns = squares.flatten(2)[:, None]
        padded = F.pad(columns, (0, 0, (size - 1) // 2, half))
        sums = F.avg_pool2d(padded, (size, 1), 1, divisor_override=1).view_as(x)
        # PARITY: C slides the sum from channel to channel; it starts without channel size / 2,
        # which is never added, but later taken off (normalization_layer.c).
        sums = sums - squares[:, half : half + 1] if half < x.shape[1] else sums
        norms = self.options.kappa + self.options.alpha * sums
        factors = norms.pow(-self.options.beta)
        # PARITY: backward takes the norms for constants (C: backward_normalization_layer).
        return x * (factors.detach() if self.training else factors)

    def row(self) -> str:
        """As normalization_layer.c:make_normalization_layer prints it."""
        return (
            f"Local Response Normalization Layer: {self.in_shape} image, {self.options.size} size"
        )

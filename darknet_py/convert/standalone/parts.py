"""What a standalone file may hold: plain torch modules, copied whole into the file that needs them.

They use nothing of this package.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Conv(nn.Module):
    """Convolution, batch norm, activation."""

    def __init__(
        self,
        inputs: int,
        filters: int,
        size: int,
        stride: int | tuple[int, int] = 1,
        padding: int = 0,
        *,
        dilation: int = 1,
        groups: int = 1,
        norm: bool = True,
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, filters, size, stride, padding, dilation, groups, bias=not norm
        )
        self.norm = nn.BatchNorm2d(filters) if norm else nn.Identity()
        self.activation = activation or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, inputs, h, w)` to `(batch, filters, h', w')`."""
        return self.activation(self.norm(self.conv(x)))


class Deconv(nn.Module):
    """Transposed convolution, batch norm, activation."""

    def __init__(
        self,
        inputs: int,
        filters: int,
        size: int,
        stride: int = 1,
        padding: int = 0,
        *,
        norm: bool = True,
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, filters, size, stride, padding, bias=not norm)
        self.norm = nn.BatchNorm2d(filters) if norm else nn.Identity()
        self.activation = activation or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, inputs, h, w)` to `(batch, filters, h', w')`."""
        return self.activation(self.norm(self.conv(x)))


class Linear(nn.Module):
    """A matrix on the flattened input, batch norm, activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        norm: bool = False,
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=not norm)
        self.norm = nn.BatchNorm1d(outputs) if norm else nn.Identity()
        self.activation = activation or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, ...)` to `(batch, outputs)`."""
        return self.activation(self.norm(self.linear(x.flatten(1))))


class Local(nn.Module):
    """A convolution whose filters differ from place to place, and an activation."""

    def __init__(
        self,
        inputs: int,
        filters: int,
        size: int,
        stride: int,
        padding: int,
        height: int,
        width: int,
        *,
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.size, self.stride, self.padding = size, stride, padding
        self.bias = nn.Parameter(torch.zeros(filters, height, width))
        self.weight = nn.Parameter(torch.zeros(height * width, filters, inputs * size * size))
        self.activation = activation or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, inputs, h, w)` to `(batch, filters, height, width)`."""
        windows = F.unfold(x, self.size, 1, self.padding, self.stride)
        x = torch.einsum("pfk,bkp->bfp", self.weight, windows)
        return self.activation(x.view(len(x), *self.bias.shape) + self.bias)


class MaxPool(nn.Module):
    """Max pooling with a total of `padding` pixels, the odd one at the bottom and right."""

    def __init__(self, size: int, stride: int | tuple[int, int], padding: int) -> None:
        super().__init__()
        self.size, self.stride = size, stride
        self.before, self.after = padding // 2, padding - padding // 2

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, c, h, w)` to `(batch, c, h', w')`."""
        x = F.pad(x, (self.before, self.after, self.before, self.after), value=-torch.inf)
        return F.max_pool2d(x, self.size, self.stride)


class ChannelMaxPool(nn.Module):
    """The largest of the maps g, g + channels, g + 2 channels, ... as map g."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, c, h, w)` to `(batch, channels, h, w)`."""
        missing = -x.shape[1] % self.channels
        x = F.pad(x, (0, 0, 0, 0, 0, missing), value=-torch.inf)
        return x.view(len(x), -1, self.channels, *x.shape[2:]).amax(1)


class Blur(nn.Module):
    """A blur with a stride, channel by channel (Zhang 2019): of 2 x 2 or 3 x 3 pixels."""

    def __init__(self, size: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.size, self.stride = size, stride

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, c, h, w)` to `(batch, c, h', w')`."""
        line = torch.tensor([0.5, 0.5] if self.size == 2 else [0.25, 0.5, 0.25])
        kernel = torch.outer(line, line).to(x).expand(x.shape[1], 1, -1, -1)
        return F.conv2d(x, kernel, None, self.stride, self.size - 2, groups=x.shape[1])


class Crop(nn.Module):
    """The middle of the image; its values, from 0 to 1, moved to -1 to 1 if `adjust`."""

    def __init__(self, height: int, width: int, *, adjust: bool) -> None:
        super().__init__()
        self.height, self.width, self.adjust = height, width, adjust

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, c, h, w)` to `(batch, c, height, width)`."""
        top, left = (x.shape[2] - self.height) // 2, (x.shape[3] - self.width) // 2
        x = x[:, :, top : top + self.height, left : left + self.width]
        return x * 2 - 1 if self.adjust else x


class LocalResponseNorm(nn.Module):
    """`x * (kappa + alpha * squares of near channels) ** -beta`, with Darknet's sums.

    Every sum lacks the square of channel `size // 2`.
    """

    def __init__(self, size: int, alpha: float, beta: float, kappa: float) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.kappa = size, alpha, beta, kappa

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, c, h, w)` to the same."""
        squares, half = x.square(), self.size // 2
        padded = F.pad(squares.flatten(2)[:, None], (0, 0, (self.size - 1) // 2, half))
        sums = F.avg_pool2d(padded, (self.size, 1), 1, divisor_override=1).view_as(x)
        if half < x.shape[1]:
            sums = sums - squares[:, half : half + 1]
        return x * (self.kappa + self.alpha * sums).pow(-self.beta)


class Reorg(nn.Module):
    """YOLOv2's passthrough: `(batch, c, h, w)` to `(batch, c s^2, h / s, w / s)`.

    The input is read as if it were `(c / s^2, h s, w s)`: Darknet's order, which its weights need.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Blocks of pixels into channels."""
        s, (channels, height, width) = self.stride, x.shape[1:]
        x = x.reshape(len(x), channels // s**2, height, s, width, s).permute(0, 3, 5, 1, 2, 4)
        return x.reshape(len(x), channels * s**2, height // s, width // s)


class SpaceToDepth(nn.Module):
    """`(batch, c, h, w)` to `(batch, s^2 c, h / s, w / s)`: row and column in the block first."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Blocks of pixels into channels."""
        s, (channels, height, width) = self.stride, x.shape[1:]
        x = x.reshape(len(x), channels, height // s, s, width // s, s).permute(0, 3, 5, 1, 2, 4)
        return x.reshape(len(x), channels * s**2, height // s, width // s)


class Implicit(nn.Module):
    """Trained values `(batch, channels, atoms, 1)` that do not depend on the input (YOLOR)."""

    def __init__(self, channels: int, atoms: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, atoms, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The values, once for each sample of `x`."""
        return self.weight.expand(len(x), -1, -1, -1)


class WeightedSum(nn.Module):
    """Layers of one shape added, each times trained weights (`channels`: 1, or theirs)."""

    def __init__(self, inputs: int, channels: int, normalization: str = "none") -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(inputs, channels, 1, 1))
        self.normalization = normalization

    def forward(self, *inputs: Tensor) -> Tensor:
        """`(batch, c, h, w)` each to `(batch, c, h, w)`."""
        weight: Tensor = self.weight
        if self.normalization != "none":
            softmax = self.normalization == "softmax"
            weight = (weight - weight.amax(0)).exp() if softmax else F.relu(weight)
            weight = weight / (1e-4 + weight.sum(0))
        total = inputs[0] * weight[0]
        for x, factor in zip(inputs[1:], weight[1:], strict=True):
            total = total + x * factor
        return total


class SampledSum(nn.Module):
    """`alpha x + beta other` on the channels and pixels that both have, `x` elsewhere.

    Of a larger `other` every n-th pixel is taken; a smaller one is spread over x's n-th.
    """

    def __init__(self, alpha: float = 1.0, beta: float = 1.0) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """`(batch, c, h, w)` and `(batch, c', h', w')` to `(batch, c, h, w)`."""
        step = max(other.shape[3] // x.shape[3], 1)
        spread = max(x.shape[3] // other.shape[3], 1)
        shapes = zip(x.shape[1:], other.shape[1:], strict=True)
        channels, height, width = (min(sides) for sides in shapes)
        other = other[:, :channels, : height * step : step, : width * step : step]
        total = x.clone()
        block = total[:, :channels, : height * spread : spread, : width * spread : spread]
        block.copy_(self.alpha * block + self.beta * other)
        return total


class FlatSum(nn.Module):
    """The first values of `other`, in memory order, added to `x`: Darknet's [shortcut] there."""

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """`(batch, c, h, w)` and any shape to `(batch, c, h, w)`."""
        count = x[0].numel()
        values = other.flatten(1)[:, :count]
        return x + F.pad(values, (0, count - values.shape[1])).view_as(x)

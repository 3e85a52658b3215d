"""[l2norm]: every position's channels scaled to length 1."""

from __future__ import annotations

from torch import Tensor

from darknet_py.gradients import PassOn
from darknet_py.layers.base import Layer


class L2Norm(Layer):
    """`x / sqrt(sum of x^2 over the channels)`.

    Input and output `(batch, c, h, w)`, or a vector of `(batch, c)`.
    C: l2norm_layer.c, blas.c:l2normalize_cpu.
    """

    def forward(self, *inputs: Tensor) -> Tensor:
        """Scale; nan where all channels are 0, as in C."""
        (x,) = inputs
        # PARITY: a plain vector has no channels, and stays as it is (C: l2norm_layer.c sums over
        # out_c channels of out_w * out_h pixels, all 0).
        if not self.in_shape.is_image:
            return x
        if self.training:
            # PARITY: backward hands the gradient down unchanged (C: backward_l2norm_layer).
            raw = x.detach()
            out = raw / raw.square().sum(1, keepdim=True).sqrt()
            passed: Tensor = PassOn.apply(x, out)  # type: ignore[no-untyped-call]
            return passed
        return x / x.square().sum(1, keepdim=True).sqrt()

    def row(self) -> str:
        """As l2norm_layer.c:make_l2norm_layer prints it."""
        return f"l2norm                                         {self.in_shape.size:4d}"

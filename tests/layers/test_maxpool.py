import math

import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


def naive(x, size, stride, padding):
    """maxpool_layer.c:forward_maxpool_layer, loop for loop."""
    batch, channels, height, width = x.shape
    out_h, out_w = (height + padding - size) // stride + 1, (width + padding - size) // stride + 1
    out = np.full((batch, channels, out_h, out_w), -math.inf, np.float32)
    for i in range(out_h):
        for j in range(out_w):
            for row in range(i * stride - padding // 2, i * stride - padding // 2 + size):
                for column in range(j * stride - padding // 2, j * stride - padding // 2 + size):
                    if 0 <= row < height and 0 <= column < width:
                        out[..., i, j] = np.maximum(out[..., i, j], x[..., row, column])
    return out


@pytest.mark.parametrize(
    "size, stride, padding", [(2, 2, 1), (2, 1, 1), (3, 2, 2), (5, 1, 4), (4, 3, 3)]
)
def test_matches_the_c_loops(size, stride, padding):
    x = ramp(2, 3, 5, 7)
    network = build(f"[maxpool]\nsize={size}\nstride={stride}\npadding={padding}", shape=(3, 5, 7))
    expected = naive(x.numpy(), size, stride, padding)
    (actual,) = network(x)
    assert_close(actual, expected)
    assert str(network[0].out_shape) == "{2} x {1} x {0}".format(*expected.shape[1:])


def test_size_defaults_to_stride_and_padding_to_size_less_one():
    (actual,) = build("[maxpool]\nstride=2", shape=(3, 5, 7))(x := ramp(2, 3, 5, 7))
    assert_close(actual, naive(x.numpy(), 2, 2, 1))


def test_bad_size_names_the_line():
    with pytest.raises(CfgError, match=r"^test\.cfg:6: \[maxpool\]: size must be a number, got 'two'$"):
        build("[maxpool]\nsize=two")

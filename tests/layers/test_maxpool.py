import math

import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


def naive(x, size, stride, padding, stride_x=None):
    """maxpool_layer.c:forward_maxpool_layer, loop for loop."""
    stride_x = stride_x or stride
    batch, channels, height, width = x.shape
    out_h, out_w = (height + padding - size) // stride + 1, (width + padding - size) // stride_x + 1
    out = np.full((batch, channels, out_h, out_w), -math.inf, np.float32)
    for i in range(out_h):
        for j in range(out_w):
            for row in range(i * stride - padding // 2, i * stride - padding // 2 + size):
                for column in range(
                    j * stride_x - padding // 2, j * stride_x - padding // 2 + size
                ):
                    if 0 <= row < height and 0 <= column < width:
                        out[..., i, j] = np.maximum(out[..., i, j], x[..., row, column])
    return out


@pytest.mark.parametrize("sides", [(5, 7), (6, 9), (8, 11)])
@pytest.mark.parametrize(
    "size, stride, padding",
    [
        (2, 2, 1),
        (2, 1, 1),
        (3, 2, 2),
        (5, 1, 4),
        (4, 3, 3),
        (3, 2, 0),
        (4, 2, 3),
        (3, 3, 1),
        (4, 1, 3),
        (3, 2, 4),
        (3, 1, 3),
    ],
)
def test_matches_the_c_loops(size, stride, padding, sides):
    x = ramp(2, 3, *sides)
    network = build(f"[maxpool]\nsize={size}\nstride={stride}\npadding={padding}", (3, *sides))
    expected = naive(x.numpy(), size, stride, padding)
    (actual,) = network(x)
    assert_close(actual, expected)
    assert str(network[0].out_shape) == "{2} x {1} x {0}".format(*expected.shape[1:])


def test_size_defaults_to_stride_and_padding_to_size_less_one():
    (actual,) = build("[maxpool]\nstride=2", shape=(3, 5, 7))(x := ramp(2, 3, 5, 7))
    assert_close(actual, naive(x.numpy(), 2, 2, 1))


def test_strides_may_differ():
    network = build("[maxpool]\nsize=4\nstride_x=2\nstride_y=3")
    assert_close(network(x := ramp(2, 3, 5, 7))[0], naive(x.numpy(), 4, 3, 3, 2))


@pytest.mark.parametrize("channels, out_channels", [(6, 2), (5, 3), (4, 4)])
def test_depth_takes_the_largest_of_every_nth_map(channels, out_channels):
    x = ramp(2, channels, 5, 7)
    body = f"[maxpool]\nmaxpool_depth=1\nout_channels={out_channels}"
    network = build(body, shape=(channels, 5, 7))
    expected = np.stack([x.numpy()[:, g::out_channels].max(1) for g in range(out_channels)], axis=1)
    assert_close(network(x)[0], expected)
    assert network[0].out_shape.channels == out_channels


@pytest.mark.parametrize("kind, kernel", [(1, [0.25, 0.5, 0.25]), (2, [0.5, 0.5])])
def test_antialiasing_blurs_with_the_stride(kind, kernel):
    x = ramp(2, 3, 5, 7)
    network = build(f"[maxpool]\nsize=2\nstride=2\nantialiasing={kind}")
    pooled, size, pad = naive(x.numpy(), 2, 1, 1), len(kernel), 2 - kind
    padded = np.pad(pooled, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    height, width = (side + 2 * pad - size for side in pooled.shape[2:])
    expected = np.zeros((2, 3, height // 2 + 1, width // 2 + 1))
    for i, j, row, column in np.ndindex(*expected.shape[2:], size, size):
        weight = kernel[row] * kernel[column]
        expected[..., i, j] += weight * padded[..., 2 * i + row, 2 * j + column]
    assert_close(network(x)[0], expected)
    assert str(network[0].out_shape) == "{2} x {1} x {0}".format(*expected.shape[1:])


def test_rows_of_both_dialects():
    shape, body = (16, 50, 70), "[max]\nsize=3\nstride=2"
    assert build(body, shape, "pjreddie")[0].row() == (
        "max          3 x 3 / 2    70 x  50 x  16   ->    35 x  25 x  16"
    )
    assert build(body, shape, "alexeyab")[0].row() == (
        "max                3x 3/ 2     70 x  50 x  16 ->   35 x  25 x  16 0.000 BF"
    )
    assert build(body + "\nstride_x=1", shape)[0].row() == (
        "max               3x 3/ 1x 2   70 x  50 x  16 ->   70 x  25 x  16 0.000 BF"
    )
    assert build("[max]\nmaxpool_depth=1\nout_channels=4", shape)[0].row() == (
        "max-depth          1x 1/ 1     70 x  50 x  16 ->   70 x  50 x   4 0.000 BF"
    )
    assert build("[max]\nstride=2\nantialiasing=1", shape)[0].row() == (
        "max                2x 2/ 1     70 x  50 x  16 ->   70 x  50 x  16 0.000 BF\n"
        "AA:  conv     16/  16  3 x 3/ 2     70 x  50 x  16 ->   35 x  25 x  16 0.000 BF"
    )


def test_bad_size_names_the_line():
    with pytest.raises(
        CfgError, match=r"^test\.cfg:6: \[maxpool\]: size must be a number, got 'two'$"
    ):
        build("[maxpool]\nsize=two")


def test_out_channels_must_be_there():
    with pytest.raises(CfgError) as error:
        build("[maxpool]\nmaxpool_depth=1\nout_channels=4")
    assert str(error.value) == (
        "test.cfg:7: [maxpool]: out_channels must be from 1 to the 3 input channels, got 4"
    )


def test_a_huge_window_takes_no_memory_of_its_size():
    x = ramp(2, 3, 5, 7)
    (actual,) = build("[maxpool]\nsize=100000")(x)
    assert_close(actual, x.amax((2, 3), keepdim=True).expand_as(x))

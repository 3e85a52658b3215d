import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


def reorg(x, out_shape, stride, forward):
    """AlexeyAB's blas.c:reorg_cpu with the output's size, loop for loop."""
    channels, height, width = out_shape
    flat, out = x.reshape(len(x), -1), np.empty((len(x), x[0].size), np.float32)
    few = channels // stride**2
    for k in range(channels):
        for j in range(height):
            for i in range(width):
                near = i + width * (j + height * k)
                row = j * stride + k // few // stride
                column = i * stride + k // few % stride
                far = column + width * stride * (row + height * stride * (k % few))
                if forward:
                    out[:, far] = flat[:, near]
                else:
                    out[:, near] = flat[:, far]
    return out


@pytest.mark.parametrize("shape, stride", [((3, 6, 4), 2), ((2, 6, 9), 3), ((3, 5, 7), 1)])
def test_space_to_depth(shape, stride):
    x = ramp(2, *shape)
    (actual,) = build(f"[reorg3d]\nstride={stride}", shape)(x)
    out_shape = (shape[0] * stride**2, shape[1] // stride, shape[2] // stride)
    assert actual.shape == (2, *out_shape)
    assert_close(actual.flatten(1), reorg(x.numpy(), out_shape, stride, forward=False))


@pytest.mark.parametrize("shape, stride", [((16, 3, 5), 2), ((32, 2, 3), 2), ((3, 5, 7), 1)])
def test_reverse(shape, stride):
    x = ramp(2, *shape)
    network = build(f"[reorg3d]\nstride={stride}\nreverse=1", shape)
    (actual,) = network(x)
    out_shape = (shape[0] // stride**2, shape[1] * stride, shape[2] * stride)
    assert actual.shape == (2, *out_shape)
    assert_close(actual.flatten(1), reorg(x.numpy(), out_shape, stride, forward=True))


def test_makes_the_dialect_alexeyab():
    assert build("[reorg3d]").dialect.name == "alexeyab"


@pytest.mark.parametrize(
    "keys, shape, message",
    [
        ("stride=2", (3, 5, 7), "stride=2 must divide 7 x 5"),
        (
            "stride=2\nreverse=1",
            (4, 5, 7),
            "reverse with stride=2 needs a multiple of 16 channels, got 4",
        ),
    ],
)
def test_errors(keys, shape, message):
    with pytest.raises(CfgError) as caught:
        build(f"[reorg3d]\n{keys}", shape)
    assert str(caught.value) == f"test.cfg:6: [reorg3d]: {message}"


def test_row():
    assert build("[reorg3d]\nstride=2", (4, 6, 2))[0].row() == (
        "reorg                    / 2    2 x   6 x   4 ->    1 x   3 x  16"
    )

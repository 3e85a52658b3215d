import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


def reorg(x, stride, forward):
    """blas.c:reorg_cpu with the input's width, height and channels, loop for loop."""
    _, channels, height, width = x.shape
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


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("shape, stride", [((8, 6, 4), 2), ((18, 6, 9), 3), ((3, 5, 7), 1)])
def test_matches_the_c_loops(shape, stride, reverse, dialect):
    x = ramp(2, *shape)
    network = build(f"[reorg]\nstride={stride}\nreverse={reverse}", shape, dialect)
    (actual,) = network(x)
    assert_close(actual.flatten(1), reorg(x.numpy(), stride, forward=reverse))
    channels, height, width = actual.shape[1:]
    assert str(network[0].out_shape) == f"{width} x {height} x {channels}"
    assert width == (shape[2] * stride if reverse else shape[2] // stride)


@pytest.mark.parametrize("reverse", [0, 1])
def test_flatten_puts_the_channels_last(reverse):
    x = ramp(2, 3, 5, 7)
    expected = x.numpy().reshape(2, 35, 3) if reverse else x.numpy().reshape(2, 3, 35)
    network = build(f"[reorg]\nflatten=1\nreverse={reverse}", dialect="pjreddie")
    assert_close(network(x)[0].flatten(1), expected.transpose(0, 2, 1).reshape(2, -1))
    assert network[0].out_shape == network.image


def test_flatten_with_a_stride_takes_the_shape_of_a_reorg():
    x = ramp(2, 4, 6, 2)
    network = build("[reorg]\nflatten=1\nstride=2", (4, 6, 2), "pjreddie")
    (actual,) = network(x)
    assert actual.shape == (2, 16, 3, 1)
    assert_close(actual.flatten(1), x.flatten(2).transpose(1, 2).flatten(1))


def test_extra_appends_zeros():
    x = ramp(2, 3, 5, 7)
    network = build("[reorg]\nextra=4", dialect="pjreddie")
    assert_close(network(x)[0], np.pad(x.numpy().reshape(2, -1), ((0, 0), (0, 4))))
    assert str(network[0].out_shape) == "109"


def test_extra_after_flatten():
    x = ramp(2, 3, 5, 7)
    network = build("[reorg]\nflatten=1\nextra=4", dialect="pjreddie")
    expected = x.numpy().reshape(2, 3, 35).transpose(0, 2, 1).reshape(2, -1)
    assert_close(network(x)[0], np.pad(expected, ((0, 0), (0, 4))))


def test_a_stride_that_does_not_fit():
    with pytest.raises(CfgError) as caught:
        build("[reorg]\nstride=2", (8, 5, 4))
    assert str(caught.value) == (
        "test.cfg:6: [reorg]: stride=2 does not fit 4 x 5 x 8: width and height must be multiples "
        "of 2 and channels of 4"
    )


def test_rows():
    text = "[reorg]\nstride=2"
    assert build(text, (4, 6, 2), "pjreddie")[0].row() == (
        "reorg              / 2     2 x   6 x   4   ->     1 x   3 x  16"
    )
    assert build(text, (4, 6, 2), "alexeyab")[0].row() == (
        "reorg_old              / 2     2 x   6 x   4   ->     1 x   3 x  16"
    )
    assert build("[reorg]\nextra=2", (4, 6, 2), "pjreddie")[0].row() == (
        "reorg                48   ->    50"
    )

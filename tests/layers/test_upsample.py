import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


def upsample(x, out_shape, stride, scale, forward):
    """blas.c:upsample_cpu, loop for loop, on flat memory; the small map is `out_shape` backward."""
    channels, height, width = x.shape[1:] if forward else out_shape
    small_size = channels * height * width
    out = np.zeros((len(x), small_size * stride**2 if forward else small_size), np.float32)
    for sample, result in zip(x.reshape(len(x), -1), out, strict=True):
        for k in range(channels):
            for j in range(height * stride):
                for i in range(width * stride):
                    small = (k * height + j // stride) * width + i // stride
                    large = (k * height * stride + j) * width * stride + i
                    if forward:
                        result[large] = scale * sample[small]
                    else:
                        result[small] += scale * sample[large]
    return out


@pytest.mark.parametrize("stride, scale", [(2, 1), (3, 1), (1, 0.5), (2, -2)])
def test_repeats_pixels(stride, scale):
    x = ramp(2, 3, 5, 7)
    network = build(f"[upsample]\nstride={stride}\nscale={scale}")
    (actual,) = network(x)
    assert actual.shape == (2, 3, 5 * stride, 7 * stride)
    assert str(network[0].out_shape) == f"{7 * stride} x {5 * stride} x 3"
    assert_close(actual.flatten(1), upsample(x.numpy(), None, stride, scale, forward=True))


@pytest.mark.parametrize(
    "shape, stride, scale", [((3, 4, 6), 2, 1), ((2, 9, 6), 3, 0.5), ((3, 5, 7), 2, 1)]
)
def test_a_negative_stride_sums_blocks(shape, stride, scale):
    x = ramp(2, *shape)
    network = build(f"[upsample]\nstride=-{stride}\nscale={scale}", shape)
    (actual,) = network(x)
    small = (shape[0], shape[1] // stride, shape[2] // stride)
    assert actual.shape == (2, *small)
    assert_close(actual.flatten(1), upsample(x.numpy(), small, stride, scale, forward=False))


def test_stride_defaults_to_two():
    assert str(build("[upsample]")[0].out_shape) == "14 x 10 x 3"


@pytest.mark.parametrize(
    "stride, message",
    [(0, "stride must not be 0"), (-6, "stride=-6 leaves nothing of 7 x 5 x 3")],
)
def test_errors(stride, message):
    with pytest.raises(CfgError) as caught:
        build(f"[upsample]\nstride={stride}")
    assert str(caught.value) == f"test.cfg:6: [upsample]: {message}"


@pytest.mark.parametrize(
    "dialect, stride, expected",
    [
        ("pjreddie", 2, "upsample            2x     7 x   5 x   3   ->    14 x  10 x   3"),
        ("pjreddie", -2, "downsample          2x     7 x   5 x   3   ->     3 x   2 x   3"),
        ("alexeyab", 2, "upsample                 2x     7 x   5 x   3 ->   14 x  10 x   3"),
        ("alexeyab", -2, "downsample               2x     7 x   5 x   3 ->    3 x   2 x   3"),
    ],
)
def test_rows(dialect, stride, expected):
    assert build(f"[upsample]\nstride={stride}", dialect=dialect)[0].row() == expected

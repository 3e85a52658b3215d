import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


def naive(x, height, width, scale, shift):
    """crop_layer.c:forward_crop_layer at inference, loop for loop."""
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    out = np.empty((*x.shape[:2], height, width), np.float32)
    for i in range(height):
        for j in range(width):
            out[:, :, i, j] = x[:, :, i + top, j + left] * scale + shift
    return out


@pytest.mark.parametrize("noadjust", [0, 1])
@pytest.mark.parametrize("height, width", [(2, 4), (5, 7), (4, 1)])
def test_matches_the_c_loops(height, width, noadjust):
    x = ramp(2, 3, 5, 7)
    network = build(f"[crop]\ncrop_height={height}\ncrop_width={width}\nnoadjust={noadjust}")
    expected = naive(x.numpy(), height, width, *((1, 0) if noadjust else (2, -1)))
    assert_close(network(x)[0], expected)
    assert str(network[0].out_shape) == f"{width} x {height} x 3"


def test_the_crop_scales_with_the_network():
    network = build("[crop]\ncrop_height=4\ncrop_width=6\n", shape=(3, 5, 7))
    network.resize(10, 21)
    assert str(network[0].out_shape) == "16 x 8 x 3"  # both by 4 / 5, cut off
    x = ramp(2, 3, 10, 21)
    assert_close(network(x)[0], naive(x.numpy(), 8, 16, 2, -1))


@pytest.mark.parametrize(
    "keys, message",
    [
        ("crop_height=6\ncrop_width=2", "a crop of 2 x 6 is not inside 7 x 5 x 3"),
        ("crop_height=0", "crop_height and crop_width must be at least 1"),
    ],
)
def test_errors(keys, message):
    with pytest.raises(CfgError) as caught:
        build(f"[crop]\n{keys}")
    assert str(caught.value) == f"test.cfg:5: [crop]: {message}"


def test_row():
    layer = build("[crop]\ncrop_height=2\ncrop_width=4")[0]
    assert layer.row() == "Crop Layer: 5 x 7 -> 2 x 4 x 3 image"

import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


def naive(x, size, stride_y, stride_x, padding):
    """maxpool_layer.c:forward_local_avgpool_layer, loop for loop."""
    batch, channels, height, width = x.shape
    out_h = (height + padding - size) // stride_y + 1
    out_w = (width + padding - size) // stride_x + 1
    out = np.zeros((batch, channels, out_h, out_w))
    for i, j in np.ndindex(out_h, out_w):
        count = 0
        for n, m in np.ndindex(size, size):
            y, z = i * stride_y + n - padding // 2, j * stride_x + m - padding // 2
            if 0 <= y < height and 0 <= z < width:
                out[..., i, j] += x[..., y, z]
                count += 1
        out[..., i, j] /= count
    return out


@pytest.mark.parametrize(
    "keys, size, stride_y, stride_x, padding",
    [
        ("size=3\nstride=2", 3, 2, 2, 2),
        ("size=2\nstride=1", 2, 1, 1, 1),
        ("size=4\nstride_x=3\nstride_y=2", 4, 2, 3, 3),
        ("size=3\nstride=1\npadding=0", 3, 1, 1, 0),
        ("stride=2", 2, 2, 2, 1),
        ("size=4\nstride=1", 4, 1, 1, 3),
        ("size=4\nstride=3\npadding=4", 4, 3, 3, 4),
        ("size=3\nstride=2\npadding=3", 3, 2, 2, 3),
    ],
)
def test_matches_the_c_loops(keys, size, stride_y, stride_x, padding):
    x = ramp(2, 3, 5, 7)
    network = build(f"[local_avgpool]\n{keys}")
    expected = naive(x.double().numpy(), size, stride_y, stride_x, padding)
    assert_close(network(x)[0], expected)
    assert str(network[0].out_shape) == "{2} x {1} x {0}".format(*expected.shape[1:])


def test_row():
    assert build("[local_avg]\nsize=3\nstride=2", shape=(16, 50, 70))[0].row() == (
        "avg                3x 3/ 2     70 x  50 x  16 ->   35 x  25 x  16 0.000 BF"
    )
    assert build("[local_avg]\nstride_x=3\nstride_y=2\nsize=3", (16, 50, 70))[0].row() == (
        "avg               3x 3/ 3x 2   70 x  50 x  16 ->   24 x  25 x  16 0.000 BF"
    )


def test_every_window_must_hold_a_pixel():
    with pytest.raises(CfgError) as error:
        build("[local_avgpool]\nsize=2\npadding=4")
    assert str(error.value) == (
        "test.cfg:5: [local_avgpool]: padding=4 leaves windows of size=2 without a pixel"
    )

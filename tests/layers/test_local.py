import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


def naive(x, weights, biases, size, stride, pad, out_h, out_w):
    """local_layer.c:forward_local_layer, loop for loop."""
    batch, channels, height, width = x.shape
    filters = weights.shape[1]
    out = np.zeros((batch, filters, out_h, out_w)) + biases.reshape(filters, out_h, out_w)
    for b, f, i, j in np.ndindex(*out.shape):
        bank = weights[i * out_w + j, f].reshape(channels, size, size)
        for c, row, column in np.ndindex(channels, size, size):
            y, z = i * stride + row - pad, j * stride + column - pad
            if 0 <= y < height and 0 <= z < width:
                out[b, f, i, j] += bank[c, row, column] * x[b, c, y, z]
    return out


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
@pytest.mark.parametrize(
    "size, stride, pad", [(3, 1, 1), (3, 2, 1), (3, 1, 0), (2, 3, 0), (5, 2, 2)]
)
def test_matches_the_c_loops(size, stride, pad, dialect):
    x = ramp(2, 3, 5, 7)
    body = f"[local]\nfilters=4\nsize={size}\nstride={stride}\npad={pad}\nactivation=hardtan"
    network = build(body, dialect=dialect)
    shape = network[0].out_shape
    reach = 1 if pad else size
    assert (shape.height, shape.width) == ((5 - reach) // stride + 1, (7 - reach) // stride + 1)
    biases, weights = (t.detach().double().numpy() for _, t in network[0].arrays())
    sides = (shape.height, shape.width)
    expected = naive(x.double().numpy(), weights, biases, size, stride, pad, *sides)
    assert_close(network(x)[0], expected.clip(-1, 1))


def test_the_size_is_fixed():
    network = build("[local]\nsize=3\npad=1", shape=(3, 5, 7))
    with pytest.raises(CfgError) as error:
        network.resize(6, 8)
    assert str(error.value) == (
        "test.cfg:5: [local]: has weights for 7 x 5 places, not for 8 x 6: "
        "the network's size is fixed"
    )


def test_pad_is_a_number_of_pixels_that_must_fit():
    with pytest.raises(CfgError) as error:
        build("[local]\nsize=5\npad=1", shape=(3, 5, 7))
    assert str(error.value) == (
        "test.cfg:5: [local]: a 5 pixels long side does not fit size=5, pad=1 (pixels), stride=1"
    )


def test_row_has_the_height_first():
    row = build("[local]\nfilters=4\nsize=3\npad=1", shape=(5, 13, 17))[0].row()
    assert row == "Local Layer: 13 x 17 x 5 image, 4 filters -> 13 x 17 x 4 image"

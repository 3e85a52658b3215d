import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


def naive(x, weights, stride, padding):
    """gemm, then col2im.c: every input pixel spreads its filters over the output."""
    batch, _, height, width = x.shape
    _, filters, size, _ = weights.shape
    out_h = (height - 1) * stride + size - 2 * padding
    out_w = (width - 1) * stride + size - 2 * padding
    out = np.zeros((batch, filters, out_h, out_w))
    for b, c, i, j in np.ndindex(*x.shape):
        for f, row, column in np.ndindex(filters, size, size):
            y, z = i * stride + row - padding, j * stride + column - padding
            if 0 <= y < out_h and 0 <= z < out_w:
                out[b, f, y, z] += x[b, c, i, j] * weights[c, f, row, column]
    return out


@pytest.mark.parametrize(
    "keys, size, stride, padding",
    [
        ("size=4\nstride=2\npadding=1", 4, 2, 1),
        ("size=3\nstride=1\npad=1", 3, 1, 1),
        ("size=2\nstride=3", 2, 3, 0),
    ],
)
@pytest.mark.parametrize("normalize", [0, 1])
def test_matches_the_c_loops(keys, size, stride, padding, normalize):
    x = ramp(2, 3, 4, 5)
    body = f"[deconv]\nfilters=2\nbatch_normalize={normalize}\nactivation=relu\n{keys}"
    network = build(body, shape=(3, 4, 5))
    a = {name: t.detach().double().numpy() for name, t in network[0].arrays()}
    assert a["weights"].shape == (3, 2, size, size)
    expected = naive(x.double().numpy(), a["weights"], stride, padding)
    column = {name: value[:, None, None] for name, value in a.items() if value.ndim == 1}
    if normalize:
        expected -= column["rolling_mean"]
        expected *= column["scales"] / (np.sqrt(column["rolling_variance"]) + 1e-6)
    expected = np.maximum(expected + column["biases"], 0)
    assert_close(network(x)[0], expected)
    assert str(network[0].out_shape) == "{2} x {1} x {0}".format(*expected.shape[1:])


def test_row():
    row = build("[deconvolutional]\nfilters=5\nsize=3\nstride=2", shape=(16, 6, 8))[0].row()
    assert row == "deconv    5  3 x 3 / 2     8 x   6 x  16   ->    17 x  13 x   5"


def test_padding_must_leave_something():
    with pytest.raises(CfgError) as error:
        build("[deconv]\nsize=2\npadding=4", shape=(3, 5, 7))
    assert str(error.value) == (
        "test.cfg:5: [deconv]: padding=4 leaves nothing of a 5 pixels long side"
    )

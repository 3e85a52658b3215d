import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


def naive(x, size, alpha, beta, kappa):
    """normalization_layer.c:forward_normalization_layer, the running sum step by step."""
    squared, norms = x.astype(np.float32) ** 2, np.empty_like(x)
    channels = x.shape[1]
    norms[:, 0] = kappa
    for k in range(size // 2):
        norms[:, 0] += alpha * squared[:, k]
    for k in range(1, channels):
        norms[:, k] = norms[:, k - 1]
        before, after = k - (size - 1) // 2 - 1, k + size // 2
        if before >= 0:
            norms[:, k] -= alpha * squared[:, before]
        if after < channels:
            norms[:, k] += alpha * squared[:, after]
    return norms**-beta * x


@pytest.mark.parametrize("name", ["normalization", "lrn"])
@pytest.mark.parametrize(
    "size, alpha, beta, kappa",
    [(5, 1e-4, 0.75, 1), (4, 0.1, 0.5, 2), (1, 0.3, 1, 1), (3, 0.2, -1, 4), (9, 0.1, 1, 3)],
)
def test_matches_the_running_sum_of_c(name, size, alpha, beta, kappa):
    x = ramp(2, 8, 3, 5) * 2
    keys = f"size={size}\nalpha={alpha}\nbeta={beta}\nkappa={kappa}"
    network = build(f"[{name}]\n{keys}", shape=(8, 3, 5))
    assert_close(network(x)[0], naive(x.numpy(), size, alpha, beta, kappa))


@pytest.mark.parametrize("size", [7, 6])
def test_a_window_wider_than_the_channels(size):
    x = ramp(2, 3, 5, 7)
    network = build(f"[lrn]\nsize={size}\nalpha=.5")
    assert_close(network(x)[0], naive(x.numpy(), size, 0.5, 0.75, 1))


def test_defaults():
    x = ramp(2, 3, 5, 7) * 50
    assert_close(build("[lrn]")(x)[0], naive(x.numpy(), 5, 1e-4, 0.75, 1))


def test_a_window_that_c_would_read_past_the_channels_for():
    with pytest.raises(CfgError) as caught:
        build("[lrn]\nsize=8")
    assert str(caught.value) == (
        "test.cfg:6: [lrn]: size must be from 1 to 7, twice the 3 channels, got 8"
    )


def test_row():
    assert build("[lrn]")[0].row() == (
        "Local Response Normalization Layer: 7 x 5 x 3 image, 5 size"
    )

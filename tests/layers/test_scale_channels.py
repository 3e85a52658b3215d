import pytest
import torch
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError

CONV = "[convolutional]\nfilters={}\nsize=1\nactivation=linear\n"


@pytest.mark.parametrize("squeeze", ["[avgpool]\n", "[connected]\noutput=4\n"])
def test_one_factor_for_each_channel(squeeze):
    x = ramp(2, 3, 5, 7)
    network = build(CONV.format(4) + squeeze + "[scale_channels]\nfrom=-2\nactivation=leaky\n")
    scaled, factors, actual = (output.detach().numpy() for output in network(x))
    expected = scaled.copy()
    for b in range(2):
        for c in range(4):
            expected[b, c] *= factors.reshape(2, 4)[b, c]
    expected[expected < 0] *= 0.1
    assert_close(actual, expected)
    assert network[2].out_shape == network[0].out_shape


def test_one_factor_for_each_pixel():
    x = ramp(2, 3, 5, 7)
    network = build(CONV.format(4) + CONV.format(1) + "[scale_channels]\nfrom=0\nscale_wh=1\n")
    scaled, factors, actual = (output.detach().numpy() for output in network(x))
    expected = scaled.copy()
    for c in range(4):
        expected[:, c] *= factors[:, 0]
    assert_close(actual, expected)


@pytest.mark.parametrize(
    "keys, message",
    [
        ("", "the layer before must give 1 x 1 x 4 factors for 7 x 5 x 4, got 7 x 5 x 2"),
        ("scale_wh=1", "the layer before must give 7 x 5 x 1 factors for 7 x 5 x 4, got 7 x 5 x 2"),
    ],
)
def test_factors_must_fit(keys, message):
    with pytest.raises(CfgError) as caught:
        build(CONV.format(4) + CONV.format(2) + f"[scale_channels]\nfrom=-2\n{keys}")
    assert str(caught.value) == f"test.cfg:13: [scale_channels]: {message}"


def test_row():
    network = build(CONV.format(4) + "[avgpool]\n[scale_channels]\nfrom=-2\n")
    assert network[2].row() == "scale Layer: 0"


def test_gradients_of_pixel_factors_are_divided():
    body = "[convolutional]\nfilters=1\nsize=1\nactivation=linear\n"
    body = body + body + "[scale_channels]\nfrom=-2\nscale_wh=1\nactivation=linear\n"
    layer = build(body, (1, 5, 7), "alexeyab")[2].train()
    factors, scaled = ramp(2, 1, 5, 7).requires_grad_(), ramp(2, 1, 5, 7, start=2)
    found = torch.autograd.grad(layer(factors, scaled).sum(), factors)[0]
    assert_close(found, scaled / 35)

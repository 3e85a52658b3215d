import pytest
import torch
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


def test_gives_its_weights_for_every_sample():
    network = build("[implicit]\nfilters=4\natoms=2")
    with torch.inference_mode():
        (actual,) = network(ramp(3, 3, 5, 7))
    weights = dict(network[0].arrays())["weights"]
    assert_close(actual, weights.detach().view(1, 4, 2, 1).repeat(3, 1, 1, 1))
    assert str(network[0].out_shape) == "1 x 2 x 4"
    assert weights.numel() == 8


@pytest.mark.parametrize(
    "name, keys, mean, std",
    [
        ("implicit", "", 0, 0.2),
        ("implicit_add", "", 0, 0.2),
        ("implicit_mul", "std=.02", 1, 0.02),
        ("implicit_mul", "mean=3", 3, 0.2),
    ],
)
def test_starting_values(name, keys, mean, std):
    network = build(f"[{name}]\nfilters=500\n{keys}")
    network.initialize()
    weights = network[0].weights.detach()
    assert mean - std <= weights.min() < mean - 0.9 * std
    assert mean + 0.9 * std < weights.max() <= mean + std


def test_filters_must_be_positive():
    with pytest.raises(CfgError) as caught:
        build("[implicit]\nfilters=0")
    assert str(caught.value) == "test.cfg:5: [implicit]: needs an array of 0 x 1 x 1 values"


def test_row():
    assert build("[implicit]\natoms=2")[0].row() == (
        "implicit Layer: 128 x 2 \t mean=0.00, std=0.20 "
    )

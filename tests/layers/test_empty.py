import pytest
import torch
from helpers import build, ramp


@pytest.mark.parametrize("name", ["empty", "silence"])
def test_gives_its_input(name):
    x = ramp(2, 3, 5, 7)
    network = build(f"[{name}]")
    assert torch.equal(network(x)[0], x)
    assert network[0].out_shape == network.image
    assert network.dialect.name == "alexeyab"
    assert network[0].row() == "empty "

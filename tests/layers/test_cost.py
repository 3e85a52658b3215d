import pytest
import torch
from helpers import build, ramp

from darknet_py.errors import DarknetWarning


def test_output_is_zero_without_a_truth():
    network = build("[cost]\ntype=masked\nscale=2")
    (actual,) = network(ramp(2, 3, 5, 7))
    assert torch.equal(actual, torch.zeros(2, 105))
    assert str(network[0].out_shape) == "105"


def test_the_networks_output_is_the_layer_before():
    network = build("[softmax]\n[cost]", shape=(9,))
    assert network.output_index == 0


@pytest.mark.parametrize("dialect, kind", [("pjreddie", "huber"), ("alexeyab", "L1")])
def test_an_unknown_type_is_sse(dialect, kind):
    with pytest.warns(DarknetWarning) as caught:
        network = build(f"[cost]\ntype={kind}", dialect=dialect)
    assert str(caught[0].message) == f"test.cfg:6: [cost]: unknown cost type {kind!r}, sse is used"
    assert network[0].cost_type == "sse"


def test_defaults_and_row():
    layer = build("[cost]", shape=(10,))[0]
    assert (layer.cost_type, layer.options.scale, layer.options.noobj) == ("sse", 1, 1)
    assert layer.row() == "cost                                             10"

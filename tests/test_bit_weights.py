import numpy as np
import pytest
import torch
from golden import GOLDEN, Golden, compare, generator
from helpers import assert_close, build, ramp
from layers.test_convolutional import arrays, naive

import darknet_py
from darknet_py.bit_weights import use_bit_weights

NETS = sorted(path for path in (GOLDEN / "alexeyab").glob("*xnor.json"))


def test_padding_counts_as_minus_one_and_batch_norm_is_folded_first():
    x = ramp(2, 3, 5, 7)
    body = "[conv]\nxnor=1\nbatch_normalize=1\nfilters=4\nsize=3\npad=1\nstride=2\nactivation=relu"
    network = build(body, dialect="alexeyab")
    network[0].normalizer.scales.data[1] *= -1
    assert use_bit_weights(network)
    a = arrays(network[0])
    factor = a["scales"] / np.sqrt(a["rolling_variance"] + 1e-5)
    weights = a["weights"] * factor[:, None, None, None]
    signs, bits = np.where(weights > 0, 1.0, -1.0), np.where(x.numpy() > 0, 1.0, -1.0)
    matches = naive(bits, signs, (2, 2), padding=1, outside=-1.0)
    means = np.abs(weights).mean((1, 2, 3))[:, None, None]
    biases = (a["biases"] - a["rolling_mean"] * factor)[:, None, None]
    assert_close(network(x)[0], np.maximum(matches * means + biases, 0))


def test_bin_output_drops_the_activation_unless_values_are_read():
    layer = "[conv]\nxnor=1\nbin_output=1\nfilters=3\nactivation=leaky\n\n"
    network = build(layer * 3 + "[shortcut]\nfrom=-2\n\n[conv]\n", dialect="alexeyab")
    use_bit_weights(network)
    names = [network[index].activation.__name__ for index in range(3)]
    assert names == ["linear", "leaky", "leaky"]


def test_networks_without_xnor_stay_as_they_are():
    network = build("[conv]\nfilters=3\nactivation=leaky")
    before = network(x := ramp(2, 3, 5, 7))[0]
    assert not use_bit_weights(network)
    assert_close(network(x)[0], before)


@pytest.mark.golden
@pytest.mark.skipif(not NETS, reason=f"{GOLDEN} is not here")
@pytest.mark.parametrize("path", NETS, ids=lambda path: path.stem)
def test_equals_the_command_line_layer_by_layer(path, tmp_path):
    golden = Golden(path)
    network = golden.network()
    generator().write_weights(golden.json, tmp_path / "c.weights")
    darknet_py.load_weights(network, tmp_path / "c.weights")
    use_bit_weights(network)
    with torch.inference_mode():
        compare(golden, network(golden.input()), "cli_")

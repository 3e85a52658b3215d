import copy

import numpy as np
import pytest
import torch
from helpers import assert_close, build, ramp
from recurrent import arrays, connected, leaky, logistic

from darknet_py.errors import CfgError, DarknetWarning


def naive(layer, steps, dialect, hidden, own, shortcut):
    """rnn_layer.c:forward_rnn_layer, a step at a time."""
    a = arrays(layer)
    state = np.zeros((len(steps[0]), hidden))
    outputs = []
    for x in steps:
        new = leaky(connected(a, "input_layer", x, dialect))
        new = new + own(connected(a, "self_layer", state, dialect))
        state = new + state if shortcut else new
        outputs.append(leaky(connected(a, "output_layer", state, dialect)))
    return outputs


@pytest.mark.parametrize("shortcut", [0, 1])
@pytest.mark.parametrize("batch_normalize", [0, 1])
@pytest.mark.parametrize(
    "dialect, keys, hidden, own",
    [
        ("pjreddie", "", 4, leaky),
        ("alexeyab", "hidden=3", 3, leaky),
        ("alexeyab", "hidden=3\nlogistic=1", 3, logistic),
        ("alexeyab", "hidden=5\nlogistic=2", 5, lambda x: 2 * logistic(x) - 1),
        ("alexeyab", "", 1, leaky),
    ],
)
def test_matches_the_c_loops(dialect, keys, hidden, own, batch_normalize, shortcut):
    body = f"[rnn]\noutput=4\nactivation=leaky\nbatch_normalize={batch_normalize}\n"
    network = build(f"{body}shortcut={shortcut}\n{keys}", shape=(6,), dialect=dialect)
    steps = [ramp(2, 6, start=step) for step in range(4)]
    expected = naive(network[0], [x.numpy() for x in steps], dialect, hidden, own, shortcut)
    for x, want in zip(steps, expected, strict=True):
        assert_close(network(x)[0], want)


def test_defaults():
    options = build("[rnn]", shape=(6,), dialect="pjreddie")[0].options
    assert (options.output, options.activation, options.batch_normalize) == (1, "logistic", False)
    assert (options.shortcut, options.logistic) == (False, 0)


@pytest.mark.parametrize("dialect, shape", [("pjreddie", "4"), ("alexeyab", "1 x 1 x 4")])
def test_only_alexeyab_gives_an_image(dialect, shape):
    network = build("[rnn]\noutput=4\n[lstm]\noutput=4", shape=(6,), dialect=dialect)
    assert [str(layer.out_shape) for layer in network] == [shape, shape]


def test_arrays_in_file_order():
    network = build("[rnn]\noutput=4\nbatch_normalize=1", shape=(6,), dialect="pjreddie")
    inner = ("biases", "weights", "scales", "rolling_mean", "rolling_variance")
    parts = ("input_layer", "self_layer", "output_layer")
    assert list(dict(network[0].arrays())) == [f"{part}.{name}" for part in parts for name in inner]


def test_row():
    assert build("[rnn]\noutput=4", shape=(6,), dialect="pjreddie")[0].row() == (
        "RNN Layer: 6 inputs, 4 outputs\n"
        "\t\tconnected                               6  ->     4\n"
        "\t\tconnected                               4  ->     4\n"
        "\t\tconnected                               4  ->     4"
    )


def small():
    return build("[rnn]\noutput=4\nactivation=tanh\n[connected]\noutput=3", shape=(6,))


def test_reset_forgets():
    network, x = small(), ramp(2, 6)
    first, second = network.run(x)[0], network.run(x)[0]
    assert (first - second).abs().max() > 1e-3
    network.reset_state()
    assert torch.equal(network.run(x)[0], first)
    assert torch.equal(network(x)[1], second)


def test_another_batch_size_starts_from_zero():
    network, x = small(), ramp(3, 6)
    alone = network.run(x[:1])[0]
    network.run(x)
    assert_close(network.run(x[:1])[0], alone)


def test_state_is_no_weight_and_is_copied_with_the_network():
    network, x = small(), ramp(2, 6)
    with torch.inference_mode():
        network(x)
    names = set(network.state_dict()) - {"_extra_state"}  # the cfg's text
    assert names and not [name for name in names if "state" in name]
    twin = copy.deepcopy(network)
    assert torch.equal(twin(x)[1], network(x)[1])


def test_gradients_flow_after_inference_mode():
    network, x = small(), ramp(2, 6)
    with torch.inference_mode():
        network(x)
    network(x)[1].sum().backward()
    network(x)[1].sum().backward()  # the state holds no graph: the second is no step back in time
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_bfloat16_follows_float32():
    network, x = small(), ramp(2, 6)
    network(x)
    expected = network(x)[1]
    network.reset_state()
    network(x)
    actual = network.bfloat16()(x.bfloat16())[1]
    assert actual.dtype == torch.bfloat16
    torch.testing.assert_close(actual.float(), expected, rtol=0.02, atol=0.02)


def test_inputs_of_another_size_are_an_error():
    network = build("[rnn]\noutput=4", shape=(3, 2, 2))
    message = r"^test\.cfg:5: \[rnn\]: takes 12 inputs, not 48: the network's size is fixed$"
    with pytest.raises(CfgError, match=message):
        network.resize(4, 4)
    assert network(ramp(1, 3, 2, 2))[0].shape == (1, 4)


def test_pjreddie_does_not_read_hidden():
    message = "'hidden' is not read in dialect pjreddie and is ignored$"
    with pytest.warns(DarknetWarning, match=message):
        network = build("[rnn]\noutput=4\nhidden=3", shape=(6,), dialect="pjreddie")
    assert network[0].hidden == 4


@pytest.mark.parametrize("dialect, key", [("pjreddie", ""), ("alexeyab", "hidden=4\n")])
def test_the_state_between_mini_batches_is_the_forks_own(dialect, key):
    """While training AlexeyAB's starts each mini-batch from zero; answering, both remember."""
    body = "[rnn]\noutput=4\nactivation=leaky\n" + key
    network, x = build(body, shape=(6,), dialect=dialect), ramp(2, 6)
    network.train()
    first, second = network(x)[0].detach(), network(x)[0].detach()
    assert torch.equal(first, second) == (dialect == "alexeyab")
    network.eval()
    network.reset_state()
    with torch.no_grad():
        first, second = network(x)[0], network(x)[0]
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dialect, key", [("pjreddie", ""), ("alexeyab", "hidden=4\n")])
def test_the_input_learns_from_the_forks_own_gradient(dialect, key):
    """pjreddie's from the one below the activation of the state's part."""
    network = build("[rnn]\noutput=4\nactivation=leaky\n" + key, shape=(6,), dialect=dialect)
    network.train()
    layer = network[0]
    network(ramp(3, 6))[0].sum().backward()
    a = {name: tensor.detach().double() for name, tensor in layer.arrays()}
    x, zero = ramp(3, 6).double(), torch.zeros(3, 4, dtype=torch.float64)

    def part(name, values):
        return values @ a[f"{name}.weights"].T + a[f"{name}.biases"]

    def slope(values):
        return torch.where(values > 0, 1.0, 0.1).double()

    below, own = part("input_layer", x), part("self_layer", zero)
    state = below * slope(below) + own * slope(own)
    above = slope(part("output_layer", state)) @ a["output_layer.weights"]
    if dialect == "pjreddie":
        above = above * slope(own)
    expected = (above * slope(below)).sum(0)
    found = dict(layer.arrays())["input_layer.biases"].grad
    assert_close(found, expected.float())

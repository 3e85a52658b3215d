import numpy as np
import pytest
import torch
from helpers import assert_close, build, ramp
from recurrent import arrays, convolution, leaky, logistic

from darknet_py.cfg import parse_cfg
from darknet_py.errors import CfgError
from darknet_py.network import Network, find_dialect

BODY = "[conv_lstm]\nactivation=leaky\nsize=3\npad=1\n"


def naive(layer, steps, filters, peephole=False, bottleneck=False, shortcut=False, limit=32.0):
    """conv_lstm_layer.c:forward_conv_lstm_layer; with bottleneck its _gpu."""
    a = arrays(layer)

    def conv(part, x):
        return leaky(convolution(a, part, x, "alexeyab"))

    batch, _, height, width = steps[0].shape
    h = np.zeros((batch, filters, height, width))
    c = np.zeros_like(h)
    outputs = []
    for x in steps:
        if bottleneck:
            x = np.tanh(conv("wf", np.concatenate([h, x], 1)))
        f, i, g, o = (conv(f"u{gate}", x) for gate in "figo")
        if not bottleneck:
            f, i, g, o = (
                u + conv(f"w{gate}", h) for u, gate in zip((f, i, g, o), "figo", strict=True)
            )
        if peephole:
            f, i = f + conv("vf", c), i + conv("vi", c)
        c = logistic(f) * c + logistic(i) * np.tanh(g)
        if peephole:
            o = o + conv("vo", c)
        h = logistic(o) * np.tanh(c)
        c = np.clip(c, -limit, limit)
        output = h.copy()
        if bottleneck and shortcut:
            half = output[0].size // 2
            output.reshape(batch, -1)[:, :half] += x.reshape(batch, -1)[:, :half]
        outputs.append(output)
    return outputs


@pytest.mark.parametrize(
    "keys, options",
    [
        ("output=4", {}),
        ("output=4\nbatch_normalize=1", {}),
        ("output=4\npeephole=1", {"peephole": True}),
        ("output=4\npeephole=1\nbatch_normalize=1", {"peephole": True}),
        ("output=4\nstate_constrain=1", {"limit": 1}),
        ("output=4\nlstm_activation=leaky\nshortcut=1", {}),
        ("output=3\nbottleneck=1", {"bottleneck": True}),
        ("output=3\nbottleneck=1\nshortcut=1", {"bottleneck": True, "shortcut": True}),
        ("output=3\nbottleneck=1\npeephole=1", {"bottleneck": True, "peephole": True}),
    ],
)
def test_matches_the_c_loops(keys, options):
    network = build(BODY + keys, shape=(3, 4, 5))
    steps = [ramp(2, 3, 4, 5, start=step) for step in range(4)]
    filters = 3 if "bottleneck" in options else 4
    expected = naive(network[0], [x.numpy() for x in steps], filters, **options)
    for x, want in zip(steps, expected, strict=True):
        assert_close(network(x)[0], want)


@pytest.mark.parametrize("keys, limit", [("", 32), ("state_constrain=7", 7)])
def test_the_cell_is_limited(keys, limit):
    network = build(f"{BODY}output=1\n{keys}", shape=(3, 4, 5))
    with torch.no_grad():
        for name, tensor in network[0].arrays():  # gates wide open: each step adds 1
            tensor.fill_(40.0 if name[0] == "u" and name.endswith("biases") else 0.0)
        for _ in range(40):
            network(ramp(1, 3, 4, 5))
    assert_close(network[0].cell, torch.full((1, 1, 4, 5), float(limit)))


def test_the_limit_grows_with_time_steps():
    head = "[net]\nheight=4\nwidth=5\nchannels=3\ntime_steps=4\n"
    assert Network(parse_cfg(head + BODY))[0].limit == 128


def test_a_broken_frame_does_not_stay():
    network = build(f"{BODY}output=4", shape=(3, 4, 5))
    network(torch.full((1, 3, 4, 5), float("nan")))
    assert network(ramp(1, 3, 4, 5))[0].isfinite().all()


@pytest.mark.parametrize(
    "keys, parts",
    [
        ("output=4", "wf wi wg wo uf ui ug uo"),
        ("output=4\npeephole=1", "vf vi vo wf wi wg wo uf ui ug uo"),
        ("output=3\nbottleneck=1", "wf uf ui ug uo"),
    ],
)
def test_arrays_in_file_order(keys, parts):
    network = build(BODY + keys, shape=(3, 4, 5))
    expected = [f"{part}.{name}" for part in parts.split() for name in ("biases", "weights")]
    assert list(dict(network[0].arrays())) == expected
    assert network.dialect.name == find_dialect(network.sections).name == "alexeyab"


def test_row_and_operations():
    layer = build(f"{BODY}output=4\npeephole=1", shape=(3, 4, 5))[0]
    first, *rest = layer.row().split("\n")
    assert first == "CONV_LSTM Layer: 4 x 5 x 3 image, 4 filters"
    assert len(rest) == 11
    assert rest[0] == "conv      4       3 x 3/ 1      5 x   4 x   3 ->    5 x   4 x   4 0.000 BF"
    assert layer.operations == 2 * 9 * (4 * 3 * 4 + 7 * 4 * 4) * 20 + 12 * 80


def test_bottleneck_needs_as_many_outputs_as_inputs():
    message = (
        r"^test\.cfg:9: \[conv_lstm\]: bottleneck=1 needs output=3, as many channels as the "
        r"input has, got 4$"
    )
    with pytest.raises(CfgError, match=message):
        build(f"{BODY}output=4\nbottleneck=1", shape=(3, 4, 5))

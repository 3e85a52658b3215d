import numpy as np
import pytest
import torch
from helpers import assert_close, build, ramp
from recurrent import arrays, connected, logistic

from darknet_py.errors import CfgError


def naive(layer, steps, dialect, outputs):
    """lstm_layer.c:forward_lstm_layer, a step at a time."""
    a = arrays(layer)
    h = np.zeros((len(steps[0]), outputs))
    c = np.zeros_like(h)
    answers = []
    for x in steps:
        f, i, g, o = (
            connected(a, f"w{gate}", h, dialect) + connected(a, f"u{gate}", x, dialect)
            for gate in "figo"
        )
        c = logistic(f) * c + logistic(i) * np.tanh(g)
        h = logistic(o) * np.tanh(c)
        answers.append(h)
    return answers


@pytest.mark.parametrize("batch_normalize", [0, 1])
@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_matches_the_c_loops(dialect, batch_normalize):
    body = f"[lstm]\noutput=4\nbatch_normalize={batch_normalize}"
    network = build(body, shape=(6,), dialect=dialect)
    steps = [ramp(2, 6, start=step) for step in range(4)]
    expected = naive(network[0], [x.numpy() for x in steps], dialect, 4)
    for x, want in zip(steps, expected, strict=True):
        assert_close(network(x)[0], want)


def test_is_torchs_lstm():
    network = build("[lstm]\noutput=4", shape=(6,))
    a = dict(network[0].arrays())
    theirs = torch.nn.LSTMCell(6, 4)
    with torch.no_grad():
        for side, letter in (("ih", "u"), ("hh", "w")):
            for kind, name in (("weight", "weights"), ("bias", "biases")):
                values = torch.cat([a[f"{letter}{gate}.{name}"] for gate in "ifgo"])
                getattr(theirs, f"{kind}_{side}").copy_(values)
        state = None
        for step in range(3):
            x = ramp(2, 6, start=step)
            state = theirs(x, state)
            assert_close(network(x)[0], state[0])


@pytest.mark.parametrize(
    "dialect, parts",
    [("pjreddie", "wi wf wo wg ui uf uo ug"), ("alexeyab", "wf wi wg wo uf ui ug uo")],
)
def test_arrays_in_file_order(dialect, parts):
    network = build("[lstm]\noutput=4", shape=(6,), dialect=dialect)
    expected = [f"{part}.{name}" for part in parts.split() for name in ("biases", "weights")]
    assert list(dict(network[0].arrays())) == expected


def test_state_and_cell_are_forgotten():
    network, x = build("[lstm]\noutput=4", shape=(6,)), ramp(2, 6)
    first = network(x)[0]
    assert network[0].cell.abs().max() > 0
    network.reset_state()
    assert network[0].state is None and network[0].cell is None
    assert torch.equal(network(x)[0], first)


def test_row():
    wide, square = (f"\t\tconnected                               {n}  ->     4" for n in (6, 4))
    assert build("[lstm]\noutput=4", shape=(6,))[0].row() == "\n".join(
        ["LSTM Layer: 6 inputs, 4 outputs", *[wide] * 4, *[square] * 4]
    )


def test_bad_output_names_the_line():
    message = r"^test\.cfg:6: \[lstm\]: output must be a number, got 'many'$"
    with pytest.raises(CfgError, match=message):
        build("[lstm]\noutput=many", shape=(6,))

import numpy as np
import pytest
import torch
from helpers import assert_close, build, ramp
from recurrent import arrays, connected, logistic

from darknet_py.errors import CfgError


def naive(layer, steps, dialect, outputs, candidate):
    """gru_layer.c:forward_gru_layer, a step at a time."""
    a = arrays(layer)
    state = np.zeros((len(steps[0]), outputs))
    answers = []
    for x in steps:
        z = logistic(connected(a, "uz", x, dialect) + connected(a, "wz", state, dialect))
        r = logistic(connected(a, "ur", x, dialect) + connected(a, "wr", state, dialect))
        h = connected(a, "uh", x, dialect) + connected(a, "wh", r * state, dialect)
        state = z * state + (1 - z) * candidate(h)
        answers.append(state)
    return answers


@pytest.mark.parametrize("batch_normalize", [0, 1])
@pytest.mark.parametrize(
    "dialect, keys, candidate",
    [
        ("pjreddie", "", logistic),
        ("pjreddie", "tanh=1", np.tanh),
        ("alexeyab", "", logistic),
    ],
)
def test_matches_the_c_loops(dialect, keys, candidate, batch_normalize):
    body = f"[gru]\noutput=4\nbatch_normalize={batch_normalize}\n{keys}"
    network = build(body, shape=(6,), dialect=dialect)
    steps = [ramp(2, 6, start=step) for step in range(4)]
    expected = naive(network[0], [x.numpy() for x in steps], dialect, 4, candidate)
    for x, want in zip(steps, expected, strict=True):
        assert_close(network(x)[0], want)


def test_is_torchs_gru_with_tanh():
    network = build("[gru]\noutput=4\ntanh=1", shape=(6,), dialect="pjreddie")
    a = dict(network[0].arrays())
    theirs = torch.nn.GRUCell(6, 4)
    with torch.no_grad():
        # torch applies r after wh, which is the same where the matrix is diagonal, without biases
        a["wh.weights"].copy_(torch.diag(torch.tensor([0.5, -0.3, 0.8, 0.1])))
        a["wh.biases"].zero_()
        for side, letter in (("ih", "u"), ("hh", "w")):
            for kind, name in (("weight", "weights"), ("bias", "biases")):
                values = torch.cat([a[f"{letter}{gate}.{name}"] for gate in "rzh"])
                getattr(theirs, f"{kind}_{side}").copy_(values)
        state = torch.zeros(2, 4)
        for step in range(3):
            x = ramp(2, 6, start=step)
            state = theirs(x, state)
            assert_close(network(x)[0], state)


@pytest.mark.parametrize(
    "dialect, parts",
    [("pjreddie", "wz wr wh uz ur uh"), ("alexeyab", "uz ur uh wz wr wh")],
)
def test_arrays_in_file_order(dialect, parts):
    network = build("[gru]\noutput=4", shape=(6,), dialect=dialect)
    expected = [f"{part}.{name}" for part in parts.split() for name in ("biases", "weights")]
    assert list(dict(network[0].arrays())) == expected
    assert str(network[0].out_shape) == "4"


def test_row():
    wide, square = (f"\t\tconnected                               {n}  ->     4" for n in (6, 4))
    assert build("[gru]\noutput=4", shape=(6,))[0].row() == "\n".join(
        ["GRU Layer: 6 inputs, 4 outputs", *[wide, square] * 3]
    )


def test_no_outputs_are_an_error():
    message = r"^test\.cfg:5: \[gru\]: needs an array of 0 values$"
    with pytest.raises(CfgError, match=message):
        build("[gru]\noutput=0", shape=(6,))

import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
@pytest.mark.parametrize("normalize", [0, 1])
def test_is_a_matrix_batch_norm_and_an_activation(normalize, dialect):
    x = ramp(2, 3, 5, 7)
    body = f"[connected]\noutput=4\nbatch_normalize={normalize}\nactivation=relu"
    network = build(body, dialect=dialect)
    a = {name: t.detach().double().numpy() for name, t in network[0].arrays()}
    expected = np.zeros((2, 4))
    for b, row, column in np.ndindex(2, 4, 3 * 5 * 7):
        expected[b, row] += a["weights"][row, column] * x.numpy().reshape(2, -1)[b, column]
    if normalize:
        deviation = np.sqrt(a["rolling_variance"]) + 1e-6
        if dialect == "alexeyab":
            deviation = np.sqrt(a["rolling_variance"] + 1e-5)
        expected = (expected - a["rolling_mean"]) / deviation * a["scales"]
    assert_close(network(x)[0], np.maximum(expected + a["biases"], 0))


def test_batch_norm_stands_behind_the_weights_in_a_file():
    network = build("[conn]\noutput=4\nbatch_normalize=1", shape=(6,))
    names = [name for name, _ in network[0].arrays()]
    assert names == ["biases", "weights", "scales", "rolling_mean", "rolling_variance"]


def test_defaults_are_one_output_and_logistic():
    network = build("[connected]", shape=(6,))
    (biases, weights) = (t.detach().double().numpy() for _, t in network[0].arrays())
    x = ramp(2, 6)
    sums = x.double().numpy() @ weights.T + biases
    assert_close(network(x)[0], 1 / (1 + np.exp(-sums)))


def test_row():
    assert build("[connected]\noutput=7", shape=(6,))[0].row() == (
        "connected                               6  ->     7"
    )


def test_the_size_is_fixed():
    network = build("[connected]\noutput=4", shape=(3, 5, 7))
    with pytest.raises(CfgError) as error:
        network.resize(5, 8)
    assert str(error.value) == (
        "test.cfg:5: [connected]: takes 105 inputs, not 120: the network's size is fixed"
    )

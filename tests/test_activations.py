import math

import numpy as np
import pytest
import torch
from helpers import assert_close, build

from darknet_py.activations import ACTIVATIONS, ALEXEYAB_ACTIVATIONS, get_activation
from darknet_py.cfg import parse_cfg
from darknet_py.errors import CfgError

POINTS = [-30, -4.5, -4, -3.25, -2, -1.5, -1, -0.3, 0, 0.3, 0.7, 1, 1.5, 2, 3.75, 4, 4.5, 25]


def logistic(x):
    return 1 / (1 + math.exp(-x))


def softplus(x):
    return x if x > 20 else math.exp(x) if x < -20 else math.log(math.exp(x) + 1)


def plse(x):
    if x < -4:
        return 0.01 * (x + 4)
    return 0.01 * (x - 4) + 1 if x > 4 else 0.125 * x + 0.5


def stair(x):
    n = math.floor(x)
    return math.floor(x / 2) if n % 2 == 0 else (x - n) + math.floor(x / 2)


def lhtan(x):
    return 0.001 * x if x < 0 else 0.001 * (x - 1) + 1 if x > 1 else x


FORMULAS = {  # activations.h of both forks, one value at a time
    "elu": lambda x: x if x >= 0 else math.exp(x) - 1,
    "gelu": lambda x: 0.5 * x * (1 + math.tanh(0.797885 * x + 0.035677 * x**3)),
    "hard_mish": lambda x: x if x > 0 else x * x / 2 + x if x > -2 else 0,
    "hardtan": lambda x: min(max(x, -1), 1),
    "leaky": lambda x: x if x > 0 else 0.1 * x,
    "lhtan": lhtan,
    "linear": lambda x: x,
    "loggy": lambda x: 2 / (1 + math.exp(-x)) - 1,
    "logistic": logistic,
    "mish": lambda x: x * math.tanh(softplus(x)),
    "plse": plse,
    "ramp": lambda x: x * (x > 0) + 0.1 * x,
    "relie": lambda x: x if x > 0 else 0.01 * x,
    "relu": lambda x: x * (x > 0),
    "relu6": lambda x: min(max(x, 0), 6),
    "revleaky": lambda x: x if x > 0 else 0.1 * x,
    "selu": lambda x: 1.0507 * (x if x >= 0 else 1.6732 * (math.exp(x) - 1)),
    "stair": stair,
    "swish": lambda x: x * logistic(x),
    "tanh": lambda x: 2 / (1 + math.exp(-2 * x)) - 1,
}
CHANNELS = {  # activations.c: one pixel's channels at a time
    "normalize_channels": lambda x: np.maximum(x, 0) / (1e-4 + np.maximum(x, 0).sum()),
    "normalize_channels_softmax": lambda x: np.exp(x) / (1e-4 + np.exp(x).sum()),
    "normalize_channels_softmax_maxval": lambda x: (
        np.exp(x - x.max()) / (1e-4 + np.exp(x - x.max()).sum())
    ),
}


def test_every_name_has_its_formula_here():
    assert ACTIVATIONS.keys() == FORMULAS.keys() | CHANNELS.keys()


@pytest.mark.parametrize("name", FORMULAS)
def test_equals_the_formula_value_by_value(name):
    actual = ACTIVATIONS[name](torch.tensor(POINTS))
    assert_close(actual, torch.tensor([float(FORMULAS[name](x)) for x in POINTS]))


@pytest.mark.parametrize("name", CHANNELS)
def test_equals_the_formula_over_channels(name):
    x = torch.tensor(POINTS[1:17]).view(2, 4, 1, 2)
    expected = np.empty((2, 4, 1, 2))
    for b, i, j in np.ndindex(2, 1, 2):
        expected[b, :, i, j] = CHANNELS[name](x[b, :, i, j].double().numpy())
    assert_close(ACTIVATIONS[name](x), expected)


@pytest.mark.parametrize("name", FORMULAS)
def test_large_values_stay_finite(name):
    assert torch.isfinite(ACTIVATIONS[name](torch.tensor([-100.0, 100.0]))).all()


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(CfgError) as error:
        build("[convolutional]\nactivation=leeky")
    assert str(error.value) == (
        "test.cfg:6: [convolutional]: unknown activation 'leeky'; did you mean leaky?"
    )


def test_unknown_names_without_a_near_one_list_all():
    _, section = parse_cfg("[net]\n[conv]\nactivation=qqq", "a.cfg")
    with pytest.raises(
        CfgError, match=r"^a\.cfg:3: \[conv\]: unknown activation 'qqq'; known: elu, "
    ):
        get_activation("qqq", section)


@pytest.mark.parametrize("name", sorted(ALEXEYAB_ACTIVATIONS))
def test_activations_of_alexeyab_alone_tell_the_dialect(name):
    assert build(f"[conv]\nactivation={name}").dialect.name == "alexeyab"
    assert build("[conv]\nactivation=stair").dialect.name == "pjreddie"

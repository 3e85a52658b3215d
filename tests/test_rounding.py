"""Batch norm and activations against C's loops, to the last bit."""

import numpy as np
import pytest
import torch
from helpers import assert_close, build
from torch.nn import functional as F

from darknet_py.learning import Learner
from darknet_py.rounding import activate_in_order, moments_in_order, normalize_in_order

f32 = np.float32


def values(*shape):
    generator = np.random.default_rng(3)
    return generator.normal(0.3, 1, shape).astype(f32)


@pytest.mark.parametrize("sample", [False, True])
def test_moments_are_those_of_the_loops(sample):
    x = values(2, 3, 5, 7)
    count = 2 * 5 * 7
    for channel, (mean, variance) in enumerate(
        zip(*moments_in_order(torch.from_numpy(x), sample=sample), strict=True)
    ):
        total = f32(0)
        for value in x[:, channel].ravel():
            total += value
        expected = total * f32(1 / count)
        assert float(mean) == expected
        total = f32(0)
        for value in x[:, channel].ravel():
            total = f32(float(total) + float(value - expected) ** 2)
        assert float(variance) == total * f32(1 / (count - sample))


@pytest.mark.parametrize("inside", [False, True])
def test_values_are_divided_in_double_precision(inside):
    x, mean, variance = values(2, 3, 4), values(3), np.abs(values(3))
    tensors = [torch.from_numpy(array) for array in (x, mean, variance)]
    ours = normalize_in_order(*tensors, inside=inside).numpy()
    for (n, c, i), value in np.ndenumerate(x):
        if inside:
            deviation = np.sqrt(float(variance[c] + f32(1e-5)))
        else:
            deviation = np.sqrt(float(variance[c])) + float(f32(1e-6))
        assert ours[n, c, i] == f32(float(value - mean[c]) / deviation)


@pytest.mark.parametrize("dialect, vectors", [("pjreddie", 0), ("alexeyab", 24)])
def test_leaky_takes_a_double_outside_of_vectors(dialect, vectors):
    x = -np.abs(values(2, 3, 5))
    ours = activate_in_order("leaky", torch.from_numpy(x), F.leaky_relu, dialect).numpy().ravel()
    flat = x.ravel()
    assert (ours[:vectors] == flat[:vectors] * f32(0.1)).all()
    assert (ours[vectors:] == (flat[vectors:].astype(float) * 0.1).astype(f32)).all()
    assert (ours[:vectors] != (flat[:vectors].astype(float) * 0.1).astype(f32)).any() or not vectors


def test_mish_is_mish():
    x = torch.cat([torch.linspace(-30, 30, 41), torch.zeros(1)])
    ours = activate_in_order("mish", x, F.mish, "alexeyab")
    assert_close(ours, F.mish(x))
    assert torch.equal(activate_in_order("relu", x, F.relu, "alexeyab"), F.relu(x))


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
@pytest.mark.parametrize("order", [True, "fused"])
def test_a_learner_in_c_order_learns_the_same(dialect, order):
    body = (
        "[convolutional]\nfilters=4\nsize=3\nbatch_normalize=1\nactivation=leaky\n"
        "[connected]\noutput=3\nactivation=linear\n[softmax]\n"
    )
    gradients = []
    for in_c_order in (False, order):
        network = build(body, dialect=dialect)
        learner = Learner(network, in_c_order=in_c_order)
        truth = torch.eye(3)[[0, 2]]
        learner.learn(torch.from_numpy(values(2, 3, 5, 7)), truth)
        gradients.append([parameter.grad for parameter in network.parameters()])
        layer = network[0]
        assert layer.in_c_order == layer.normalizer.in_c_order == bool(in_c_order)
        assert network[1].in_c_order == bool(in_c_order)
        assert layer.fused == (in_c_order == "fused")
    for plain, ordered in zip(*gradients, strict=True):
        assert_close(ordered / plain.abs().max(), plain / plain.abs().max())

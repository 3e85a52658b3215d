import numpy as np
import pytest
import torch
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_matches_the_c_loops(dialect):
    x = ramp(2, 3, 5, 7)
    network = build("[batchnorm]", dialect=dialect)
    network[0].normalizer.rolling_variance[1] = 2e-5
    a = {name: t.detach().double().numpy() for name, t in network[0].arrays()}
    expected = np.empty((2, 3, 5, 7))
    for b, c, i, j in np.ndindex(2, 3, 5, 7):
        variance = a["rolling_variance"][c]
        deviation = np.sqrt(variance) + 1e-6 if dialect == "pjreddie" else np.sqrt(variance + 1e-5)
        value = (float(x[b, c, i, j]) - a["rolling_mean"][c]) / deviation * a["scales"][c]
        expected[b, c, i, j] = value + (a["biases"][c] if dialect == "alexeyab" else 0)
    assert_close(network(x)[0], expected)


def test_only_alexeyab_stores_biases():
    names = {
        dialect: [name for name, _ in build("[batchnorm]", dialect=dialect)[0].arrays()]
        for dialect in ("pjreddie", "alexeyab")
    }
    assert names["pjreddie"] == ["scales", "rolling_mean", "rolling_variance"]
    assert names["alexeyab"] == ["biases", *names["pjreddie"]]


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_folded_arrays_do_the_same_work(dialect):
    layer = build("[conv]\nbatch_normalize=1\nfilters=4\nactivation=linear", dialect=dialect)[0]
    x = ramp(2, 3, 5, 7)
    weights, biases = layer.normalizer.fold(layer.weights, layer.biases)
    assert_close(torch.nn.functional.conv2d(x, weights, biases).detach(), layer(x).detach())


def test_row():
    assert build("[batchnorm]", shape=(4, 13, 17))[0].row() == (
        "Batch Normalization Layer: 17 x 13 x 4 image"
    )


def test_needs_an_image():
    with pytest.raises(CfgError) as error:
        build("[batchnorm]", shape=(6,))
    assert str(error.value) == (
        "test.cfg:5: [batchnorm]: the layer before must give an image (width, height, channels)"
    )


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_a_variance_just_below_0_is_0(dialect):
    """Trained files hold such numbers, where a channel died."""
    body = "[convolutional]\nfilters=4\nbatch_normalize=1\nactivation=relu\n"
    networks = [build(body, dialect=dialect) for _ in range(2)]
    for network, variance in zip(networks, (-7e-44, 0.0), strict=True):
        network[0].normalizer.rolling_variance[2] = variance
    x = ramp(2, 3, 5, 7)
    ours, zero = (network(x)[0] for network in networks)
    assert torch.isfinite(ours).all() and torch.equal(ours, zero)
    layers = [network[0] for network in networks]
    for a, b in zip(*(n.normalizer.fold(n.weights, n.biases) for n in layers), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(*(n.normalizer.at_epsilon(1e-5) for n in layers), strict=True):
        assert_close(a, b)


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
@pytest.mark.parametrize("in_c_order", [False, True])
def test_training_normalises_by_the_mini_batch(dialect, in_c_order):
    """blas.c:normalize_cpu and normalize_delta_cpu; AlexeyAB's as cuDNN."""
    network = build("[batchnorm]", dialect=dialect).train()
    normalizer = network[0].normalizer
    normalizer.in_c_order = in_c_order
    rolling = normalizer.rolling_variance.double().clone()
    x, delta = ramp(2, 3, 5, 7).requires_grad_(), ramp(2, 3, 5, 7, start=0.3)
    out = network(x)[0]
    out.backward(delta)

    def by_channel(array):
        return array.double().view(1, -1, 1, 1)

    values, count, dims = x.detach().double(), 2 * 5 * 7, (0, 2, 3)
    mean = values.mean(dims, keepdim=True)
    sample = dialect == "pjreddie"
    variance = ((values - mean) ** 2).sum(dims, keepdim=True) / (count - sample)
    deviation = variance.sqrt() + 1e-6 if sample else (variance + 1e-5).sqrt()
    scales = by_channel(normalizer.scales.detach())
    biases = by_channel(network[0].biases.detach()) if network[0].biases is not None else 0
    normalized = (values - mean) / deviation
    assert_close(out.detach(), (normalized * scales + biases).float())
    # What PyTorch keeps divides by N - 1, as what cuDNN keeps; AlexeyAB's loops by N.
    kept = variance if sample or in_c_order else variance * count / (count - 1)
    assert_close(normalizer.rolling_variance, (0.99 * rolling + 0.01 * kept.flatten()).float())
    assert_close(normalizer.scales.grad, (delta * normalized).sum(dims).float())
    inside = (variance + 1e-5).sqrt()
    scaled = delta.double() * scales
    of_mean = -scaled.sum(dims, keepdim=True) / inside
    of_variance = -0.5 * (scaled * (values - mean)).sum(dims, keepdim=True) / inside**3
    expected = scaled / inside + of_variance * 2 * (values - mean) / count + of_mean / count
    assert_close(x.grad, expected.float())

import math

import numpy as np
import pytest
import torch
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError, DarknetWarning

CONV = "[convolutional]\nfilters={}\nsize=1\nstride={}\nactivation=linear\n"
POOL = "[maxpool]\nsize={0}\nstride={0}\n"


def sampled(x, add, alpha, beta):
    """blas.c:shortcut_cpu of pjreddie, loop for loop."""
    (_, c2, h2, w2), (_, c1, h1, w1) = x.shape, add.shape
    stride, sample = max(w1 // w2, 1), max(w2 // w1, 1)
    out = x.copy()
    for k in range(min(c1, c2)):
        for j in range(min(h1, h2)):
            for i in range(min(w1, w2)):
                at = (slice(None), k, j * sample, i * sample)
                out[at] = alpha * out[at] + beta * add[:, k, j * stride, i * stride]
    return out


def multilayer(x, others, weights, normalization):
    """blas.c:shortcut_multilayer_cpu of AlexeyAB, loop for loop."""
    batch, outputs = len(x), x[0].size
    flat, adds = x.reshape(batch, -1), [other.reshape(batch, -1) for other in others]
    out = np.empty_like(flat)
    step = 0 if weights is None else outputs // (weights.size // (len(others) + 1))
    for b in range(batch):
        for i in range(outputs):
            factors = np.ones(len(others) + 1, np.float32)
            if weights is not None:
                factors = weights.reshape(len(others) + 1, -1)[:, i // step]
            if normalization == "relu":
                factors = np.maximum(factors, 0) / (1e-4 + np.maximum(factors, 0).sum())
            elif normalization == "softmax":
                powers = np.exp(factors - factors.max())
                factors = powers / (1e-4 + powers.sum())
            out[b, i] = flat[b, i] * factors[0]
            for add, factor in zip(adds, factors[1:], strict=True):
                if i < add.shape[1]:
                    out[b, i] += add[b, i] * factor
    return out.reshape(x.shape)


@pytest.mark.parametrize(
    "layers",
    [
        CONV.format(4, 1) + CONV.format(4, 1),
        CONV.format(6, 1) + CONV.format(4, 1),
        CONV.format(3, 1) + CONV.format(5, 1),
        CONV.format(4, 1) + POOL.format(2),
        CONV.format(4, 1) + POOL.format(2) + CONV.format(7, 1),
        POOL.format(3) + "[upsample]\nstride=3\n",
    ],
)
@pytest.mark.parametrize("keys", ["", "alpha=.5\nbeta=-2\nactivation=leaky\n"])
def test_unequal_sizes_are_sampled_in_pjreddie(layers, keys):
    x = ramp(2, 3, 12, 6)
    network = build(f"{layers}[shortcut]\nfrom=0\n{keys}", shape=(3, 12, 6))
    outputs = [output.detach() for output in network(x)]
    alpha, beta = (0.5, -2) if keys else (1, 1)
    expected = torch.from_numpy(sampled(outputs[-2].numpy(), outputs[0].numpy(), alpha, beta))
    assert_close(outputs[-1], torch.nn.functional.leaky_relu(expected, 0.1) if keys else expected)
    assert network[-1].out_shape == network[-2].out_shape


@pytest.mark.parametrize("kind", ["none", "per_feature", "per_layer", "per_channel"])
@pytest.mark.parametrize("normalization", ["none", "relu", "avg_relu", "softmax"])
def test_weights_of_alexeyab(kind, normalization):
    x = ramp(2, 3, 4, 5)
    network = build(
        CONV.format(4, 1) + CONV.format(4, 1) + CONV.format(4, 1) + "[shortcut]\nfrom=-2,0\n"
        f"activation=linear\nweights_type={kind}\nweights_normalization={normalization}\n",
        shape=(3, 4, 5),
        dialect="alexeyab",
    )
    outputs = [output.detach().numpy() for output in network(x)]
    weights = None if kind == "none" else network[3].weights.detach().numpy()
    rule = {"avg_relu": "relu"}.get(normalization, normalization)
    expected = multilayer(
        outputs[2], [outputs[1], outputs[0]], weights, weights is not None and rule
    )
    assert_close(outputs[3], expected)
    count = {"none": 0, "per_channel": 12}.get(kind, 3)
    assert sum(array.numel() for _, array in network[3].arrays()) == count


@pytest.mark.parametrize(
    "layers",
    [
        CONV.format(6, 1) + CONV.format(4, 1),
        CONV.format(3, 1) + CONV.format(5, 1),
        CONV.format(4, 1) + POOL.format(2),
        CONV.format(2, 1) + POOL.format(2) + CONV.format(9, 1),
        POOL.format(2) + "[upsample]\n",
    ],
)
def test_unequal_sizes_are_added_in_memory_order_in_alexeyab(layers):
    x = ramp(2, 3, 6, 8)
    network = build(
        f"{layers}[shortcut]\nfrom=0\nactivation=linear\n", shape=(3, 6, 8), dialect="alexeyab"
    )
    outputs = [output.detach().numpy() for output in network(x)]
    assert_close(outputs[-1], multilayer(outputs[-2], [outputs[0]], None, "none"))


def test_weights_start_at_one():
    text = CONV.format(4, 1) * 2 + "[shortcut]\nfrom=-2\nweights_type=per_channel\n"
    network = build(text + "weights_normalization=relu\n", dialect="alexeyab")
    network.initialize()
    assert network[2].weights.flatten().tolist() == [1.0] * 8


def test_pjreddie_adds_the_first_of_several_layers():
    with pytest.warns(DarknetWarning, match=r"^test\.cfg:16: \[shortcut\]: only the first layer"):
        network = build(CONV.format(3, 1) * 2 + "[shortcut]\nfrom=-2,-1\n", dialect="pjreddie")
    assert network[2].sources == (1, 0)


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "[maxpool]\nstride=2\n[convolutional]\n[shortcut]\nfrom=0\nalpha=x\n",
            "test.cfg:10: [shortcut]: alpha must be a number, got 'x'",
        ),
        (
            "[convolutional]\n[shortcut]\nfrom=3\n",
            "test.cfg:7: [shortcut]: from=3 names layer 3, but only layers 0 to 0 come before "
            "this one (layer 1)",
        ),
        (
            "[convolutional]\n[convolutional]\n[shortcut]\nfrom=0\nweights_type=per_pixel\n",
            "test.cfg:9: [shortcut]: weights_type must be one of none, per_feature, per_layer, "
            "per_channel, got 'per_pixel'",
        ),
    ],
)
def test_errors(text, message):
    with pytest.raises(CfgError) as caught:
        build(text)
    assert str(caught.value) == message


def test_odd_ratios_are_refused_in_pjreddie():
    text = "[convolutional]\n[maxpool]\nsize=3\nstride=3\npadding=0\n[shortcut]\nfrom=0\n"
    with pytest.raises(CfgError) as caught:
        build(text, shape=(3, 5, 7), dialect="pjreddie")
    assert str(caught.value) == (
        "test.cfg:11: [shortcut]: 7 x 5 x 1 cannot be added to 2 x 1 x 1: width and height must "
        "be in the same ratio"
    )


def test_rows():
    text = CONV.format(4, 1) + POOL.format(2) + "[shortcut]\nfrom=0\n"
    assert build(text, (3, 6, 8), "pjreddie")[2].row() == (
        "res    0                   8 x   6 x   4   ->     4 x   3 x   4"
    )
    layer = build(text, (3, 6, 8), "alexeyab")[2]
    assert layer.row() == (
        "Shortcut Layer: 0,  wt = 0, wn = 0, outputs:   4 x   3 x   4 0.000 BF\n"
        " (   4 x   3 x   4) + (   8 x   6 x   4) "
    )
    assert layer.operations == math.prod((4, 3, 4))

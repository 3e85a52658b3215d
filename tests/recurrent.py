"""The parts of recurrent layers in numpy, as C computes them."""

import numpy as np
import torch


@torch.no_grad()
def calm(network):
    """`network` with smaller weights, so that its state does not grow from step to step."""
    for _, name, tensor in network.arrays():
        if name.endswith(".weights"):
            tensor.mul_(0.2)
    return network


def arrays(layer):
    """The layer's arrays by their names, in float64."""
    return {name: tensor.detach().double().numpy() for name, tensor in layer.arrays()}


def logistic(x):
    return 1 / (1 + np.exp(-x))


def leaky(x):
    return np.where(x > 0, x, 0.1 * x)


def connected(a, part, x, dialect="pjreddie"):
    """connected_layer.c:forward_connected_layer up to the activation; x is (batch, n)."""
    out = np.zeros((len(x), len(a[f"{part}.biases"])))
    for b in range(len(x)):
        for o in range(out.shape[1]):
            out[b, o] = sum(a[f"{part}.weights"][o] * x[b])
    return normalize(a, part, out, dialect)


def convolution(a, part, x, dialect="pjreddie", groups=1):
    """forward_convolutional_layer up to the activation: stride 1, padded to x's size."""
    weights = a[f"{part}.weights"]
    size = weights.shape[-1]
    padded = np.pad(x, ((0, 0), (0, 0), (size // 2, size // 2), (size // 2, size // 2)))
    out = np.zeros((len(x), len(weights), *x.shape[2:]))
    each_in, each_out = x.shape[1] // groups, len(weights) // groups
    for o in range(len(weights)):
        group = o // each_out
        source = padded[:, group * each_in : (group + 1) * each_in]
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                window = source[:, :, i : i + size, j : j + size]
                out[:, o, i, j] = (window * weights[o]).sum((1, 2, 3))
    return normalize(a, part, out, dialect)


def normalize(a, part, x, dialect):
    """Batch norm where the part has it, and the biases."""

    def channels(name):
        return a[f"{part}.{name}"].reshape(1, -1, *[1] * (x.ndim - 2))

    if f"{part}.scales" in a:
        variance = channels("rolling_variance")
        deviation = np.sqrt(variance) + 1e-6 if dialect == "pjreddie" else np.sqrt(variance + 1e-5)
        x = (x - channels("rolling_mean")) / deviation * channels("scales")
    return x + channels("biases")

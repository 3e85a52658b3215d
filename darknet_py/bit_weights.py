"""Bit weights: how AlexeyAB's commands run `xnor=1` networks."""

from __future__ import annotations

from darknet_py.activations import linear
from darknet_py.layers.convolutional import Convolutional
from darknet_py.network import Network

_KEEP_VALUES = ("route", "sam", "scale_channels", "shortcut")


def use_bit_weights(network: Network) -> bool:
    """Let the `xnor=1` layers of `network` compare signs of inputs with signs of weights.

    Batch norm is folded into the weights of every convolution before those of `xnor=1` are cut to
    signs, and a layer with `bin_output=1` whose values nothing but the next layer reads loses its
    activation. The stored arrays stay as they are; a later change of them has no effect. Every
    command of AlexeyAB's but training does so after it loads weights.
    C: network.c:fuse_conv_batchnorm, calculate_binary_weights.

    Returns:
        Whether there is such a layer.
    """
    layers = [layer for layer in network if isinstance(layer, Convolutional)]
    if not any(layer.options.xnor for layer in layers):
        return False
    read = {
        source
        for layer in network
        if layer.section.type in _KEEP_VALUES
        for source in layer.sources
    }
    for layer in layers:
        layer.use_bits()
        if layer.options.xnor and layer.options.bin_output and layer.index not in read:
            layer.activation = linear
    return True

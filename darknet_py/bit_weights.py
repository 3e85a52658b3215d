"""Bit weights: how AlexeyAB's commands run `xnor=1` networks."""

from __future__ import annotations

from darknet_py.activations import linear
from darknet_py.layers.convolutional import Convolutional
from darknet_py.network import Network

_KEEP_VALUES = ("route", "sam", "scale_channels", "shortcut")


def use_bit_weights(network: Network) -> bool:
    """Let the `xnor=1` layers of `network` compare signs of inputs with signs of weights.

    Batch norm is folded into their weights before these are cut to signs, and a layer with
    `bin_output=1` whose values nothing but the next layer reads loses its activation. The stored
    arrays stay as they are. C: network.c:calculate_binary_weights, which every command of
    AlexeyAB's runs after it loads weights; training does not.

    Returns:
        Whether there is such a layer.
    """
    read = {
        source
        for layer in network
        if layer.section.type in _KEEP_VALUES
        for source in layer.sources
    }
    found = False
    for layer in network:
        if isinstance(layer, Convolutional) and layer.options.xnor:
            layer.bits = found = True
            if layer.options.bin_output and layer.index not in read:
                layer.activation = linear
    return found

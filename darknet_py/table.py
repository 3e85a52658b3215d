"""The table of layers that C prints while it reads a cfg, in each fork's format, and its totals."""

from __future__ import annotations

from collections.abc import Iterator

from darknet_py.network import Network
from darknet_py.weights import WeightsHeader, count_floats

_HEADERS = {
    "pjreddie": "layer     filters    size              input                output",
    "alexeyab": "   layer   filters  size/strd(dil)      input                output",
}


def table(network: Network) -> Iterator[str]:
    """The header, a line for each layer, and AlexeyAB's totals (C: parser.c:parse_network_cfg).

    A recurrent layer's line goes on in further lines, as C prints its parts.
    """
    name = network.dialect.name
    yield _HEADERS[name]
    for index, layer in enumerate(network):
        yield from f"{index:{5 if name == 'pjreddie' else 4}d} {layer.row()}".split("\n")
    if name == "alexeyab":
        yield f"Total BFLOPS {operations(network) / 1e9:5.3f} "
        yield f"avg_outputs = {average_outputs(network)} "


def operations(network: Network) -> int:
    """Floating point operations for one image, as the dialect's C counts them."""
    return sum(layer.operations for layer in network)


def average_outputs(network: Network) -> int:
    """The mean number of outputs over the layers that read more than one row and column."""
    counts = [
        layer.out_shape.size
        for layer in network
        if layer.in_shape.width > 1 and layer.in_shape.height > 1
    ]
    return sum(counts) // len(counts) if counts else 0


def parameters(network: Network) -> int:
    """How many numbers a whole .weights file holds, batch norm's statistics among them."""
    return count_floats(network)


def weights_bytes(network: Network) -> int:
    """The size of a whole .weights file, with the header that the dialect writes."""
    return WeightsHeader(*network.dialect.version, 0).size + 4 * count_floats(network)


def summary(network: Network) -> list[str]:
    """The totals in plain words: layers, operations, parameters, the weights file's size."""
    return [
        f"dialect {network.dialect.name}, input {network.image}, {len(network)} layers",
        f"{operations(network) / 1e9:.3f} BFLOPs for one image",
        f"{parameters(network):,} parameters",
        f"{weights_bytes(network):,} bytes in a whole weights file",
    ]

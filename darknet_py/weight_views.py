"""Looks at a network's weights: statistics, numbers, operations, pictures of filters and maps."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from darknet_py.errors import DarknetError
from darknet_py.gemm import sum_in_c_order
from darknet_py.layers import Layer
from darknet_py.layers.connected import Connected
from darknet_py.layers.convolutional import Convolutional
from darknet_py.layers.deconvolutional import Deconvolutional
from darknet_py.layers.gru import GRU
from darknet_py.layers.local import Local
from darknet_py.layers.lstm import LSTM
from darknet_py.layers.rnn import RNN
from darknet_py.network import Network
from darknet_py.surgery import normalized_parts


def statistics(network: Network) -> Iterator[str]:
    """The lines of `statistics`: for connected layers with batch norm, in [gru] too.

    With dialect alexeyab also for [lstm]. C: darknet.c:statistics_net.
    """
    for index, layer in enumerate(network):
        if isinstance(layer, Connected | GRU | LSTM):
            parts = normalized_parts(layer)
            kind = "Connected" if isinstance(layer, Connected) else type(layer).__name__
            if parts:
                yield f"{kind} Layer {index}"
            for name, part in parts.items():
                if name:
                    yield name
                arrays = dict(part.arrays())
                for array in ("scales", "biases", "weights"):
                    # PARITY: of the weights only as many as there are outputs are looked at
                    # (C: connected_layer.c:statistics_connected_layer).
                    values = arrays[array].detach().cpu().numpy().reshape(-1)
                    yield f"{array.title()} {_summary(values[: len(part.biases)])}"
        yield ""


def _summary(values: np.ndarray) -> str:
    """C: utils.c:print_statistics; what it calls MSE is the root of the mean square."""
    count = np.float32(len(values))
    mean = sum_in_c_order(values[None])[0] / count
    variance = sum_in_c_order(((values - mean) * (values - mean))[None])[0] / count
    square = np.sqrt(sum_in_c_order((values * values)[None])[0] / count)
    return f"MSE: {square:.6f}, Mean: {mean:.6f}, Variance: {variance:.6f}"


def filter_rows(network: Network, index: int) -> Iterator[np.ndarray]:
    """Each filter of a layer as its numbers, channel by channel (C: darknet.c:print_weights).

    Of a [local] layer those of its first place.

    Raises:
        DarknetError: there is no such layer, or it has no filters.
    """
    if not 0 <= index < len(network):
        raise DarknetError(f"there is no layer {index}: the cfg has 0 to {len(network) - 1}")
    layer = network[index]
    if isinstance(layer, Convolutional):
        layer = layer.bank
    if not isinstance(layer, Convolutional | Deconvolutional | Local):
        raise DarknetError(f"layer {index} is a [{layer.section.type}] and has no filters")
    weights = layer.weights.detach().float().cpu().numpy()
    return iter(weights.reshape(-1)[: _count_filter_values(layer)].reshape(layer.filters, -1))


def _count_filter_values(layer: Convolutional | Deconvolutional | Local) -> int:
    whole = layer.weights.numel()
    return whole // len(layer.weights) if isinstance(layer, Local) else whole


def count_operations(network: Network) -> int:
    """Two for each multiplication, as `ops` counts them (C: darknet.c:numops).

    Convolutions, connected layers, [rnn], [gru] and [lstm] count, other layers do not.
    """
    return sum(_count(layer, network.dialect.ops_divide_by_groups) for layer in network)


def _count(layer: Layer, by_groups: bool) -> int:
    if isinstance(layer, Convolutional):
        places = layer.host_shape.height * layer.host_shape.width
        each = 2 * layer.filters * layer.size**2 * layer.channels
        return (each // layer.groups if by_groups else each) * places
    if isinstance(layer, Connected):
        return 2 * layer.inputs * layer.outputs
    if isinstance(layer, RNN | GRU | LSTM):
        connected = (part for part in layer.parts.values() if isinstance(part, Connected))
        return sum(2 * part.inputs * part.outputs for part in connected)
    return 0


def draw_filters(layer: Convolutional) -> np.ndarray:
    """A picture of a layer's filters, one below the other, float32 from 0 to 1.

    Each filter reaches from black to white. Filters of three channels are coloured, of others the
    channels stand side by side. C: convolutional_layer.c:visualize_convolutional_layer.
    """
    weights = _stretch(layer.bank.weights.detach().float().cpu().numpy(), (1, 2, 3))
    count, channels, height, width = weights.shape
    framed = np.pad(weights, ((0, 0), (0, 0), (0, 1), (0, 1)))
    if channels == 3:
        picture = framed[..., :-1].transpose(0, 2, 3, 1).reshape(-1, width, 3)
    else:
        picture = framed.transpose(0, 2, 1, 3).reshape(count * (height + 1), -1, 1)[:, :-1]
    return _stretch(picture[:-1], None)


def draw_maps(output: np.ndarray) -> np.ndarray:
    """A picture of a layer's output `(channels, height, width)`, float32 from 0 to 1.

    The maps stand row by row in a frame that is about square; each reaches from black to white.
    """
    channels, height, width = output.shape
    columns = min(channels, max(1, round(math.sqrt(channels * height / width))))
    rows = -(-channels // columns)
    framed = np.zeros((rows * columns, height + 1, width + 1), np.float32)
    framed[:channels, :-1, :-1] = _stretch(output.astype(np.float32), (1, 2))
    grid = framed.reshape(rows, columns, height + 1, width + 1).transpose(0, 2, 1, 3)
    return grid.reshape(rows * (height + 1), columns * (width + 1), 1)[:-1, :-1]


def _stretch(values: np.ndarray, axes: tuple[int, ...] | None) -> np.ndarray:
    """Values along `axes` from 0 to 1, if they differ (C: image.c:normalize_image)."""
    least = values.min(axes, keepdims=True)
    span = values.max(axes, keepdims=True) - least
    flat = span < 1e-9
    stretched: np.ndarray = (values - np.where(flat, np.float32(0), least)) / np.where(
        flat, np.float32(1), span
    )
    return stretched

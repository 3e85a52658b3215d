"""Changes to a network's weights: the small tools of ./darknet (C: examples/darknet.c).

Each function changes the network that it is given; `weights.save_weights` then writes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn

from darknet_py.batchnorm import BatchNormalizer
from darknet_py.errors import DarknetError
from darknet_py.gemm import sum_in_c_order
from darknet_py.layers import Layer
from darknet_py.layers.connected import Connected
from darknet_py.layers.convolutional import Convolutional
from darknet_py.layers.deconvolutional import Deconvolutional
from darknet_py.layers.gru import GRU
from darknet_py.layers.lstm import LSTM
from darknet_py.network import Network
from darknet_py.weights import load_weights

Matrix: TypeAlias = Convolutional | Deconvolutional | Connected
"""A layer that multiplies, and may normalise what comes out."""


@torch.no_grad()
def average(network: Network, others: Iterable[Network]) -> None:
    """Make `network` the mean of itself and `others`, networks of the same cfg.

    PARITY: that is the mean in [convolutional], and of biases and weights in [connected]; all
    else stays the first network's (C: darknet.c:average).
    """
    count = 1
    for other in others:
        count += 1
        for mine, theirs in zip(_averaged(network), _averaged(other), strict=True):
            mine.add_(theirs)
    factor = float(np.float32(1 / count))
    for tensor in _averaged(network):
        tensor.mul_(factor)


def _averaged(network: Network) -> Iterator[Tensor]:
    for layer in network:
        if isinstance(layer, Convolutional):
            yield from (tensor for _, tensor in layer.arrays())
        elif isinstance(layer, Connected):
            yield from (layer.biases, layer.weights)


def denormalize(network: Network) -> None:
    """Work batch norm into the weights and biases, and leave it out.

    That is done in [convolutional], [deconvolutional], [connected] and [gru]; what is saved is a
    file for the same cfg without `batch_normalize=1` there.
    """
    for layer in network:
        for part in normalized_parts(layer, with_lstm=False).values():
            _fold(part)
            _set_normalizer(part, None)


def reset(network: Network) -> None:
    """Work batch norm into the weights and biases, and leave one there that does nothing.

    That is done in [convolutional], [connected] and [gru], with dialect alexeyab in [lstm].
    """
    for layer in network:
        if not isinstance(layer, Deconvolutional):
            for part in normalized_parts(layer).values():
                _fold(part)


def normalize(network: Network) -> None:
    """Give every [convolutional] and [connected] layer batch norm, for a cfg that asks for it.

    PARITY: with a variance of 0, so that outputs grow beyond measure until training moves it; a
    [gru], with dialect alexeyab an [lstm], that has batch norm gets a new one
    (C: darknet.c:normalize_layer, normalize_net).
    """
    for layer in network:
        parts = dict(normalized_parts(layer)) if isinstance(layer, GRU | LSTM) else {}
        if isinstance(layer, Convolutional | Connected) and not _shares(layer):
            parts = {} if layer.normalizer is not None else {"": layer}
        for part in parts.values():
            normalizer = BatchNormalizer(len(part.biases), layer.dialect).to(part.biases.device)
            for (_, tensor), value in zip(normalizer.arrays(), (1.0, 0.0, 0.0), strict=True):
                tensor.data.fill_(value)
            _set_normalizer(part, normalizer)


@torch.no_grad()
def rescale(network: Network) -> None:
    """Make the first convolution take an image from -1 to 1 where it took one from 0 to 1.

    C: convolutional_layer.c:rescale_weights.
    """
    layer = _first_convolution(network)
    if layer is not None:
        layer.weights.mul_(2)
        # PARITY: the sum runs over the doubled weights, so an image of twice the range is meant
        # (C: convolutional_layer.c:rescale_weights).
        sums = sum_in_c_order(layer.weights.flatten(1).cpu().numpy())
        layer.biases.add_(torch.from_numpy(sums * np.float32(-0.5)).to(layer.biases))


@torch.no_grad()
def swap_red_and_blue(network: Network) -> None:
    """Make the first convolution take BGR where it took RGB (C: rgbgr_weights)."""
    layer = _first_convolution(network)
    if layer is not None:
        layer.weights.copy_(layer.weights.flip(1))


def _first_convolution(network: Network) -> Convolutional | None:
    """The first one, if its filters see three channels; C leaves others alone without a word."""
    layer = next((layer for layer in network if isinstance(layer, Convolutional)), None)
    return layer if layer is not None and layer.weights.shape[1] == 3 else None


def load_twice(network: Network, path: str | os.PathLike[str], layer: int) -> None:
    """Load a file as it is, then once more into the layers from `layer` on (C: oneoff2).

    Raises:
        DarknetError: there is no such layer, or the file does not fit.
    """
    if not 0 <= layer < len(network):
        raise DarknetError(f"there is no layer {layer}: the cfg has 0 to {len(network) - 1}")
    load_weights(network, path, cutoff=len(network))
    load_weights(network, path, cutoff=len(network), start=layer)
    network.seen = 0


@torch.no_grad()
def load_shifted(network: Network, path: str | os.PathLike[str]) -> int:
    """Load a classifier's filters into a last convolution of boxes; how many filters that has.

    The last layer but one takes as many filters as the dialect's `oneoff` says, five filters
    further on; then its first third is copied to the other two (C: darknet.c:oneoff).

    Raises:
        DarknetError: that layer is no [convolutional] that is large enough.
    """
    count, factor = network.dialect.oneoff
    layer = network[len(network) - 2] if len(network) > 1 else network[0]
    if not isinstance(layer, Convolutional) or layer.filters < count + 5 or _shares(layer):
        found = getattr(layer, "filters", 0)
        what = f"[{layer.section.type}]" + (f" of {found}" if found else "")
        raise DarknetError(
            f"oneoff needs a [convolutional] of at least {count + 5} filters as the last layer "
            f"but one, layer {layer.index} is a {what}"
        )
    biases, weights = layer.biases.data, layer.weights.data.view(-1)
    # PARITY: filters are counted as if they held one number for each channel: C forgets size
    # and groups in all of this, and the batch norm does not move (C: darknet.c:oneoff).
    step = layer.channels
    weights[: layer.filters * step] *= factor
    if factor != 1:
        biases.zero_()
    each = layer.weights[0].numel()
    if 5 * step + count * each > weights.numel():
        raise DarknetError(f"oneoff cannot shift filters of {layer.size} x {layer.size} x {step}")
    whole, normalizer = (layer.biases, layer.weights), layer.normalizer
    layer.biases = nn.Parameter(biases[5 : 5 + count])
    shifted = weights[5 * step : 5 * step + count * each]
    layer.weights = nn.Parameter(shifted.view(count, *whole[1].shape[1:]))
    if normalizer is not None:
        layer.normalizer = _first_channels(normalizer, count, layer)
    try:
        load_weights(network, path)
    finally:
        layer.biases, layer.weights = whole
        layer.normalizer = normalizer
    third = layer.filters // 3
    for start in (third, 2 * layer.filters // 3):
        biases[start : start + third] = biases[:third].clone()
        weights[start * step : (start + third) * step] = weights[: third * step].clone()
    network.seen = 0
    return layer.filters


def _first_channels(normalizer: BatchNormalizer, count: int, layer: Layer) -> BatchNormalizer:
    """One whose arrays are the first `count` values of another's."""
    part = BatchNormalizer(0, layer.dialect)
    part.scales = nn.Parameter(normalizer.scales.data[:count])
    part.rolling_mean = normalizer.rolling_mean[:count]
    part.rolling_variance = normalizer.rolling_variance[:count]
    return part


def normalized_parts(layer: Layer, with_lstm: bool | None = None) -> dict[str, Matrix]:
    """What in a layer has batch norm that these tools know, by C's names; itself is "".

    `with_lstm`: whether an [lstm] counts; None: as the dialect has it.
    """
    found: dict[str, Matrix] = {}
    if with_lstm is None:
        with_lstm = layer.dialect.surgery_reaches_lstm
    if isinstance(layer, Convolutional | Deconvolutional | Connected):
        found = {} if _shares(layer) else {"": layer}
    elif isinstance(layer, GRU):
        for letter, name in (("u", "Input"), ("w", "State")):
            for gate in "zrh":
                found[f"{name} {gate.upper()}"] = cast("Connected", layer.parts[letter + gate])
    elif isinstance(layer, LSTM) and with_lstm:
        for part in ("wf", "wi", "wg", "wo", "uf", "ui", "ug", "uo"):
            found[part] = cast("Connected", layer.parts[part])
    return {name: part for name, part in found.items() if part.normalizer is not None}


def _shares(layer: Layer) -> bool:
    """Whether a layer's arrays are those of another."""
    return isinstance(layer, Convolutional) and layer.bank is not layer


@torch.no_grad()
def _fold(part: Matrix) -> None:
    """Multiply batch norm into the weights; it then does nothing.

    PARITY: with the constant that C has here, whatever inference takes: 1e-5, in [connected]
    1e-6, inside the root (C: denormalize_convolutional_layer, denormalize_connected_layer).
    """
    normalizer = part.normalizer
    assert normalizer is not None
    epsilon = 1e-6 if isinstance(part, Connected) else 1e-5
    deviation = (normalizer.rolling_variance.double() + epsilon).sqrt()
    factor = (normalizer.scales.double() / deviation).float()
    shape = [1] * part.weights.dim()
    shape[1 if isinstance(part, Deconvolutional) else 0] = len(factor)
    part.weights.mul_(factor.view(shape))
    part.biases.sub_(normalizer.rolling_mean * factor)
    normalizer.scales.fill_(1)
    normalizer.rolling_mean.fill_(0)
    normalizer.rolling_variance.fill_(1)


def _set_normalizer(part: Matrix, normalizer: BatchNormalizer | None) -> None:
    part.normalizer = normalizer
    if isinstance(part, Convolutional):
        part.normalized = normalizer is not None

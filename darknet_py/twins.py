"""Filters that have become alike: one of each pair starts anew (`weights_reject_freq`)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional as F

from darknet_py.layers.convolutional import Convolutional
from darknet_py.network import Network
from darknet_py.schedule import ScheduleOptions

ALIKE = 0.4
"""The cosine from which on two filters are."""


def is_time_to_part(options: ScheduleOptions, iteration: int) -> bool:
    """Every `weights_reject_freq` iterations of the first three quarters."""
    every, end = options.weights_reject_freq, options.max_batches * 3 // 4
    return every > 0 and iteration < end and iteration % every == 0


@torch.no_grad()
def part_twins(network: Network, random: np.random.Generator) -> list[int]:
    """Give the first of each layer's two most similar filters chance weights, if they are alike.

    The first layer, those without an activation and the three before a [yolo] stay as they are.
    C: AlexeyAB's network.c:reject_similar_weights.

    Returns:
        The layers that were changed.
    """
    layers, changed = list(network), []
    for index, layer in enumerate(layers):
        after = [later.section.type for later in layers[index + 1 : index + 4]]
        if not index or "yolo" in after or not isinstance(layer, Convolutional):
            continue
        if layer.bank is not layer or layer.options.activation == "linear" or layer.filters < 2:
            continue
        # PARITY: with groups C takes filters for longer than they are, and reads beyond the last.
        rows = F.normalize(layer.weights.flatten(1))
        alike = (rows @ rows.T).triu(1)
        place = int(alike.argmax())
        if float(alike.flatten()[place]) <= ALIKE:
            continue
        filter = place // layer.filters
        weights = layer.weights[filter]
        chance = random.uniform(-1, 1, tuple(weights.shape)) * math.sqrt(2 / weights.numel())
        weights.copy_(torch.from_numpy(chance))
        layer.biases[filter] = 0
        if layer.normalizer is not None:
            layer.normalizer.scales[filter] = 1
        changed.append(index)
    return changed

"""What the tests of losses share: objects in a truth, and one step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from darknet_py.layers.base import Layer
from darknet_py.layers.step import Delta, Step
from darknet_py.shape import Shape


def objects(batch: int, values: int, *, limit: int, classes: int) -> Tensor:
    """Truths `(batch, limit, values)`: objects in a crowd, some in one cell, some of one class."""
    random = np.random.default_rng(7)
    truth = np.zeros((batch, limit, values), np.float32)
    for image in range(batch):
        for i in range(9 - 3 * image):
            row = truth[image, i]
            row[:2], row[2:4] = random.uniform(0.001, 0.999, 2), random.uniform(0.05, 0.9, 2)
            row[4] = random.integers(classes)
            if i % 3 == 2:  # beside the one before it
                row[:4] = np.clip(
                    truth[image, i - 1, :4] + random.uniform(-0.01, 0.01, 4), 0.01, 0.99
                )
            if i % 6 == 5:
                row[4] = truth[image, i - 1, 4]
    return torch.from_numpy(truth)


def step_of(layer: Layer, image: tuple[int, int], batch: int, **more: Any) -> Step:
    """The first iteration, for an input of (width, height)."""
    values = {"seen": 20000, "iteration": 1, "batch": batch, "outputs": []} | more
    shape, random = Shape(3, image[1], image[0]), np.random.default_rng(0)
    return Step(image=shape, random=random, **values)


@torch.no_grad()
def lose(
    layer: Layer, x: Tensor, truth: Tensor, image: tuple[int, int], **more: Any
) -> tuple[Delta, Tensor]:
    """A layer's delta and its output for an input of (width, height)."""
    output = layer(x)
    delta = layer.delta([x], output, truth.flatten(1), step_of(layer, image, len(x), **more))
    assert delta is not None
    assert delta.values.shape == x.shape
    return delta, output

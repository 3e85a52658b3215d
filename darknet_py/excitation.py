"""Assisted excitation: early in the training, cells inside an object's box shine brighter."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from darknet_py.layers.step import Step


def find_strength(until: float, step: Step) -> float:
    """From 1 down to 0; 0 where the layer's key `until` says that it is over or not begun.

    C: convolutional_kernels.cu:assisted_excitation_forward_gpu.
    """
    if until == 1:
        if step.iteration > step.max_batches / 2:
            return 0.0
        return (1 + math.cos(math.pi * step.iteration / max(step.max_batches, 1))) / 2
    if not step.burn_in <= step.iteration <= until:
        return 0.0
    return (1 + math.cos(math.pi * step.iteration / (step.burn_in + until))) / 2


def mark_objects(truth: Tensor, entries: int, height: int, width: int) -> Tensor:
    """1 in the cells that a box touches, `(batch, 1, height, width)`.

    PARITY: the columns run one too far, into the next row (C: `w <= right`).
    """
    rows = truth.view(len(truth), -1, entries)
    x, y, w, h = (rows[..., i] for i in range(4))
    given = (x != 0).cumprod(1).bool()
    left, right = ((x - w / 2) * width).floor(), ((x + w / 2) * width).ceil()
    top, bottom = ((y - h / 2) * height).floor(), ((y + h / 2) * height).ceil()
    left, top = left.clamp(min=0), top.clamp(min=0)
    right, bottom = right.clamp(max=width), bottom.clamp(max=height)
    columns = torch.arange(width + 1, device=truth.device)
    lines = torch.arange(height, device=truth.device)
    across = (columns >= left[..., None]) & (columns <= right[..., None]) & given[..., None]
    down = (lines >= top[..., None]) & (lines < bottom[..., None])
    cells = (across[:, :, None, :] & down[:, :, :, None]).any(1)
    inside, over = cells[..., :width].clone(), cells[..., width]
    inside[:, 1:, 0] |= over[:, :-1]
    return inside[:, None].to(truth)


def excite(x: Tensor, marked: Tensor, strength: float) -> Tensor:
    """`x` plus, in the marked cells, its mean over the channels times `strength`.

    The addition has no gradient of its own, as in C.
    """
    return x + strength * marked * x.detach().mean(1, keepdim=True)

"""The four or eight ways in which a bank of filters is turned, stretched or mirrored.

With `sway`, `rotate`, `stretch` or `stretch_sway` a convolution learns a share of its filters;
the others are these, deformed. C: AlexeyAB's blas_kernels.cu, convolutional_kernels.cu.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

GROUPS = 4
"""Shares of the bank whose directions are averaged, and of which the first is handed on."""

Point = Callable[[float, float], tuple[float, float]]
"""From a place relative to the filter's centre, where its value comes from."""


def make_maps(kind: str, size: int, angle: float, *, back: bool) -> list[Tensor]:
    """One matrix `(size^2, size^2)` for each equal part of the filters, from first to last.

    Args:
        kind: sway, rotate, stretch or stretch_sway.
        size: the filter's side.
        angle: of sway, in degrees.
        back: undo the deformation, for directions.
    """
    if kind == "rotate":
        turns = [torch.rot90(_indices(size), -turn).flatten() for turn in range(4)]
        return [_permutation(turn, back) for turn in turns]
    mirror = _permutation(_indices(size).flip(1).flatten(), back)
    # PARITY: the angle is cut off to whole degrees in sway (C: sway_and_flip_weights_kernel).
    degrees = float(int(angle)) if kind == "sway" else angle
    turned = [_turn(size, degrees, back), _turn(size, -degrees, back)]
    if kind == "sway":
        return [torch.eye(size * size), *turned, mirror]
    if kind == "stretch":
        return [torch.eye(size * size), *(_stretch(size, s, back) for s in (0.65, 0.8, 1.3))]
    stretched = [_stretch(size, scale, back) for scale in (0.65, 0.8, 1.2, 1.4)]
    return [torch.eye(size * size), *stretched, *turned, mirror]


def apply_maps(weights: Tensor, maps: list[Tensor]) -> Tensor:
    """Each part of the filters `(filters, channels, size, size)` by its matrix."""
    kernels = weights.reshape(-1, weights.shape[-1] ** 2)
    step = len(kernels) // len(maps)
    parts = [
        # PARITY: kernels that the parts do not divide evenly stay as they are.
        kernels[start : start + step] @ matrix.to(weights).T
        for start, matrix in zip(range(0, step * len(maps), step), maps, strict=True)
    ]
    return torch.cat([*parts, kernels[step * len(maps) :]]).view_as(weights)


def average_groups(directions: Tensor) -> Tensor:
    """The mean of the shares, in every one of them (C: reduce_and_expand_array_kernel)."""
    shares = directions.reshape(GROUPS, -1)
    return shares.mean(0, keepdim=True).expand_as(shares).reshape(directions.shape)


def hand_on(weights: Tensor) -> Tensor:
    """The first share in every one of them (C: expand_array_kernel)."""
    shares = weights.reshape(GROUPS, -1)
    return shares[:1].expand_as(shares).reshape(weights.shape)


def _indices(size: int) -> Tensor:
    return torch.arange(size * size).view(size, size)


def _permutation(order: Tensor, back: bool) -> Tensor:
    matrix = torch.eye(len(order))[order]
    return matrix.T if back else matrix


def _turn(size: int, degrees: float, back: bool) -> Tensor:
    """By bilinear interpolation; what falls outside is made up for by a factor."""
    radians = math.radians(-degrees if back else degrees)
    cosine, sine = math.cos(radians), math.sin(radians)
    matrix, dropped = _sample(size, lambda x, y: (x * cosine + y * sine, -x * sine + y * cosine))
    return matrix * (size * size / (size * size - dropped))


def _stretch(size: int, scale: float, back: bool) -> Tensor:
    scale = 1 / scale if back else scale
    return _sample(size, lambda x, y: (x / scale, y / scale))[0] / scale


def _sample(size: int, source: Point) -> tuple[Tensor, float]:
    """The matrix that takes each value from `source`, and the weight that fell outside."""
    matrix, dropped, centre = torch.zeros(size * size, size * size), 0.0, size // 2
    for y in range(size):
        for x in range(size):
            across, down = source(x - centre, y - centre)
            left, top = math.floor(across), math.floor(down)
            for row, down_share in ((top, top + 1 - down), (top + 1, down - top)):
                for column, across_share in ((left, left + 1 - across), (left + 1, across - left)):
                    share = across_share * down_share
                    if 0 <= column + centre < size and 0 <= row + centre < size:
                        place = (row + centre) * size + column + centre
                        matrix[y * size + x, place] += share
                    else:
                        dropped += share
    return matrix, dropped

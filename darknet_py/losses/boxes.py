"""How well boxes overlap, and which way a box must move to overlap better: C's formulas.

Boxes are `(..., 4)`, cxcywh. C: AlexeyAB's box.c.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def edges(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Left, top, right and bottom."""
    x, y, width, height = boxes.unbind(-1)
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union; 0 where either is 0 (C: box_iou)."""
    left_a, top_a, right_a, bottom_a = edges(a)
    left_b, top_b, right_b, bottom_b = edges(b)
    width = torch.minimum(right_a, right_b) - torch.maximum(left_a, left_b)
    height = torch.minimum(bottom_a, bottom_b) - torch.maximum(top_a, top_b)
    common = torch.where((width < 0) | (height < 0), 0.0, width * height)
    union = a[..., 2] * a[..., 3] + b[..., 2] * b[..., 3] - common
    return torch.where((common == 0) | (union == 0), 0.0, common / union)


def box_giou(a: Tensor, b: Tensor) -> Tensor:
    """IoU less the empty part of the smallest box around both (C: box_giou)."""
    width, height = _around(a, b)
    hull, iou = width * height, box_iou(a, b)
    union = _union(a, b)
    return torch.where(hull == 0, iou, iou - (hull - union) / hull)


def box_diou(a: Tensor, b: Tensor) -> Tensor:
    """IoU less the centres' distance, to the power 0.6 (C: box_diou)."""
    # PARITY: the paper's distance has no such power; the gradient here does without, too.
    diagonal, iou = _diagonal(a, b), box_iou(a, b)
    return torch.where(diagonal == 0, iou, iou - (_distance(a, b) / diagonal) ** 0.6)


def box_ciou(a: Tensor, b: Tensor) -> Tensor:
    """IoU less the centres' distance and the difference of shape (C: box_ciou)."""
    diagonal, iou = _diagonal(a, b), box_iou(a, b)
    shape = 4 / math.pi**2 * _turn(a, b).square()
    alpha = shape / (1 - iou + shape + 0.000001)
    return torch.where(diagonal == 0, iou, iou - (_distance(a, b) / diagonal + alpha * shape))


MEASURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "iou": box_iou,
    "giou": box_giou,
    "diou": box_diou,
    "ciou": box_ciou,
}
"""What `iou_thresh_kind` names; an unknown name is iou."""


def _union(a: Tensor, b: Tensor) -> Tensor:
    left_a, top_a, right_a, bottom_a = edges(a)
    left_b, top_b, right_b, bottom_b = edges(b)
    width = torch.minimum(right_a, right_b) - torch.maximum(left_a, left_b)
    height = torch.minimum(bottom_a, bottom_b) - torch.maximum(top_a, top_b)
    common = torch.where((width < 0) | (height < 0), 0.0, width * height)
    return a[..., 2] * a[..., 3] + b[..., 2] * b[..., 3] - common


def _around(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height of the smallest box around both."""
    left_a, top_a, right_a, bottom_a = edges(a)
    left_b, top_b, right_b, bottom_b = edges(b)
    width = torch.maximum(right_a, right_b) - torch.minimum(left_a, left_b)
    return width, torch.maximum(bottom_a, bottom_b) - torch.minimum(top_a, top_b)


def _diagonal(a: Tensor, b: Tensor) -> Tensor:
    width, height = _around(a, b)
    return width * width + height * height


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return (a[..., 0] - b[..., 0]).square() + (a[..., 1] - b[..., 1]).square()


def _turn(predicted: Tensor, truth: Tensor) -> Tensor:
    """The angle between the two shapes' diagonals."""
    wanted = torch.atan(truth[..., 2] / truth[..., 3])
    return wanted - torch.atan(predicted[..., 2] / predicted[..., 3])


def overlap_gradient(predicted: Tensor, truth: Tensor, kind: str) -> Tensor:
    """Which way x, y, w and h of the predicted boxes must go, `(..., 4)`.

    The gradient of IoU and GIoU, for w and h twice that: both edges move a whole step. diou and
    ciou add steps of their own, which are no gradients. C: box.c:dx_box_iou.
    """
    left, top, right, bottom = edges(predicted)
    left_t, top_t, right_t, bottom_t = edges(truth)
    tall, wide = top < bottom, left < right  # false where the size is lost in rounding
    area = (bottom - top) * (right - left)
    area_t = (bottom_t - top_t) * (right_t - left_t)
    high = torch.minimum(bottom, bottom_t) - torch.maximum(top, top_t)
    broad = torch.minimum(right, right_t) - torch.maximum(left, left_t)
    common = broad * high
    union = area + area_t - common
    # The four edges stand in a row from here on: top, bottom, left, right.
    grown = torch.stack([left - right, right - left, top - bottom, bottom - top])
    inside = torch.stack([top > top_t, bottom < bottom_t, left > left_t, right < right_t])
    inner = torch.where(inside, torch.stack([-broad, broad, -high, high]), 0.0)
    joined = grown - inner
    by_edge = torch.where(union > 0, (union * inner - common * joined) / (union * union), 0.0)
    top_step = torch.where(tall, by_edge[0], by_edge[1])
    left_step = torch.where(wide, by_edge[2], by_edge[3])
    by_edge = torch.stack([top_step, by_edge[1], left_step, by_edge[3]])
    apart = (broad <= 0) | (high <= 0)
    if kind == "giou":
        outside = torch.stack([top < top_t, bottom > bottom_t, left < left_t, right > right_t])
        width, height = _around(predicted, truth)
        stretched = torch.where(outside, torch.stack([-width, width, -height, height]), 0.0)
        hull = width * height
        term = (hull * joined - union * stretched) / (hull * hull)
        by_edge = torch.where(hull > 0, by_edge + term, by_edge)
        by_edge = torch.where(apart, term, by_edge)
    upper, lower, first, last = by_edge
    steps = torch.stack([first + last, upper + lower, last - first, lower - upper], -1)
    if kind in ("diou", "ciou"):
        pull = _pull(predicted, truth)
        if kind == "ciou":
            pull = pull + _reshape(predicted, truth, common / union)
        near = (_diagonal(predicted, truth) > 0).unsqueeze(-1)
        steps = torch.where(near, steps + pull, steps)
        steps = torch.where(apart.unsqueeze(-1), pull, steps)
    return steps


def _pull(predicted: Tensor, truth: Tensor) -> Tensor:
    """How the centres' distance shrinks over the diagonal around both boxes.

    PARITY: for x and y the diagonal's part has the wrong sign, so where one box sticks out this
    is no gradient (C: box.c:dx_box_iou).
    """
    left, top, right, bottom = edges(predicted)
    left_t, top_t, right_t, bottom_t = edges(truth)
    width, height = _around(predicted, truth)
    squared, distance = width * width + height * height, _distance(predicted, truth)
    out_left, out_right = (left < left_t).to(width), (right > right_t).to(width)
    out_top, out_bottom = (top < top_t).to(width), (bottom > bottom_t).to(width)
    by_x = 2 * width * (out_right - out_left)
    by_y = 2 * height * (out_bottom - out_top)
    by_width = 2 * width * (0.5 * out_right + 0.5 * out_left)
    by_height = 2 * height * (0.5 * out_bottom + 0.5 * out_top)
    scale = squared * squared
    steps = [
        (2 * (truth[..., 0] - predicted[..., 0]) * squared - by_x * distance) / scale,
        (2 * (truth[..., 1] - predicted[..., 1]) * squared - by_y * distance) / scale,
        by_width * distance / scale,
        by_height * distance / scale,
    ]
    return torch.stack(steps, -1)


def _reshape(predicted: Tensor, truth: Tensor, iou: Tensor) -> Tensor:
    """The step of ciou towards the truth's shape.

    PARITY: without the gradient's 1 / (w^2 + h^2) (C: box.c:dx_box_iou).
    """
    turn = _turn(predicted, truth)
    shape = 4 / math.pi**2 * turn.square()
    alpha = shape / (1 - iou + shape + 0.000001)
    factor = alpha * 8 / math.pi**2 * turn
    zero = torch.zeros_like(turn)
    return torch.stack([zero, zero, factor * predicted[..., 3], -factor * predicted[..., 2]], -1)

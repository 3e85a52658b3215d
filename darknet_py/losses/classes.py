"""How a YOLO head's classes are taught: smoothed, focal, weighed by how rare they are."""

from __future__ import annotations

import torch
from torch import Tensor

from darknet_py.anchors import YoloHeadOptions


def class_multipliers(options: YoloHeadOptions) -> Tensor | None:
    """How much each class counts by `counters_per_class`; None without it.

    The commonest class counts 1 (C: parser.c:get_classes_multipliers).
    """
    if not options.counters_per_class:
        return None
    counters = torch.tensor(options.counters_per_class, dtype=torch.float32).clamp(min=1)
    most = min(options.max_delta, torch.finfo(torch.float32).max)
    return (counters.max() / counters).clamp(max=most)


def focal_factor(probability: Tensor) -> Tensor:
    """What AlexeyAB's focal loss multiplies the deltas of all classes by (delta_yolo_class)."""
    p = probability + 1e-15
    return 0.5 * -(1 - p) * (2 * p * p.log() + p - 1)


def teach_classes(
    delta: Tensor,
    out: Tensor,
    number: Tensor,
    options: YoloHeadOptions,
    multipliers: Tensor | None,
    *,
    first_tells: bool,
    focal: bool = False,
) -> Tensor:
    """The deltas `(k, classes)` of boxes after each has been taught one class.

    A box that has been taught before only learns the new class: the other one stays.

    Args:
        delta: so far.
        out: the scores.
        number: `(k,)` the class to teach.
        options: the head's.
        multipliers: of the classes.
        first_tells: a box counts as taught before if the delta of its first class is not 0;
            otherwise, if that of the new class is not.
        focal: whether the loss is focal.
    """
    index = number.unsqueeze(-1)
    low = 0.5 * options.label_smooth_eps
    high = 1 - options.label_smooth_eps + low
    mine = out.gather(1, index)
    told = delta[:, :1] if first_tells else delta.gather(1, index)
    again = told != 0
    right = _finite(high - mine, delta.gather(1, index))
    weight = 1.0 if multipliers is None else multipliers.to(out)[index]
    wanted = torch.zeros_like(out).scatter_(1, index, 1.0)
    if focal:
        fresh = (wanted - out) * focal_factor(mine)
    else:
        goal = torch.where(wanted > 0, high, low) if options.label_smooth_eps else wanted
        fresh = _finite(goal - out, delta)
        if multipliers is not None:
            # PARITY: cls_normalizer counts only together with counters_per_class, and only for
            # a box's first class (C: yolo_layer.c:delta_yolo_class).
            scaled = fresh.gather(1, index) * weight * options.cls_normalizer
            fresh = fresh.scatter(1, index, scaled)
    return torch.where(again, delta.scatter(1, index, right * weight), fresh)


def _finite(values: Tensor, otherwise: Tensor) -> Tensor:
    return torch.where(values.isfinite(), values, otherwise)

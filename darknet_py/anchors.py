"""What the heads with anchors share: the keys of both YOLO heads, anchors, masks, thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darknet_py.cfg import Section
from darknet_py.options import LayerOptions, key

FLT_MAX = 3.4028235e38
LARGEST = 1_000_000
"""The most anchors, and classes, that a head may have."""
NMS_KINDS = ("default", "greedynms", "diounms", "cornersnms")


@dataclass(frozen=True)
class YoloHeadOptions(LayerOptions):
    """Keys that [yolo] and [Gaussian_yolo] both read."""

    classes: int = key("how many classes each box is scored for", 20)
    num: int = key("how many anchors there are in all", 1)
    mask: tuple[int, ...] = key("the anchors that this head uses (default: all)", ())
    anchors: tuple[float, ...] = key(
        "width,height of each anchor in pixels of the network's input; missing ones are 0.5", ()
    )
    max: int = key("the most boxes of one image that training looks at", 90, alexeyab=200)
    jitter: float = key("training: how far crops wander, as a part of the image", 0.2)
    resize: float = key("training: the range of the random zoom", 1.0, only="alexeyab")
    ignore_thresh: float = key(
        "training: a box that overlaps a truth by more is not taught to be background", 0.5
    )
    truth_thresh: float = key(
        "training: a box that overlaps a truth by more is taught to be that truth", 1.0
    )
    random: float = key(
        "training: change the network's size now and then; AlexeyAB: by up to this factor", 0.0
    )
    map: str | None = key("training: .map file from the labels' classes to the head's", None)
    max_delta: float = key(
        "training: the largest gradient of a box, and class multiplier", FLT_MAX, only="alexeyab"
    )
    counters_per_class: tuple[int, ...] = key(
        "training: objects of each class in the data set, to weigh rare ones more",
        (),
        only="alexeyab",
    )
    label_smooth_eps: float = key("training: label smoothing", 0.0, only="alexeyab")
    scale_x_y: float = key(
        "stretches the range of a box's centre, around the middle of its cell", 1.0, only="alexeyab"
    )
    objectness_smooth: bool = key(
        "training: the objectness of a matched box is taught its IoU", False, only="alexeyab"
    )
    iou_normalizer: float = key(
        "training: weight of the box loss", 1.0, only="alexeyab", alexeyab=0.75
    )
    obj_normalizer: float = key("training: weight of the objectness loss", 1.0, only="alexeyab")
    cls_normalizer: float = key("training: weight of the class loss", 1.0, only="alexeyab")
    delta_normalizer: float = key(
        "training: weight of all gradients of this head", 1.0, only="alexeyab"
    )
    iou_loss: str = key("training: mse, iou, giou, diou or ciou", "mse", only="alexeyab")
    iou_thresh: float = key(
        "training: other anchors that overlap a truth by more learn it too", 1.0, only="alexeyab"
    )
    iou_thresh_kind: str = key(
        "training: what iou_thresh is compared with: iou, giou, diou or ciou",
        "iou",
        only="alexeyab",
    )
    nms_kind: str = key(
        "non-maximum suppression: default, greedynms or diounms; cornersnms in [Gaussian_yolo]",
        "default",
        only="alexeyab",
    )
    beta_nms: float = key("the exponent of diounms", 0.6, only="alexeyab")


LOSS_NUMBERS = {"iou": 0, "giou": 1, "mse": 2, "diou": 3, "ciou": 4}
"""AlexeyAB's numbers of the box losses, which it prints; an unknown name is iou."""


def loss_line(options: YoloHeadOptions) -> str:
    """The part of AlexeyAB's table line that [yolo] and [Gaussian_yolo] share."""
    return (
        f"iou loss: {options.iou_loss} ({LOSS_NUMBERS.get(options.iou_loss, 0)}), "
        f"iou_norm: {options.iou_normalizer:2.2f}, obj_norm: {options.obj_normalizer:2.2f}, "
        f"cls_norm: {options.cls_normalizer:2.2f}, delta_norm: {options.delta_normalizer:2.2f}"
    )


def check_yolo_head(options: YoloHeadOptions, section: Section) -> None:
    """Check the numbers that both YOLO heads need.

    Raises:
        CfgError: one is wrong.
    """
    check_counts(section, options.num, options.classes)
    counters = options.counters_per_class
    if counters and len(counters) != options.classes:
        raise section.error(
            f"counters_per_class must hold {options.classes} values, one for each class, "
            f"got {len(counters)}",
            "counters_per_class",
        )


def check_counts(section: Section, num: int, classes: int) -> None:
    """Check the counts of anchors and of classes.

    Raises:
        CfgError: one is below 1, or absurdly large.
    """
    if not (1 <= num <= LARGEST and 1 <= classes <= LARGEST):
        raise section.error(
            f"num and classes must be between 1 and {LARGEST}, got num={num}, classes={classes}"
        )


def count_anchors(options: YoloHeadOptions) -> int:
    """How many anchors a YOLO head keeps: `num`, or more where mask names more, if listed."""
    # PARITY: cspx-p7-mish.cfg uses anchors beyond num; C keeps num of them and reads on into
    # other memory (C: parser.c:parse_yolo).
    return max(options.num, min(max(options.mask, default=-1) + 1, len(options.anchors) // 2))


def read_anchors(section: Section, values: Sequence[float], num: int) -> np.ndarray:
    """Anchors `(num, 2)`, width and height; what the cfg leaves out is 0.5, more is not read.

    Raises:
        CfgError: a side is 0 or less.
    """
    anchors = np.full(2 * num, 0.5, np.float32)
    used = np.asarray(values[: 2 * num], np.float32)
    if used.size and not used.min() > 0:
        raise section.error(f"anchors must be above 0, got {float(used.min()):g}", "anchors")
    anchors[: used.size] = used
    return anchors.reshape(num, 2)


def read_mask(section: Section, mask: Sequence[int], num: int, listed: int) -> tuple[int, ...]:
    """The anchors a head uses: those of `mask`, or the first `num`.

    Raises:
        CfgError: the mask names an anchor beyond num and beyond the `listed` ones.
    """
    for index in mask:
        if not 0 <= index < listed:
            raise section.error(
                f"mask names anchor {index}, but num={num} has anchors 0 to {listed - 1}", "mask"
            )
    return tuple(mask) or tuple(range(num))


def above(scores: np.ndarray, thresh: float) -> np.ndarray:
    """`scores` with 0 in place of those that are not above `thresh`, NaN among them."""
    return np.where(scores > np.float32(thresh), scores, np.float32(0)).astype(np.float32)

"""Reports of average precision as text, and as what a JSON file holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from darknet_py.evaluation.average_precision import MapReport

LAYER_NUMBERS = {"region": 27, "yolo": 28, "Gaussian_yolo": 29}
"""What AlexeyAB's fork calls the types of heads (darknet.h: LAYER_TYPE)."""

_HINT = """
Set -points flag:
 `-points 101` for MS COCO 
 `-points 11` for PascalVOC 2007 (uncomment `difficult` in voc.data) 
 `-points 0` (AUC) for ImageNet, PascalVOC 2010-2012, your custom dataset
"""  # noqa: W291


def format_heads(heads: Sequence[tuple[int, str]]) -> str:
    """What `detector map` prints before it starts: a line for each head, (number, type)."""
    return "\n calculation mAP (mean average precision)...\n" + head_lines(heads)


def head_lines(heads: Sequence[tuple[int, str]]) -> str:
    """A line for each head."""
    return "".join(
        f" Detection layer: {index} - type = {LAYER_NUMBERS[kind]} \n"
        for index, kind in heads
        if kind in LAYER_NUMBERS
    )


def format_voc(classes: dict[str, tuple[float, float]]) -> str:
    """A table of `PrecisionCounter.voc`."""
    width = max([5, *(len(name) for name in classes)])
    lines = [f" {'class':<{width}}{'VOC2007':>10}{'VOC2010':>10}"]
    lines += [f" {name:<{width}}{a:>10.4f}{b:>10.4f}" for name, (a, b) in classes.items()]
    columns = list(zip(*classes.values(), strict=True)) or [(), ()]
    means = [sum(column) / max(len(column), 1) for column in columns]
    lines.append(f" {'mean':<{width}}{means[0]:>10.4f}{means[1]:>10.4f}")
    return "\n".join(lines) + "\n"


def format_map(report: MapReport, *, hint: bool = True) -> str:
    """What `detector map` prints at the end (C: AlexeyAB's detector.c:validate_detector_map).

    Args:
        report: the figures.
        hint: end with the lines on `-points`.
    """
    thresh = f"{report.thresh:.2f}"
    used = (
        f"used {report.points} Recall-points"
        if report.points
        else "used Area-Under-Curve for each unique Recall"
    )
    mean = report.mean_average_precision
    lines = [
        "",
        f" detections_count = {report.detections}, unique_truth_count = {report.truths}  ",
        *(
            f"class_id = {i}, name = {c.name}, ap = {c.average_precision * 100:2.2f}%   \t "
            f"(TP = {c.true_positives}, FP = {c.false_positives}) "
            for i, c in enumerate(report.classes)
        ),
        "",
        f" for conf_thresh = {thresh}, precision = {_number(report.precision)}, "
        f"recall = {_number(report.recall)}, F1-score = {_number(report.f1)} ",
        f" for conf_thresh = {thresh}, TP = {report.true_positives}, "
        f"FP = {report.false_positives}, FN = {report.false_negatives}, "
        f"average IoU = {report.average_iou * 100:2.2f} % ",
        "",
        f" IoU threshold = {report.iou_thresh * 100:2.0f} %, {used} ",
        f" mean average precision (mAP@{report.iou_thresh:.2f}) = {mean:f}, "
        f"or {mean * 100:2.2f} % ",
    ]
    return "\n".join(lines) + "\n" + (_HINT if hint else "")


def map_dict(report: MapReport) -> dict[str, Any]:
    """The report for a JSON file; what is not a number is None."""
    found = asdict(report)
    return {key: _plain(value) for key, value in found.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def _number(value: float) -> str:
    """C's printf writes the quotient of two zeros with a sign."""
    return "-nan" if math.isnan(value) else f"{value:1.2f}"

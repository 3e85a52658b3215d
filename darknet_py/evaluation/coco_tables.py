"""COCO's own figures, calculated by COCO's own code (faster-coco-eval, or pycocotools)."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from darknet_py.convert.extras import extra
from darknet_py.evaluation.result_files import scored
from darknet_py.evaluation.stream import Found

FIGURES = (
    ("AP", "Average Precision", "0.50:0.95", "all", 100),
    ("AP50", "Average Precision", "0.50", "all", 100),
    ("AP75", "Average Precision", "0.75", "all", 100),
    ("APs", "Average Precision", "0.50:0.95", "small", 100),
    ("APm", "Average Precision", "0.50:0.95", "medium", 100),
    ("APl", "Average Precision", "0.50:0.95", "large", 100),
    ("AR1", "Average Recall", "0.50:0.95", "all", 1),
    ("AR10", "Average Recall", "0.50:0.95", "all", 10),
    ("AR100", "Average Recall", "0.50:0.95", "all", 100),
    ("ARs", "Average Recall", "0.50:0.95", "small", 100),
    ("ARm", "Average Recall", "0.50:0.95", "medium", 100),
    ("ARl", "Average Recall", "0.50:0.95", "large", 100),
)
"""What COCO prints: a short name, then what is measured, at which IoU, of which sizes, and with
how many boxes a picture. Small objects have less than 32 x 32 pixels, large ones 96 x 96."""


@dataclass
class CocoCounter:
    """Takes pictures one after the other; at the end COCO's code looks at them."""

    names: Sequence[str]
    images: list[dict[str, Any]] = field(default_factory=list)
    truths: list[dict[str, Any]] = field(default_factory=list)
    found: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        find_library()

    def add(self, found: Found, truths: np.ndarray) -> None:
        """Take a picture's boxes and its truths, `(n, 5)`: class, x, y, width, height."""
        size = np.array((found.width, found.height), np.float64)
        image = found.index + 1
        self.images.append({"id": image, "width": found.width, "height": found.height})
        for class_id, *box in truths.tolist():
            place = _place(np.array(box), size)
            self.truths.append(
                {
                    "id": len(self.truths) + 1,
                    "image_id": image,
                    "category_id": int(class_id) + 1,
                    "bbox": place,
                    "area": place[2] * place[3],
                    "iscrowd": 0,
                }
            )
        for box, class_id, score in scored(found):
            self.found.append(
                {
                    "image_id": image,
                    "category_id": class_id + 1,
                    "bbox": _place(found.detections.boxes[box].astype(np.float64), size),
                    "score": score,
                }
            )

    def figures(self) -> dict[str, Any]:
        """The twelve figures, and for each class its AP of all sizes, small, medium and large.

        What there is nothing to measure for is None.
        """
        dataset = {
            "info": {},
            "images": self.images,
            "annotations": self.truths,
            "categories": [{"id": i + 1, "name": name} for i, name in enumerate(self.names)],
        }
        if not self.found or not self.truths:
            none = dict.fromkeys(("AP", "AP50", "APs", "APm", "APl"))
            classes = {name: dict(none) for name in self.names}
            return {**{name: None for name, *_ in FIGURES}, "classes": classes}
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = _evaluate(dataset, self.found)
        precision = evaluation.eval["precision"]  # IoU, recall, class, size, boxes
        classes = {}
        for i, name in enumerate(self.names):
            row = {
                key: _mean(precision[:, :, i, size, -1])
                for key, size in (("AP", 0), ("APs", 1), ("APm", 2), ("APl", 3))
            }
            classes[name] = {**row, "AP50": _mean(precision[0, :, i, 0, -1])}
        stats = np.asarray(evaluation.stats)[: len(FIGURES)]
        named = zip((name for name, *_ in FIGURES), stats.tolist(), strict=True)
        return {**{k: None if v < 0 else v for k, v in named}, "classes": classes}


def find_library() -> str:
    """The package that calculates: faster_coco_eval if it is there, else pycocotools.

    Raises:
        MissingExtra: none is installed.
    """
    if importlib.util.find_spec("faster_coco_eval") is None and importlib.util.find_spec(
        "pycocotools"
    ):
        return "pycocotools"
    extra("faster_coco_eval", "coco")
    return "faster_coco_eval"


def _evaluate(dataset: dict[str, Any], found: list[dict[str, Any]]) -> Any:
    if find_library() == "pycocotools":
        coco_class = extra("pycocotools.coco", "coco").COCO
        evaluation_class = extra("pycocotools.cocoeval", "coco").COCOeval
    else:
        library = extra("faster_coco_eval", "coco")
        coco_class, evaluation_class = library.COCO, library.COCOeval_faster
    truth = coco_class()
    truth.dataset = dataset
    truth.createIndex()
    evaluation = evaluation_class(truth, truth.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


def _place(box: np.ndarray, size: np.ndarray) -> list[float]:
    """Left, top, width, height in pixels."""
    centre, sides = box[:2] * size, box[2:] * size
    return [*(centre - sides / 2).tolist(), *sides.tolist()]


def _mean(values: np.ndarray) -> float | None:
    valid = values[values > -1]
    return float(valid.mean()) if valid.size else None


def format_coco(figures: dict[str, Any]) -> str:
    """COCO's table of figures, and one of the classes."""
    lines = []
    for name, title, iou, area, boxes in FIGURES:
        kind = "AP" if name.startswith("AP") else "AR"
        value = -1 if figures[name] is None else figures[name]
        lines.append(
            f" {title:<18} ({kind}) @[ IoU={iou:<9} | area={area:>6s} | maxDets={boxes:>3d} ] "
            f"= {value:0.3f}"
        )
    keys = ("AP", "AP50", "APs", "APm", "APl")
    width = max([5, *(len(name) for name in figures["classes"])])
    lines += ["", f" {'class':<{width}}" + "".join(f"{key:>8}" for key in keys)]
    for name, row in figures["classes"].items():
        values = "".join(f"{'-' if row[k] is None else format(row[k], '.3f'):>8}" for k in keys)
        lines.append(f" {name:<{width}}{values}")
    return "\n".join(lines) + "\n"

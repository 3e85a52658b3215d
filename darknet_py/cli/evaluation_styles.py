"""What the commands that score detectors keep and suppress, each as in C."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Style:
    """What a command keeps and suppresses."""

    thresh: dict[str, float]
    nms: dict[str, float]
    hier: float = 0.5
    squash: bool = False
    """Whether pictures are stretched, whatever the dialect does elsewhere."""
    suppression: Literal["classes", "objectness", "in place"] = "classes"
    mirrored: bool = False
    eval: str | None = None
    """The format of the result files, where no .data file says it."""
    paths: dict[str, str] | None = None
    """The list of pictures, where no .data file says it."""


def both(value: float) -> dict[str, float]:
    """The same number for both dialects."""
    return {"pjreddie": value, "alexeyab": value}


MAP = Style(both(0.005), both(0.45), hier=0, squash=True)
VALID = Style({"pjreddie": 0.005, "alexeyab": 0.001}, {"pjreddie": 0.45, "alexeyab": 0.6})
RECALL = Style(both(0.001), both(0.4), squash=True, suppression="objectness")
YOLO_VALID = Style(
    both(0.001), both(0.5), 0, True, "in place", eval="first voc",
    paths={
        "pjreddie": "/home/pjreddie/data/voc/2007_test.txt",
        "alexeyab": "data/voc/2007_test.txt",
    },
)  # fmt: skip
COCO_VALID = replace(
    YOLO_VALID,
    thresh=both(0.01),
    eval="coco",
    paths={"pjreddie": "data/coco_val_5k.list", "alexeyab": "data/coco_val_5k.list"},
)
YOLO_RECALL = Style(
    both(0.001), both(0), 0, True,
    paths={"pjreddie": "data/voc.2007.test", "alexeyab": "data/voc.2007.test"},
)  # fmt: skip
COCO_RECALL = replace(
    YOLO_RECALL,
    paths={
        "pjreddie": "/home/pjreddie/data/voc/test/2007_test.txt",
        "alexeyab": "data/voc/test/2007_test.txt",
    },
)

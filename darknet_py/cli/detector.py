"""`detect`, `detector test`, `yolo test` and `coco test`."""

from __future__ import annotations

from argparse import Namespace

from darknet_py.cli.arguments import Command
from darknet_py.cli.flags import (
    CAMERA,
    CFG,
    CUDA,
    DATA,
    DETECTOR_ONLY,
    EXT_OUTPUT,
    HIER,
    IMAGES,
    LETTERBOX,
    MODEL,
    OUT,
    SAVE_LABELS,
    WEIGHTS,
    WINDOWS,
    nms,
    thresh,
)


def _detect(args: Namespace) -> int:
    return 0


_COMMON = (EXT_OUTPUT, OUT, SAVE_LABELS, LETTERBOX)
_REST = (*MODEL, *WINDOWS, *CAMERA, *CUDA)

DETECT = Command(
    "detect",
    "Find objects in an image and draw them into predictions.jpg.",
    (CFG, WEIGHTS, IMAGES),
    (thresh("pjreddie 0.5, alexeyab 0.24"), HIER, nms("0.45"), *_COMMON, *_REST, *DETECTOR_ONLY),
    _detect,
)
TEST = Command(
    "detector test",
    "Find objects in an image, with the names of a .data file, and draw them into predictions.jpg.",
    (DATA, CFG, WEIGHTS, IMAGES),
    (thresh("pjreddie 0.5, alexeyab 0.25"), HIER, nms("0.45"), *_COMMON, *_REST, *DETECTOR_ONLY),
    _detect,
)
YOLO = Command(
    "yolo test",
    "Find the VOC classes with a YOLOv1 network; the image is stretched to the network's size.",
    (CFG, WEIGHTS, IMAGES),
    (thresh("0.2"), HIER, nms("0.4"), *_COMMON, *_REST),
    _detect,
)
COCO = Command(
    "coco test",
    "Find the COCO classes with a YOLOv1 network; the image is stretched to the network's size, "
    "and drawn into prediction.jpg.",
    (CFG, WEIGHTS, IMAGES),
    (thresh("0.2"), HIER, nms("0.4"), *_COMMON, *_REST),
    _detect,
)

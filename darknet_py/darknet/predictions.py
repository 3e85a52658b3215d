"""What scripts call: a picture in, named objects or classes out."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from darknet_py.boxes import suppress
from darknet_py.darknet.coordinates import Bbox
from darknet_py.darknet.detections import (
    decode_detection,
    do_nms_obj,
    find_boxes,
    get_network_boxes,
)
from darknet_py.darknet.networks import LoadedNetwork, predict_image
from darknet_py.darknet.pictures import load_image
from darknet_py.darknet.structures import IMAGE, METADATA


def detect_image(
    network: LoadedNetwork,
    class_names: Sequence[str],
    image: IMAGE,
    thresh: float = 0.5,
    hier_thresh: float = 0.5,
    nms: float = 0.45,
) -> list[tuple[str, str, Bbox]]:
    """The objects in a picture: name, percent as text, and `(x, y, w, h)` in its pixels.

    They are sorted by that text, so that "9.5" stands behind "88.3", as in `darknet.py`.
    """
    predict_image(network, image)
    found = find_boxes(network, 0, (image.w, image.h), thresh, hier_thresh, letter=0)
    found.scores = found.scores[:, : len(class_names)]
    if nms:
        found = suppress(found, nms)
    predictions = [
        (class_names[c], float(found.scores[i, c]), tuple(found.boxes[i].tolist()))
        for i, c in np.argwhere(found.scores > 0).tolist()
    ]
    return sorted(decode_detection(predictions), key=lambda detection: detection[1])


def detect(
    net: LoadedNetwork,
    meta: METADATA,
    image: str | bytes | os.PathLike[str],
    thresh: float = 0.5,
    hier_thresh: float = 0.5,
    nms: float = 0.45,
) -> list[tuple[bytes, float, Bbox]]:
    """The objects in a file, most probable first, as pjreddie's `darknet.py` gives them."""
    im = load_image(image)
    predict_image(net, im)
    dets = get_network_boxes(net, im.w, im.h, thresh, hier_thresh)
    if nms:
        do_nms_obj(dets, len(dets), meta.classes, nms)
    found = [
        (meta.names[i], d.prob[i], (d.bbox.x, d.bbox.y, d.bbox.w, d.bbox.h))
        for d in dets
        for i in range(min(meta.classes, d.classes))
        if d.prob[i] > 0
    ]
    return sorted(found, key=lambda detection: -detection[1])


def classify(net: LoadedNetwork, meta: METADATA, im: IMAGE) -> list[tuple[bytes, float]]:
    """All classes of a picture, most probable first, as pjreddie's `darknet.py` gives them."""
    output = predict_image(net, im)
    found = zip(meta.names[: meta.classes], output, strict=False)
    return sorted(found, key=lambda answer: -answer[1])


def print_detections(
    detections: Iterable[tuple[str, Any, Sequence[float]]], coordinates: bool = False
) -> None:
    """Print what `detect_image` found."""
    print("\nObjects:")  # noqa: T201
    for name, confidence, (x, y, w, h) in detections:
        where = (
            f"    (left_x: {x:.0f}   top_y:  {y:.0f}   width:   {w:.0f}   height:  {h:.0f})"
            if coordinates
            else ""
        )
        print(f"{name}: {confidence}%{where}")  # noqa: T201


def sample(probs: Iterable[float]) -> int:
    """A random index, each as probable as its value says."""
    weights = list(probs)
    left = random.uniform(0, 1) * sum(weights)
    for index, weight in enumerate(weights):
        left -= weight
        if left <= 0:
            return index
    return len(weights) - 1

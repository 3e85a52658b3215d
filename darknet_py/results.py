"""What detectors and classifiers answer, and the text formats that C writes it in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darknet_py.boxes import Detections

HIDDEN = "dont_show"
"""Classes whose name starts so are found but not reported (AlexeyAB: image.c, network.c)."""


@dataclass(frozen=True)
class Box:
    """A box by its centre and sides, relative to the image: 0 to 1 across its width and height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Detection:
    """One object: a box and one class.

    `probability` is that of the class, `objectness` the box's own; `corners` are
    (left, top, right, bottom) in pixels of the image, and may lie outside of it.
    """

    class_id: int
    name: str
    probability: float
    objectness: float
    box: Box
    corners: tuple[float, float, float, float]


@dataclass(frozen=True)
class Classification:
    """One class of an image and its probability."""

    class_id: int
    name: str
    probability: float


def list_detections(
    detections: Detections,
    names: Sequence[str],
    width: int,
    height: int,
    thresh: float = 0.0,
) -> list[Detection]:
    """One `Detection` for each box and class above `thresh`, box by box, classes in order.

    Args:
        detections: boxes relative to an image of `width` x `height` pixels.
        names: the classes'; a class beyond them is named by its number.
        width: of the image, in pixels.
        height: of the image, in pixels.
        thresh: probabilities not above it are left out.
    """
    found = []
    scale = np.array([width, height, width, height], np.float64)
    half = detections.boxes[:, 2:] / 2
    corners = np.hstack([detections.boxes[:, :2] - half, detections.boxes[:, :2] + half]) * scale
    for index, class_id in np.argwhere(detections.scores > thresh).tolist():
        name = names[class_id] if class_id < len(names) else str(class_id)
        if name.startswith(HIDDEN):
            continue
        left, top, right, bottom = corners[index].tolist()
        found.append(
            Detection(
                class_id,
                name,
                float(detections.scores[index, class_id]),
                float(detections.objectness[index]),
                Box(*detections.boxes[index].tolist()),
                (left, top, right, bottom),
            )
        )
    return found


def format_json(detections: Iterable[Detection], frame: int, filename: str | None = None) -> str:
    """One image's object of AlexeyAB's `-out` file (C: network.c:detection_to_json).

    Unlike in C, quotes and backslashes in names are escaped.
    """
    objects = ", \n".join(
        f'  {{"class_id":{d.class_id}, "name":{json.dumps(d.name, ensure_ascii=False)}, '
        f'"relative_coordinates":{{"center_x":{d.box.x:f}, "center_y":{d.box.y:f}, '
        f'"width":{d.box.width:f}, "height":{d.box.height:f}}}, "confidence":{d.probability:f}}}'
        for d in detections
    )
    name = "" if filename is None else f' "filename":{json.dumps(filename, ensure_ascii=False)}, \n'
    return f'{{\n "frame_id":{frame}, \n{name} "objects": [ \n{objects}\n ] \n}}'


def format_json_file(images: Iterable[str]) -> str:
    """A whole `-out` file of the objects that `format_json` made (C: detector.c:test_detector)."""
    return "[\n" + ", \n".join(images) + "\n]"


def format_labels(detections: Detections, thresh: float) -> str:
    """A label file of each box's best class (C: detector.c:test_detector, -save_labels)."""
    lines = []
    for box, scores in zip(detections.boxes, detections.scores, strict=True):
        if not scores.size:
            continue
        best = int(scores.argmax())
        if scores[best] > thresh:
            x, y, width, height = box.tolist()
            lines.append(f"{best} {x:2.4f} {y:2.4f} {width:2.4f} {height:2.4f}\n")
    return "".join(lines)


def label_path(image: str) -> Path:
    """The label file of an image: beside it, or in the `labels` folder of COCO's and VOC's layout.

    C: AlexeyAB's utils.c:replace_image_to_label.
    """
    slashes = image.replace("\\", "/")
    for year in ("train2017", "val2017", "train2014", "val2014"):
        slashes = slashes.replace(f"/images/{year}/", f"/labels/{year}/")
    return Path(slashes.replace("/JPEGImages/", "/labels/")).with_suffix(".txt")

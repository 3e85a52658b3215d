"""Boxes and labels drawn into pictures, with C's lines and colours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import cv2
import numpy as np

from darknet_py.boxes import Detections
from darknet_py.dialect import PJREDDIE, Dialect
from darknet_py.image import to_bytes
from darknet_py.results import Box, Detection, list_detections

_CORNERS = ((1, 0, 1), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1))
"""The colours that the classes' colours lie between, from magenta to blue."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_detections(
    image: np.ndarray,
    detections: Detections | Sequence[Detection],
    classes: int | Sequence[str],
    thresh: float = 0.0,
    dialect: Dialect = PJREDDIE,
) -> np.ndarray:
    """A copy of a uint8 picture with the boxes drawn into it, each labelled with its classes.

    Lines and colours are C's to the pixel (image.c:draw_detections, draw_detections_v3); the
    labels are written with OpenCV's font where C pastes pictures of letters.

    Args:
        image: `(height, width, 3)`, or grey with 1 channel.
        detections: boxes relative to the picture, after non-maximum suppression.
        classes: the classes' names, or how many there are.
        thresh: probabilities not above it are left out.
        dialect: how thick the lines are, and which of several classes gives the colour.
    """
    image = image.copy()
    height, width = image.shape[:2]
    names = [str(i) for i in range(classes)] if isinstance(classes, int) else classes
    if isinstance(detections, Detections):
        detections = list_detections(detections, names, width, height, thresh)
    shown = (d for d in detections if d.probability > thresh)
    objects = [list(group) for _, group in groupby(shown, lambda d: (d.box, d.objectness))]
    if dialect.draws_best_class:
        objects = [sorted(found, key=lambda d: -d.probability) for found in objects]
        objects.sort(key=lambda found: found[0].probability)
    # C (pjreddie) draws no line at all in pictures of less than 167 rows
    thickness = max(int(height * dialect.box_thickness), 1)
    for found in objects:
        color = class_color(found[0].class_id, max(len(names), found[0].class_id + 1))
        color = color if image.shape[2] == 3 else (204,)
        left, top, right, bottom = _edges(found[0].box, width, height)
        for i in range(thickness):
            _draw_frame(image, left + i, top + i, right - i, bottom - i, color)
        score = f": {found[0].probability:.2f}" if dialect.draws_best_class else ""
        label = ", ".join([found[0].name + score, *(other.name for other in found[1:])])
        _draw_label(image, left, top + thickness, label, color)
    return image


def draw_captioned_box(
    image: np.ndarray, corners: Sequence[int], color: Sequence[int], caption: str
) -> None:
    """Draw one box with text over it into a uint8 picture (AlexeyAB: darknet.py:draw_boxes)."""
    left, top, right, bottom = corners
    cv2.rectangle(image, (left, top), (right, bottom), tuple(color), 1)
    cv2.putText(image, caption, (left, top - 5), _FONT, 0.5, tuple(color), 2)


def draw_lines(image: np.ndarray, lines: Sequence[str]) -> np.ndarray:
    """A copy of a uint8 picture with lines of text, black on white, from its top left corner.

    C: classifier.c:demo_classifier.
    """
    image = image.copy()
    line = int(image.shape[0] * 0.03)
    for number, text in enumerate(lines):
        bottom = (2 * number + 3) * line + 1
        _draw_label(image, line, bottom, text, (255,) * image.shape[2])
    return image


def class_color(class_id: int, classes: int) -> tuple[int, ...]:
    """Red, green and blue of a class, 0 to 255 (C: image.c:get_color)."""
    position = np.float32(class_id * 123457 % classes) / np.float32(classes) * np.float32(5)
    whole = int(position)
    low, high = np.array(_CORNERS[whole : whole + 2], np.float32)
    between = position - np.float32(whole)
    return tuple(to_bytes((1 - between) * low + between * high).tolist())


def _edges(box: Box, width: int, height: int) -> list[int]:
    """Left, top, right and bottom in pixels, inside the picture (C: image.c:draw_detections)."""
    half_width, half_height = box.width / 2, box.height / 2
    corners = (box.x - half_width, box.y - half_height, box.x + half_width, box.y + half_height)
    edges = np.nan_to_num(corners).clip(-1, 2) * (width, height, width, height)
    return list(edges.astype(int).clip(0, (width - 1, height - 1) * 2).tolist())


def _draw_frame(
    image: np.ndarray, x1: int, y1: int, x2: int, y2: int, color: tuple[int, ...]
) -> None:
    """One frame of lines a pixel wide (C: image.c:draw_box)."""
    x1, x2 = (min(max(x, 0), image.shape[1] - 1) for x in (x1, x2))
    y1, y2 = (min(max(y, 0), image.shape[0] - 1) for y in (y1, y2))
    image[[y1, y2], x1 : x2 + 1] = color
    image[y1 : y2 + 1, [x1, x2]] = color


def _draw_label(
    image: np.ndarray, left: int, bottom: int, text: str, color: tuple[int, ...]
) -> None:
    """Text on a bar of `color` above `bottom`, or below it where there is no room."""
    line = 11 * (min(int(image.shape[0] * 0.03) // 10, 7) + 1)  # C's letters come in 8 sizes
    border = line // 4
    (_, ascent), descent = cv2.getTextSize(text, _FONT, 1, 1)
    scale = line / (ascent + descent)
    thickness = max(line // 20, 1)
    (text_width, _), descent = cv2.getTextSize(text, _FONT, scale, thickness)
    is_bright = np.dot(color, (0.299, 0.587, 0.114) if len(color) == 3 else (1,)) > 75
    bar = np.full((line + 2 * border, text_width + 2 * border, len(color)), color, np.uint8)
    start = (border, line + border - descent)
    ink = (0, 0, 0) if is_bright else (255, 255, 255)
    cv2.putText(bar, text, start, _FONT, scale, ink, thickness, cv2.LINE_AA)
    top = bottom - len(bar) if bottom >= len(bar) else bottom
    left = max(min(left, image.shape[1] - bar.shape[1]), 0)  # the whole label stays readable
    room = image[top : top + len(bar), left : left + bar.shape[1]]
    room[:] = bar[: room.shape[0], : room.shape[1]]


def draw_clusters(
    sides: np.ndarray, assignments: np.ndarray, anchors: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """A picture, 700 pixels square, of boxes as points and of their anchors as frames.

    C: AlexeyAB's image_opencv.cpp:show_acnhors.

    Args:
        sides: `(n, 2)`: width and height of each box.
        assignments: `(n,)`: the anchor of each.
        anchors: `(k, 2)`: width and height of each anchor.
        size: the network's width and height, at the picture's far corner.
    """
    side = 700
    picture = np.full((side, side, 3), 24, np.uint8)
    scale = side / np.array(size, np.float64)
    hues = np.arange(len(anchors)) * 180 // max(len(anchors), 1)
    table = np.stack([hues, np.full_like(hues, 200), np.full_like(hues, 255)], -1)
    colors = cv2.cvtColor(table[None].astype(np.uint8), cv2.COLOR_HSV2RGB)[0].tolist()
    for (x, y), number in zip((sides * scale).astype(int), assignments, strict=True):
        cv2.circle(picture, (int(x), int(y)), 1, colors[number], cv2.FILLED)
    for number, (x, y) in enumerate((anchors * scale).astype(int)):
        corner = (int(x), int(y))
        cv2.rectangle(picture, (0, 0), corner, (255, 255, 255), 1)
        cv2.circle(picture, corner, 4, colors[number], cv2.FILLED, cv2.LINE_AA)
        cv2.circle(picture, corner, 4, (255, 255, 255), 1, cv2.LINE_AA)
        text = f"{anchors[number][0]:.4g} x {anchors[number][1]:.4g}"
        (width, height), _ = cv2.getTextSize(text, _FONT, 0.4, 1)
        place = (min(corner[0] + 6, side - width), min(max(corner[1] - 5, height), side - 3))
        cv2.putText(picture, text, place, _FONT, 0.4, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(picture, text, place, _FONT, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    return picture

"""The functions of AlexeyAB's `darknet_images.py`, for scripts that import them from there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from darknet_py import image as images
from darknet_py.darknet.coordinates import Bbox, convert2relative
from darknet_py.darknet.detections import (
    Prediction,
    do_nms_obj,
    network_predict_batch,
    remove_negatives,
)
from darknet_py.darknet.networks import LoadedNetwork, network_height, network_width, predict_image
from darknet_py.darknet.pictures import copy_image_from_bytes, draw_boxes, make_image
from darknet_py.darknet.predictions import detect_image
from darknet_py.darknet.structures import IMAGE

Colors = Mapping[str, Sequence[int]]


def check_batch_shape(pictures: Sequence[np.ndarray], batch_size: int) -> tuple[int, ...]:
    """The shape that all the pictures have.

    Raises:
        ValueError: it differs, or there are more than `batch_size`.
    """
    shapes = {picture.shape for picture in pictures}
    if len(shapes) > 1:
        raise ValueError("Images don't have same shape")
    if len(pictures) > batch_size:
        raise ValueError("Batch size higher than number of images")
    return shapes.pop()


def load_images(images_path: str) -> list[str]:
    """The paths that are meant: one picture, the lines of a .txt file, or a folder's pictures."""
    ending = images_path.rsplit(".", 1)[-1]
    if ending in ("jpg", "jpeg", "png"):
        return [images_path]
    if ending == "txt":
        return Path(images_path).read_text("utf-8", "surrogateescape").splitlines()
    found = [Path(images_path).glob(f"*.{kind}") for kind in ("jpg", "png", "jpeg")]
    return [str(path) for paths in found for path in paths]


def prepare_batch(
    pictures: Iterable[np.ndarray], network: LoadedNetwork, channels: int = 3
) -> np.ndarray:
    """BGR pictures as the network's input, one after another, flat."""
    planar = [images.to_planar(images.to_float(_stretch(p, network))) for p in pictures]
    return np.concatenate(planar).reshape(-1)


def image_detection(
    image_or_path: str | np.ndarray,
    network: LoadedNetwork,
    class_names: Sequence[str],
    class_colors: Colors,
    thresh: float,
) -> tuple[np.ndarray, list[tuple[str, str, Bbox]]]:
    """The picture in the network's size, BGR, with what was found drawn into it, and the list."""
    resized = _stretch(_read(image_or_path), network)
    detections = detect_image(network, class_names, _fill(resized), thresh=thresh)
    return _swap(draw_boxes(detections, resized, class_colors)), detections


def batch_detection(
    network: LoadedNetwork,
    images: MutableSequence[np.ndarray],
    class_names: Sequence[str],
    class_colors: Colors,
    thresh: float = 0.25,
    hier_thresh: float = 0.5,
    nms: float = 0.45,
    batch_size: int = 4,
) -> tuple[MutableSequence[np.ndarray], list[list[Prediction]]]:
    """BGR pictures of one size, drawn into, and for each of them what was found.

    Fewer than `batch_size` may be given. Boxes are in the pictures' own pixels.
    """
    height, width = check_batch_shape(images, batch_size)[:2]
    im = IMAGE(width, height, 3, prepare_batch(images, network))
    found = network_predict_batch(network, im, len(images), width, height, thresh, hier_thresh)
    predictions = []
    for index, pair in enumerate(found):
        if nms:
            do_nms_obj(pair.dets, pair.num, len(class_names), nms)
        predictions.append(remove_negatives(pair.dets, class_names, pair.num))
        images[index] = draw_boxes(predictions[-1], images[index], class_colors)
    return images, predictions


def image_classification(
    image: np.ndarray, network: LoadedNetwork, class_names: Sequence[str]
) -> list[tuple[str, float]]:
    """The classes of a BGR picture, most probable first."""
    output = predict_image(network, _fill(_stretch(image, network)))
    return sorted(zip(class_names, output, strict=False), key=lambda answer: -answer[1])


def save_annotations(
    name: str,
    image: np.ndarray,
    detections: Iterable[tuple[str, Any, Sequence[float]]],
    class_names: Sequence[str],
) -> None:
    """Write a label file beside the picture `name`: class, x, y, w, h and the confidence."""
    lines = []
    for label, confidence, bbox in detections:
        numbers = (*convert2relative(image, bbox), float(confidence))
        lines.append(f"{class_names.index(label)} {' '.join(f'{n:.4f}' for n in numbers)}\n")
    Path(os.path.splitext(name)[0] + ".txt").write_text("".join(lines), "utf-8")


def _read(image_or_path: str | np.ndarray) -> np.ndarray:
    if isinstance(image_or_path, str):
        return _swap(images.load_image(image_or_path))
    return image_or_path


def _swap(picture: np.ndarray) -> np.ndarray:
    """BGR of RGB, or the other way round."""
    return np.ascontiguousarray(picture[..., ::-1])


def _stretch(picture: np.ndarray, network: LoadedNetwork) -> np.ndarray:
    """A BGR picture as RGB in the network's size, as OpenCV resizes bytes."""
    size = network_width(network), network_height(network)
    return images.resize_bytes(_swap(picture), *size)


def _fill(picture: np.ndarray) -> IMAGE:
    height, width, channels = picture.shape
    im = make_image(width, height, channels)
    copy_image_from_bytes(im, picture.tobytes())
    return im

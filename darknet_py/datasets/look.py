"""Training pictures on disk, to look at: as networks see them, with their boxes (-show_imgs)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from darknet_py.datasets.base import Batch, Dataset
from darknet_py.datasets.detection import CroppedDetection, PlacedDetection
from darknet_py.image import save_image, to_bytes

_COLOUR = (150, 100, 50)


def save_views(dataset: Dataset, iteration: int, folder: Path, batch: Batch) -> list[Path]:
    """Write each picture of a batch as `aug_ITERATION_NUMBER.jpg`; the paths.

    C: AlexeyAB's data.c:load_data_detection, show_imgs.

    Raises:
        ImageError: a file cannot be written.
    """
    written = []
    for number, (image, truth) in enumerate(zip(batch.inputs, batch.truth, strict=True)):
        if image.ndim != 3:
            break
        picture = to_bytes(image[:3].transpose(1, 2, 0))
        for box in boxes_of(dataset, truth):
            _draw(picture, box)
        path = folder / f"aug_{iteration}_{number}.jpg"
        save_image(picture, path)
        written.append(path)
    return written


def boxes_of(dataset: Dataset, truth: np.ndarray) -> np.ndarray:
    """The boxes (n, 4) that a row of truth holds; none, where it is of another kind."""
    if isinstance(dataset, PlacedDetection | CroppedDetection):
        rows = truth.reshape(dataset.most, -1)
        return rows[rows[:, 0] != 0, :4]
    return np.zeros((0, 4), np.float32)


def _draw(picture: np.ndarray, box: np.ndarray) -> None:
    """A line of one pixel around a box."""
    height, width = picture.shape[:2]
    sides = np.array([width, height])
    left, top = np.clip((box[:2] - box[2:] / 2) * sides, 0, sides - 1).astype(int)
    right, bottom = np.clip((box[:2] + box[2:] / 2) * sides, 0, sides - 1).astype(int)
    colour = _COLOUR[: picture.shape[2]]
    picture[[top, bottom], left : right + 1] = colour
    picture[top : bottom + 1, [left, right]] = colour

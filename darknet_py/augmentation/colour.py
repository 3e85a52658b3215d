"""Hue, saturation, brightness and noise of training pictures."""

from __future__ import annotations

import cv2
import numpy as np

from darknet_py.augmentation import draws
from darknet_py.augmentation.geometry import blur, whole_shape

_CIRCLE = 179
"""The largest hue of a uint8 picture."""


def distort(image: np.ndarray, hue: float, saturation: float, exposure: float) -> np.ndarray:
    """A float32 picture from 0 to 1, recoloured. C: image.c:distort_image.

    `hue` is added, as a part of the circle; the others are factors. A grey picture has
    brightness only.
    """
    if image.shape[2] == 1:
        return np.asarray(np.clip(image * np.float32(exposure), 0, 1))
    if hue == 0 and saturation == 1 and exposure == 1:
        return image
    # degrees, which OpenCV takes past 360, but not below 0
    change = np.array([[1, 0, 0, 360 * (hue % 1)], [0, saturation, 0, 0], [0, 0, exposure, 0]])
    turned = cv2.transform(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), change)
    return np.asarray(np.clip(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB), 0, 1))


def random_distort(
    random: np.random.Generator,
    image: np.ndarray,
    hue: float,
    saturation: float,
    exposure: float,
) -> np.ndarray:
    """Recoloured within limits. C: image.c:random_distort_image."""
    turn = draws.uniform(random, -hue, hue)
    return distort(image, turn, draws.scale(random, saturation), draws.scale(random, exposure))


def distort_bytes(image: np.ndarray, hue: float, saturation: float, exposure: float) -> np.ndarray:
    """A uint8 picture, recoloured in whole steps as AlexeyAB's detector does.

    PARITY: the hue stops at 0, and runs on above 179 (C: image_opencv.cpp:image_data_augmentation).
    """
    if hue == 0 and saturation == 1 and exposure == 1:
        return image
    steps = np.arange(256)
    if image.shape[2] == 1:
        return whole_shape(cv2.LUT(image, _bytes(steps * exposure)))
    table = np.stack(
        [_bytes(steps + _CIRCLE * hue), _bytes(steps * saturation), _bytes(steps * exposure)], -1
    )
    turned = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), table[:, None])
    return np.asarray(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB))


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(np.rint(values), 0, 255)).astype(np.uint8)


def add_noise(random: np.random.Generator, image: np.ndarray, strength: int) -> np.ndarray:
    """A uint8 picture with noise.

    PARITY: noise below 0 is cut off, so that it only brightens (C:
    image_opencv.cpp:image_data_augmentation, randn into bytes).
    """
    deviation = min(max(strength, 0), 127)
    noise = _bytes(random.standard_normal(image.shape, np.float32) * deviation)
    return whole_shape(cv2.add(image, noise))


def blur_around(image: np.ndarray, boxes: np.ndarray, strength: int) -> np.ndarray:
    """A uint8 picture, blurred: around its boxes where `strength` is 1, else as a whole.

    `boxes` are rows that start with x, y, width, height. The smallest box limits the strength.
    C: data.c:load_data_detection, image_opencv.cpp:image_data_augmentation.
    """
    sides = np.array([image.shape[1], image.shape[0]], np.float32)
    if strength > 1:  # PARITY: a picture without boxes is not blurred
        least = int((boxes[:, 2:4] * sides).min()) if len(boxes) else 0
        strength = min(strength, least // 8)
    if strength < 1:
        return image
    blurred = blur(image, 17 if strength == 1 else strength // 2 * 2 + 1)
    for box in boxes if strength == 1 else ():
        left, top = np.maximum(np.trunc((box[:2] - box[2:4] / 2) * sides), 0).astype(int)
        wide, high = (box[2:4] * sides).astype(int)
        blurred[top : top + high, left : left + wide] = image[top : top + high, left : left + wide]
    return blurred

"""Render data/shapes.jpg: discs, boxes and triangles on a shaded ground, with noise."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT, SEED = 640, 427, 7
TARGET = Path(__file__).resolve().parent.parent / "data" / "shapes.jpg"


def render() -> np.ndarray:
    """The scene, as `(height, width, 3)` uint8, BGR."""
    random = np.random.default_rng(SEED)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    ground = np.stack([200 - rows * 0.2, 170 + columns * 0.08, 150 + rows * 0.15], axis=2)
    canvas = np.ascontiguousarray(ground.clip(0, 255).astype(np.uint8))
    for number in range(12):
        x, y = (int(v) for v in random.integers((40, 40), (WIDTH - 40, HEIGHT - 40)))
        radius = int(random.integers(18, 60))
        color = tuple(int(v) for v in random.integers(20, 235, 3))
        (_disc, _box, _triangle)[number % 3](canvas, x, y, radius, color)
    noise = random.normal(0, 4, canvas.shape)
    return (cv2.GaussianBlur(canvas, (3, 3), 0) + noise).clip(0, 255).astype(np.uint8)


def _disc(canvas: np.ndarray, x: int, y: int, radius: int, color: tuple[int, ...]) -> None:
    cv2.circle(canvas, (x, y), radius, color, -1, cv2.LINE_AA)
    cv2.circle(canvas, (x, y), radius, (30, 30, 30), 2, cv2.LINE_AA)


def _box(canvas: np.ndarray, x: int, y: int, radius: int, color: tuple[int, ...]) -> None:
    corners = (x - radius, y - radius // 2), (x + radius, y + radius // 2)
    cv2.rectangle(canvas, *corners, color, -1, cv2.LINE_AA)
    cv2.rectangle(canvas, *corners, (30, 30, 30), 2, cv2.LINE_AA)


def _triangle(canvas: np.ndarray, x: int, y: int, radius: int, color: tuple[int, ...]) -> None:
    points = np.array([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)])
    cv2.fillPoly(canvas, [points], color, cv2.LINE_AA)
    cv2.polylines(canvas, [points], True, (30, 30, 30), 2, cv2.LINE_AA)


if __name__ == "__main__":
    cv2.imwrite(str(TARGET), render(), [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")

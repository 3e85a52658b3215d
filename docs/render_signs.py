"""Render data/signs.jpg: a stop sign and a clock by a road, which COCO networks find."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT, HORIZON, SEED = 640, 480, 300, 3
TARGET = Path(__file__).resolve().parent.parent / "data" / "signs.jpg"
DARK, WHITE, RED = (20, 20, 20), (248, 248, 248), (40, 30, 190)


def render() -> np.ndarray:
    """The scene, as `(height, width, 3)` uint8, BGR."""
    rows = np.arange(HEIGHT)[:, None, None] / HEIGHT
    sky = np.array([235, 190, 140]) + rows * np.array([-60, -20, 40])
    canvas = np.broadcast_to(sky, (HEIGHT, WIDTH, 3)).copy()
    canvas[HORIZON:] = (70, 72, 75)
    canvas += np.random.default_rng(SEED).normal(0, 6, (HEIGHT, WIDTH, 1))
    canvas = canvas.clip(0, 255).astype(np.uint8)
    hills = [(0, 300), (0, 240), (120, 200), (260, 250), (400, 190), (540, 240), (640, 210)]
    cv2.fillPoly(canvas, [np.array([*hills, (WIDTH, HORIZON)])], (70, 120, 80), cv2.LINE_AA)
    cv2.line(canvas, (0, 390), (WIDTH, 390), (210, 210, 210), 6, cv2.LINE_AA)
    _stop_sign(canvas, (174, 150))
    _clock(canvas, (470, 150))
    return cv2.GaussianBlur(canvas, (3, 3), 0)


def _stop_sign(canvas: np.ndarray, centre: tuple[int, int]) -> None:
    x, y = centre
    cv2.rectangle(canvas, (x - 6, y + 50), (x + 6, y + 290), (150, 150, 150), -1)
    angles = np.arange(8) * np.pi / 4 + np.pi / 8
    octagon = np.stack([np.cos(angles), np.sin(angles)], 1)
    for radius, color in ((92, WHITE), (84, RED)):
        cv2.fillPoly(canvas, [(centre + radius * octagon).astype(int)], color, cv2.LINE_AA)
    font = cv2.FONT_HERSHEY_DUPLEX
    (width, height), _ = cv2.getTextSize("STOP", font, 1.8, 5)
    start = (x - width // 2, y + height // 2)
    cv2.putText(canvas, "STOP", start, font, 1.8, WHITE, 5, cv2.LINE_AA)


def _clock(canvas: np.ndarray, centre: tuple[int, int]) -> None:
    x, y = centre
    cv2.rectangle(canvas, (x - 8, y + 80), (x + 8, y + 290), (60, 60, 60), -1)
    for radius, color in ((88, (40, 40, 40)), (78, WHITE)):
        cv2.circle(canvas, centre, radius, color, -1, cv2.LINE_AA)
    for hour in range(1, 13):
        turn = np.array([np.sin(hour * np.pi / 6), -np.cos(hour * np.pi / 6)])
        inner, outer = ((centre + radius * turn).astype(int).tolist() for radius in (66, 74))
        cv2.line(canvas, inner, outer, DARK, 4, cv2.LINE_AA)
        start = (centre + 54 * turn + (-6 * len(str(hour)), 6)).astype(int).tolist()
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(canvas, str(hour), start, font, 0.55, DARK, 2, cv2.LINE_AA)
    cv2.line(canvas, centre, (x + 28, y - 28), DARK, 7, cv2.LINE_AA)
    cv2.line(canvas, centre, (x - 10, y - 52), DARK, 5, cv2.LINE_AA)


if __name__ == "__main__":
    cv2.imwrite(str(TARGET), render(), [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")

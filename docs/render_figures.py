"""Draw data/figures.jpg and data/glyph.png with data/generate.py, for the shipped networks."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

DATA = Path(__file__).resolve().parent.parent / "data"
sys.path.insert(0, str(DATA))

import generate  # noqa: E402 (it lies beside the pictures)

FIGURES = (1000, 33)
"""The random numbers' start; those of the training sets begin with their own seed, 1."""
GLYPH = (1000, 3)

if __name__ == "__main__":
    figures, _ = generate.shapes_picture(np.random.default_rng(FIGURES), 448)
    glyph = generate.glyph_picture(np.random.default_rng(GLYPH), "R")
    quality = [cv2.IMWRITE_JPEG_QUALITY, 88]
    for name, picture, options in (("figures.jpg", figures, quality), ("glyph.png", glyph, [])):
        cv2.imwrite(str(DATA / name), picture, options)
        print(f"{DATA / name}: {(DATA / name).stat().st_size} bytes")

"""Boxes on numpy arrays: IoU, non-maximum suppression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Detections:
    """Boxes of one image, each scored for every class.

    `boxes` `(n, 4)` are `cxcywh`, `objectness` is `(n,)`, `scores` `(n, classes)`; float32.
    """

    boxes: np.ndarray
    objectness: np.ndarray
    scores: np.ndarray

"""Label files: the boxes of a picture, one `class x y width height` a line."""

from __future__ import annotations

import os
import warnings

import numpy as np

from darknet_py.cfg import read_text
from darknet_py.errors import DarknetWarning


def read_labels(path: str | os.PathLike[str]) -> np.ndarray:
    """The boxes in a label file, float32 `(n, 5)`: class, x, y, width, height, relative.

    A line that is no box is left out, with a warning (C: data.c:read_boxes stops there).

    Raises:
        CfgError: the file cannot be opened.
    """
    boxes = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        words = line.split()
        if not words:
            continue
        try:
            box = [int(words[0]), *(float(word) for word in words[1:])]
            if len(box) != 5:
                raise ValueError
        except ValueError:
            text = f"{os.fspath(path)}:{number}: is no 'class x y width height': {line.strip()!r}"
            warnings.warn(text, DarknetWarning, stacklevel=2)
            continue
        boxes.append(box)
    return np.array(boxes, np.float32).reshape(-1, 5)

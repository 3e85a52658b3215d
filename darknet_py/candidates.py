"""From the arrays of `--head boxes` to detections: what a head does after its arithmetic."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from darknet_py.anchors import above
from darknet_py.boxes import Detections
from darknet_py.datafile import Tree, make_tree
from darknet_py.hierarchy import walk_down
from darknet_py.metadata import Metadata


def select_boxes(
    boxes: np.ndarray,
    scores: np.ndarray,
    objectness: np.ndarray,
    metadata: Metadata,
    thresh: float,
    hier: float = 0.5,
) -> Detections:
    """One sample's detections, as `Head.decode` gives them, before any suppression.

    Args:
        boxes: `(n, 4)` cxcywh relative to the network's input.
        scores: `(n, classes)`, objectness times class.
        objectness: `(n,)`.
        metadata: of the converted network.
        thresh: scores not above it are 0.
        hier: the threshold of the walk down a class tree.
    """
    rule = metadata.objectness
    if rule == "above":
        likely = objectness > np.float32(thresh)
        boxes, scores, objectness = boxes[likely], scores[likely], objectness[likely]
    scale = objectness
    if rule == "zeroed":
        objectness = above(objectness, thresh)
    elif rule == "ones":
        objectness = np.ones_like(objectness)
    if metadata.tree:
        return Detections(boxes, objectness, _choose(scores, scale, metadata, thresh, hier))
    scores = above(scores, thresh)
    scores[objectness == 0] = 0
    return Detections(boxes, objectness, scores)


@lru_cache
def _tree(parents: tuple[int, ...]) -> Tree:
    return make_tree([""] * len(parents), parents)


def _choose(
    scores: np.ndarray, objectness: np.ndarray, metadata: Metadata, thresh: float, hier: float
) -> np.ndarray:
    """One class of the tree for each box, as heads/region.py finds it."""
    chosen = np.zeros_like(scores)
    tree = _tree(metadata.tree)
    for i in np.flatnonzero(objectness > np.float32(thresh)):
        predictions = scores[i] / objectness[i]
        if metadata.objectness == "zeroed":
            chosen[i, walk_down(predictions, tree, hier)] = objectness[i]
        elif (predictions > 0.5).any():
            last = np.flatnonzero(predictions > 0.5)[-1]
            chosen[i, last] = predictions[last]
    return chosen

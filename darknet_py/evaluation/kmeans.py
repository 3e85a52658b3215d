"""Anchors for a detector's heads: the sides of boxes, clustered (C: detector.c:calc_anchors).

The distance of two boxes is 1 less their IoU with a corner in common; so large boxes weigh no
more than small ones. C: AlexeyAB's matrix.c:do_kmeans.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from darknet_py.errors import DarknetError

LIMIT = 1000
"""The most iterations."""


@dataclass(frozen=True)
class Clusters:
    """What the clustering found."""

    centres: np.ndarray
    """`(k, 2)` float32: width and height of each, by area."""
    assignments: np.ndarray
    """`(n,)`: the cluster of each box."""
    iterations: int
    average_iou: float
    """Of the boxes with their clusters' centres, from 0 to 1."""


def find_anchors(
    sides: np.ndarray, count: int, random: np.random.Generator, runs: int = 1
) -> Clusters:
    """Cluster boxes, starting from some of them that are drawn by chance.

    Args:
        sides: `(n, 2)`: width and height of each box, above 0.
        count: how many clusters.
        random: draws the start.
        runs: how often to start; the run of the best average IoU counts.

    Raises:
        DarknetError: there are fewer boxes than clusters.
    """
    if not 0 < count <= len(sides):
        raise DarknetError(f"{count} clusters cannot be made of {len(sides)} boxes")
    sides = np.asarray(sides, np.float32)
    starts = [sides[random.permutation(len(sides))[:count]] for _ in range(max(runs, 1))]
    return max((cluster(sides, start) for start in starts), key=lambda found: found.average_iou)


def cluster(sides: np.ndarray, start: np.ndarray) -> Clusters:
    """K-means of `sides` `(n, 2)` from the centres `start` `(k, 2)`."""
    sides, centres = np.asarray(sides, np.float32), np.array(start, np.float32)
    assigned = np.zeros(len(sides), int)
    if len(centres) == 1:
        centres = _means(sides, assigned, centres)
    iterations = 0
    while iterations < LIMIT:
        closest = _distances(sides, centres).argmin(1)
        same = np.array_equal(closest, assigned)
        assigned = closest
        if same:
            break
        centres = _means(sides, assigned, centres)
        iterations += 1
    order = np.argsort(centres[:, 0] * centres[:, 1], kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    centres = centres[order]
    return Clusters(centres, place[assigned], iterations, average_iou(sides, centres))


def average_iou(sides: np.ndarray, anchors: np.ndarray) -> float:
    """The mean IoU of boxes with the anchors that fit them best, in float32 as C adds it."""
    best = 1 - _distances(np.asarray(sides, np.float32), np.asarray(anchors, np.float32)).min(1)
    return float(np.cumsum(best, dtype=np.float32)[-1] / np.float32(len(sides)))


def _distances(sides: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """1 less the IoU of each box with each centre, `(n, k)`."""
    shared = np.minimum(sides[:, None], centres).prod(2)
    return np.asarray(1 - shared / (sides.prod(1)[:, None] + centres.prod(1) - shared))


def _means(sides: np.ndarray, assigned: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The mean box of each cluster; a cluster without boxes stays where it was."""
    sums = np.zeros_like(centres)
    np.add.at(sums, assigned, sides)
    counts = np.bincount(assigned, minlength=len(centres))[:, None]
    means = sums / np.maximum(counts, 1).astype(np.float32)
    return np.where(means == 0, centres, means)

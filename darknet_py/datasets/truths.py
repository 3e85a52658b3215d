"""The truth of classifiers: from a path to a class, smoothed, and up a class tree."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from darknet_py.bad_list import BadList, Problem
from darknet_py.datafile import Tree

NOT_COUNTED = -1234.0
"""The truth of values that the loss leaves out (C: darknet.h:SECRET_NUM)."""


@dataclass
class ClassTruth:
    """Classes by labels: a path belongs to each class whose label stands anywhere in it.

    With a tree, a class's ancestors are 1, too, and groups without a 1 do not count.
    C: data.c:fill_truth_smooth, fill_hierarchy.
    """

    labels: tuple[str, ...]
    bad: BadList
    tree: Tree | None = None
    smooth: float = 0.0
    """label_smooth_eps: what the other classes get, together."""
    _known: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def of(self, path: str) -> np.ndarray:
        """The truth of a path, float32 (classes,)."""
        found = self._known.get(path)
        if found is None:
            found = self._known[path] = self._find(path)
        count = len(self.labels)
        truth = np.zeros(count, np.float32)
        if self.smooth and count > 1:
            truth[:] = self.smooth / (count - 1)
        truth[list(found)] = 1 - self.smooth
        if self.tree is not None:
            fill_tree(truth, self.tree)
        return truth

    def _find(self, path: str) -> tuple[int, ...]:
        found = tuple(i for i, label in enumerate(self.labels) if label in path)
        if len(found) != 1 and (len(self.labels), len(found)) != (1, 0):
            names = ", ".join(self.labels[i] for i in found[:5])
            what = f"holds {len(found)} labels ({names})" if found else "holds no label"
            self.bad.add([Problem(path, 0, f"the path {what}, one was expected")])
        return found


def fill_tree(truth: np.ndarray, tree: Tree) -> None:
    """Give the ancestors of each class with a share 1; leave out groups without any."""
    for node in np.flatnonzero(truth[: len(tree)]).tolist():
        parent = tree.parents[node]
        while parent >= 0:
            truth[parent] = 1
            parent = tree.parents[parent]
    for start, size in tree.groups:
        group = truth[start : start + size]
        if not group.any():
            group[:] = NOT_COUNTED

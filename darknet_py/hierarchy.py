"""Class trees: from each group's shares to probabilities, and from those to one class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from darknet_py.cfg import Section, find_file, quote
from darknet_py.datafile import Tree, read_map, read_tree


def read_named_tree(section: Section, name: str | None) -> Tree | None:
    """The tree that the section's key `tree` names; None without one.

    The model may bring the file along.

    Raises:
        CfgError: there is no such file, or it is no tree.
    """
    if name is None:
        return None
    if name in section.files:
        return read_tree(name, section.files[name])
    return read_tree(_named_file(section, "tree", name))


def read_named_map(section: Section, name: str | None, classes: int) -> tuple[int, ...] | None:
    """The head's class of each class of the labels, as the section's key `map` says.

    Raises:
        CfgError: there is no such file, or it names a class that is not one of `classes`.
    """
    if name is None:
        return None
    numbers = read_map(_named_file(section, "map", name))
    for line, number in enumerate(numbers, start=1):
        if not 0 <= number < classes:
            message = f"map={quote(name)} names class {number} in line {line}, of {classes} classes"
            raise section.error(message, "map")
    return numbers


def _named_file(section: Section, key: str, name: str) -> Path:
    path = find_file(name, section.path)
    if not path.is_file():
        message = f"{key}={quote(name)} is no file here, beside the cfg or one folder up"
        raise section.error(message, key)
    return path


def multiply_down(scores: np.ndarray, tree: Tree, *, leaves_only: bool = False) -> None:
    """Make each class's share of its group a probability of its own, in place.

    `scores` are `(n, classes)`. With `leaves_only` classes that have others below them get 0.
    C: tree.c:hierarchy_predictions.
    """
    for start, size in tree.groups:
        parent = tree.parents[start]
        if parent >= 0:
            scores[:, start : start + size] *= scores[:, parent, None]
    if leaves_only:
        scores[:, : len(tree)][:, ~np.array(tree.leaves)] = 0


def walk_down(scores: np.ndarray, tree: Tree, thresh: float) -> int:
    """The class a walk from the root ends in, given the `scores` `(classes,)` of one box.

    Each step goes to the most probable child, as long as the product of all steps is above
    `thresh`; below it the walk ends in the parent, or in the best of the first group.
    C: tree.c:hierarchy_top_prediction.
    """
    product, group = np.float32(1), 0
    while True:
        start, size = tree.groups[group]
        best = int(np.argmax(scores[start : start + size])) + start
        product = product * scores[best]
        if product > np.float32(thresh):
            group = tree.child[best]
            if group < 0:
                return best
        elif group == 0:
            return best
        else:
            return tree.parents[start]

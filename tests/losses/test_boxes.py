"""The overlap measures against C's formulas, and their steps against finite differences."""

import math

import numpy as np
import pytest
import torch
from helpers import assert_close

from darknet_py.losses.boxes import MEASURES, box_iou, overlap_gradient

PAIRS = [
    ((0.5, 0.45, 0.3, 0.4), (0.52, 0.5, 0.35, 0.25)),  # each sticks out somewhere
    ((0.5, 0.5, 0.2, 0.1), (0.52, 0.48, 0.4, 0.5)),  # inside the object
    ((0.4, 0.6, 0.6, 0.7), (0.45, 0.55, 0.2, 0.1)),  # around the object
    ((0.3, 0.4, 0.2, 0.3), (0.41, 0.47, 0.25, 0.2)),
]
APART = ((0.2, 0.3, 0.1, 0.2), (0.7, 0.8, 0.3, 0.1))


def naive(kind, a, b):
    """box.c's measures of two boxes, in float64."""
    left, right = (min(a[0] - a[2] / 2, b[0] - b[2] / 2), max(a[0] + a[2] / 2, b[0] + b[2] / 2))
    top, bottom = (min(a[1] - a[3] / 2, b[1] - b[3] / 2), max(a[1] + a[3] / 2, b[1] + b[3] / 2))
    wide = min(a[0] + a[2] / 2, b[0] + b[2] / 2) - max(a[0] - a[2] / 2, b[0] - b[2] / 2)
    high = min(a[1] + a[3] / 2, b[1] + b[3] / 2) - max(a[1] - a[3] / 2, b[1] - b[3] / 2)
    common = 0 if wide < 0 or high < 0 else wide * high
    union = a[2] * a[3] + b[2] * b[3] - common
    iou = common / union if common and union else 0
    hull = (right - left) * (bottom - top)
    far = ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / ((right - left) ** 2 + (bottom - top) ** 2)
    shape = 4 / math.pi**2 * (math.atan(b[2] / b[3]) - math.atan(a[2] / a[3])) ** 2
    return {
        "iou": iou,
        "giou": iou - (hull - union) / hull,
        "diou": iou - far**0.6,
        "plain diou": iou - far,
        "ciou": iou - (far + shape * shape / (1 - iou + shape + 0.000001)),
    }[kind]


@pytest.mark.parametrize("kind", MEASURES)
@pytest.mark.parametrize("a, b", [*PAIRS, APART])
def test_measures_are_c_s(kind, a, b):
    actual = MEASURES[kind](torch.tensor([a]), torch.tensor([b]))
    assert_close(actual, np.array([naive(kind, a, b)], np.float32))


def test_boxes_without_size_do_not_overlap():
    boxes = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 0.2, 0.0]])
    assert box_iou(boxes, boxes).tolist() == [0, 0]


def slope(kind, a, b, entry):
    """The true gradient of a measure, by finite differences."""
    low, high, step = list(a), list(a), 1e-6
    low[entry] -= step
    high[entry] += step
    return (naive(kind, high, b) - naive(kind, low, b)) / (2 * step)


@pytest.mark.parametrize("a, b", PAIRS)
@pytest.mark.parametrize("kind", ["iou", "giou"])
def test_steps_are_the_gradient_and_twice_it_for_the_sides(kind, a, b):
    steps = overlap_gradient(torch.tensor([a]), torch.tensor([b]), kind)[0]
    for entry in range(4):
        times = 1 if entry < 2 else 2
        assert steps[entry] == pytest.approx(times * slope(kind, a, b, entry), abs=2e-4)


def spread(a, b):
    """The squared diagonal around both."""
    sides = [max(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2) for i in (0, 1)]
    return sum(
        (s - min(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2)) ** 2 for i, s in enumerate(sides)
    )


@pytest.mark.parametrize("a, b", [*PAIRS, APART])
def test_steps_of_diou_take_a_growing_diagonal_for_a_loss(a, b):
    steps = overlap_gradient(torch.tensor([a]), torch.tensor([b]), "diou")[0]
    distance = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
    for entry in range(4):
        moved = list(a)
        moved[entry] += 1e-6
        hull = distance * (spread(moved, b) - spread(a, b)) / 1e-6 / spread(a, b) ** 2
        true = slope("plain diou", a, b, entry)
        # Documented in docs/parity.md: no gradient where one box sticks out.
        expected = true - 2 * hull if entry < 2 else true + slope("iou", a, b, entry)
        assert steps[entry] == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("a, b", PAIRS)
def test_steps_of_ciou_turn_the_sides_towards_the_shape(a, b):
    one, other = torch.tensor([a]), torch.tensor([b])
    steps = overlap_gradient(one, other, "ciou") - overlap_gradient(one, other, "diou")
    turn = math.atan(b[2] / b[3]) - math.atan(a[2] / a[3])
    shape = 4 / math.pi**2 * turn**2
    factor = shape / (1 - naive("iou", a, b) + shape + 1e-6) * 8 / math.pi**2 * turn
    assert_close(steps[0], torch.tensor([0, 0, factor * a[3], -factor * a[2]]))


@pytest.mark.parametrize("kind", ["giou", "diou", "ciou"])
def test_boxes_apart_are_drawn_together(kind):
    step = overlap_gradient(torch.tensor([APART[0]]), torch.tensor([APART[1]]), kind)[0]
    assert step[0] > 0
    assert step[1] > 0

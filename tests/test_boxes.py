import numpy as np
import pytest
from helpers import assert_close

from darknet_py.boxes import (
    Detections,
    box_iou,
    distance_term,
    join_detections,
    suppress,
    suppress_boxes,
    undo_letterbox,
)

KINDS = ["default", "greedynms", "diounms", "cornersnms"]


def random_detections(seed, count=60, classes=4):
    """Boxes with many equal scores, zeros, and objectness 0 here and there."""
    random = np.random.default_rng(seed)
    boxes = np.concatenate([random.random((count, 2)), random.random((count, 2)) / 2], 1)
    return Detections(
        boxes.astype(np.float32),
        (random.integers(0, 4, count) / 3).astype(np.float32),
        (random.integers(0, 5, (count, classes)) / 8).astype(np.float32),
    )


def drop_empty(objectness):
    """The swapping loop that starts each suppression in box.c."""
    order, last, i = list(range(len(objectness))), len(objectness) - 1, 0
    while i <= last:
        if objectness[order[i]] == 0:
            order[i], order[last] = order[last], order[i]
            last -= 1
        else:
            i += 1
    return order[: last + 1]


def naive_suppress(found, thresh, kind, beta):
    """box.c:do_nms_sort and diounms_sort, loop for loop."""
    order, scores = drop_empty(found.objectness), found.scores.copy()
    exponent = {"greedynms": 0.6, "diounms": beta}.get(kind)
    for k in range(scores.shape[1]):
        order.sort(key=lambda i: -scores[i, k])
        for place, i in enumerate(order):
            if scores[i, k] == 0:
                continue
            for j in order[place + 1 :]:
                a, b = found.boxes[i], found.boxes[j]
                overlap = box_iou(a, b)
                if exponent is not None:
                    overlap = overlap - distance_term(a, b, exponent)
                if overlap > np.float32(thresh):
                    scores[j, k] = 0
    return Detections(found.boxes[order], found.objectness[order], scores[order])


def naive_suppress_boxes(found, thresh):
    """box.c:do_nms_obj, loop for loop."""
    order = sorted(drop_empty(found.objectness), key=lambda i: -found.objectness[i])
    result = found.take(np.array(order))
    for i in range(len(result)):
        for j in range(i + 1, len(result)):
            both = result.objectness[i] and result.objectness[j]
            if both and box_iou(result.boxes[i], result.boxes[j]) > np.float32(thresh):
                result.objectness[j] = 0
                result.scores[j] = 0
    return result


def assert_same(actual, expected):
    np.testing.assert_array_equal(actual.boxes, expected.boxes)
    np.testing.assert_array_equal(actual.objectness, expected.objectness)
    np.testing.assert_array_equal(actual.scores, expected.scores)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_suppression_and_its_order_are_those_of_the_c_loops(kind, seed):
    found = random_detections(seed)
    assert_same(suppress(found, 0.3, kind, 0.4), naive_suppress(found, 0.3, kind, 0.4))


@pytest.mark.parametrize("seed", range(3))
def test_suppression_by_objectness_is_that_of_the_c_loops(seed):
    found = random_detections(seed)
    assert_same(suppress_boxes(found, 0.3), naive_suppress_boxes(found, 0.3))


def test_suppression_leaves_its_input_alone():
    found = random_detections(0)
    before = found.take(np.arange(len(found)))
    suppress(found, 0.1)
    suppress_boxes(found, 0.1)
    assert_same(found, before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", [0, 1000])
def test_suppression_of_many_boxes(kind, table, monkeypatch):
    found = random_detections(5, 150, 3)
    found.boxes[:, 2:] *= 2
    monkeypatch.setattr("darknet_py.boxes.ROWS", 7)  # block after block, and a table if allowed
    monkeypatch.setattr("darknet_py.boxes.TABLE", table)
    assert_same(suppress(found, 0.2, kind, 0.4), naive_suppress(found, 0.2, kind, 0.4))


def test_a_zero_of_either_sign_is_no_score():
    found = random_detections(7, 40, 3)
    found.scores[::2] *= -0.0
    assert_same(suppress(found, 0.2), naive_suppress(found, 0.2, "default", 0.6))


def test_kinds_differ():
    found = random_detections(1)
    kept = {kind: (suppress(found, 0.3, kind, 0.4).scores > 0).sum() for kind in KINDS}
    assert kept["default"] == kept["cornersnms"] < kept["greedynms"] < kept["diounms"]


def test_boxes_without_area_or_number_do_not_suppress():
    boxes = [[0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0], [0.5, 0.5, -1, 1], [0.5, np.nan, 1, 1]]
    boxes += [[0.5, 0.5, np.inf, 1], [0.5, 0.5, np.inf, 1]]
    found = Detections(
        np.array(boxes, np.float32), np.ones(6, np.float32), np.full((6, 1), 0.9, np.float32)
    )
    assert (suppress(found, 0.45).scores > 0).all()


def test_iou():
    a = np.array([0.5, 0.5, 0.4, 0.2], np.float32)
    b = np.array([[0.6, 0.5, 0.4, 0.2], [0.9, 0.5, 0.4, 0.2], [0.5, 0.5, 0.2, 0.1]], np.float32)
    assert_close(box_iou(a, b), np.array([0.3 / 0.5, 0, 0.25]))


def test_joined_heads_score_missing_classes_zero():
    parts = [random_detections(0, 3, 2), random_detections(1, 2, 5)]
    joined = join_detections(parts)
    assert joined.scores.shape == (5, 5)
    assert (joined.scores[:3, 2:] == 0).all()
    assert len(join_detections([])) == 0


def test_letterbox_is_undone():
    found = random_detections(0, 2)
    actual = undo_letterbox(found, (416, 312), (416, 416))
    x, y, width, height = found.boxes.astype(np.float64).T
    expected = np.stack([x, (y - 0.125) / 0.75, width, height / 0.75], 1)
    assert_close(actual.boxes, expected)

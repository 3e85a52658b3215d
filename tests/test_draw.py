import numpy as np
import pytest
from helpers import SHARED

from darknet_py.boxes import Detections
from darknet_py.dialect import ALEXEYAB, PJREDDIE
from darknet_py.draw import class_color, draw_detections
from darknet_py.image import load_image, to_bytes
from darknet_py.results import list_detections

GOLDEN = SHARED / "golden" / "pjreddie" / "boxes" / "draw.png"
MAGENTA = (255, 0, 255)


def found(*boxes, classes=80):
    """Detections of (x, y, w, h, {class: probability})."""
    scores = np.zeros((len(boxes), classes), np.float32)
    for row, (*_, probabilities) in zip(scores, boxes, strict=True):
        row[list(probabilities)] = list(probabilities.values())
    places = np.array([box[:4] for box in boxes], np.float32).reshape(-1, 4)
    return Detections(places, scores.max(1, initial=0), scores)


def gradient(height=240, width=320):
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    half = np.full_like(rows, 0.5)
    return to_bytes(np.dstack([columns / np.float32(width), rows / np.float32(height), half]))


@pytest.mark.skipif(not GOLDEN.is_file(), reason="shared/golden is missing")
def test_lines_are_c_s_to_the_pixel():
    detections = found(
        (0.3, 0.4, 0.3, 0.4, {16: 0.9, 15: 0.6}),
        (0.8, 0.8, 0.6, 0.5, {2: 0.75}),
        (0.7, 0.1, 0.2, 0.3, {0: 0.55}),
    )
    names = [f"class {number}" for number in range(80)]
    drawn, expected = draw_detections(gradient(), detections, names, 0.5), load_image(GOLDEN)
    labels = np.zeros(drawn.shape[:2], bool)
    for left, top in ((48, 34), (160, 118), (191, 0)):
        labels[top : top + 16, left : left + 120] = True
    np.testing.assert_array_equal(drawn[~labels], expected[~labels])
    assert (expected[~labels] == class_color(15, 80)).all(1).sum() > 250  # not all was masked


@pytest.mark.parametrize("class_id, color", [(0, MAGENTA), (2, (222, 255, 0)), (15, (255, 0, 15))])
def test_class_colors(class_id, color):
    assert class_color(class_id, 80) == pytest.approx(color, abs=8)


def test_alexeyab_draws_the_best_class_and_the_best_box_last():
    detections = found((0.5, 0.5, 0.5, 0.5, {1: 0.9, 0: 0.6}), (0.5, 0.5, 0.5, 0.5, {0: 0.7}))
    thin = draw_detections(gradient(), detections, 80, 0.5, ALEXEYAB)
    assert tuple(thin[120, 80]) == class_color(1, 80)
    assert tuple(thin[120, 81]) == tuple(gradient()[120, 81])
    first = draw_detections(gradient(1000), detections, 80, 0.5, PJREDDIE)
    assert {tuple(first[500, column]) for column in range(80, 86)} == {class_color(0, 80)}


def test_a_list_of_detections_draws_the_same():
    detections = found((0.4, 0.5, 0.5, 0.5, {1: 0.9, 0: 0.6}), (0.6, 0.5, 0.5, 0.5, {0: 0.7}))
    names = [str(number) for number in range(80)]
    listed = list_detections(detections, names, 320, 240, 0.5)
    np.testing.assert_array_equal(
        draw_detections(gradient(), listed, 80, 0.5),
        draw_detections(gradient(), detections, names, 0.5),
    )


@pytest.mark.parametrize(
    "box",
    [
        (0.5, 0.5, 9, 9),
        (-3, 0.5, 1, 1),
        (0.5, 7, 1, 1),
        (np.nan, 0.5, np.inf, 1),
        (0.5, 0.5, 0, 0),
        (1e30, 1e30, 1e30, 1e30),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_boxes_outside_and_impossible_ones(box):
    drawn = draw_detections(gradient(), found((*box, {3: 0.9})), 80)
    assert drawn.shape == (240, 320, 3)


def test_labels_fit_into_small_and_large_pictures():
    for height, width in ((1, 1), (8, 300), (300, 8), (2100, 60)):
        picture = np.zeros((height, width, 3), np.uint8)
        drawn = draw_detections(picture, found((0.5, 0.5, 0.9, 0.9, {0: 1})), ["a long name"] * 80)
        assert drawn.any() and not picture.any()


def test_grey_pictures():
    drawn = draw_detections(gradient()[..., :1], found((0.5, 0.5, 0.5, 0.5, {0: 1})), 80)
    assert drawn.shape == (240, 320, 1) and drawn[120, 80, 0] == 204


def test_nothing_found_changes_nothing():
    np.testing.assert_array_equal(draw_detections(gradient(), found(), 80), gradient())


def test_below_the_threshold_nothing_is_drawn():
    box = found((0.5, 0.5, 0.5, 0.5, {0: 0.5}))
    np.testing.assert_array_equal(draw_detections(gradient(), box, 80, 0.5), gradient())


def test_lines_in_small_pictures():
    drawn = draw_detections(gradient(100, 90), found((0.5, 0.5, 0.5, 0.5, {0: 1})), 80)
    assert tuple(drawn[75, 60]) == tuple(drawn[60, 67]) == class_color(0, 80)


def test_a_label_at_the_right_edge_is_moved_inside():
    picture = gradient()
    drawn = draw_detections(picture, found((0.95, 0.5, 0.08, 0.2, {0: 0.9})), ["a long name"] * 80)
    color = class_color(0, 80)
    bar = (drawn == color).all(2).any(0)
    assert bar[: int(picture.shape[1] * 0.9)].any()

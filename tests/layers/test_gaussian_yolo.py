import math

import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError

BODY = "[Gaussian_yolo]\nmask=0,2\nanchors=10,14,23,27,37,58\nclasses=3\nnum=3\nscale_x_y=1.1\n"
SHAPE = (24, 3, 4)


def naive_forward(x, scale):
    """gaussian_yolo_layer.c:forward_gaussian_yolo_layer, loop for loop."""
    out = x.copy()
    for index in np.ndindex(x.shape):
        entry = index[1] % 12
        if entry not in (4, 6):
            out[index] = 1 / (1 + math.exp(-out[index]))
        if entry in (0, 2):
            out[index] = out[index] * scale - 0.5 * (scale - 1)
    return out


def naive_decode(output, anchors, network, thresh, shift):
    """gaussian_yolo_layer.c:get_gaussian_yolo_detections, loop for loop."""
    _, height, width = output.shape
    rows = []
    for cell in range(height * width):
        row, column = divmod(cell, width)
        for n, anchor in enumerate(anchors):
            x, sx, y, sy, w, sw, h, sh, objectness, *classes = output[
                12 * n : 12 * n + 12, row, column
            ]
            if objectness <= thresh:
                continue
            w, h = math.exp(w) * anchor[0] / network[0], math.exp(h) * anchor[1] / network[1]
            box = [(column + x) / width + shift * w, (row + y) / height + shift * h, w, h]
            sure = objectness * (1 - (sx + sy + sw + sh) / 4)
            rows.append(
                [*box, objectness, *(sure * c if sure * c > thresh else 0 for c in classes)]
            )
    return np.array(rows)


@pytest.mark.parametrize("point, shift", [("center", 0), ("left_top", 0.5), ("right_bottom", -0.5)])
def test_matches_the_c_loops(point, shift):
    x = ramp(2, *SHAPE) * 2
    network = build(f"{BODY}yolo_point={point}", SHAPE)
    (actual,) = network(x)
    expected = naive_forward(x.numpy(), 1.1)
    assert_close(actual, expected)
    found = network.heads[0].decode(actual[1], network.image, 0.2, 0.5)
    rows = naive_decode(expected[1], [(10, 14), (37, 58)], (4, 3), 0.2, shift)
    assert 0 < np.count_nonzero(found.scores) < found.scores.size
    assert_close(found.boxes, rows[:, :4])
    assert_close(found.objectness, rows[:, 4])
    assert_close(found.scores, rows[:, 5:])


def test_the_section_makes_the_dialect_alexeyab():
    assert build(BODY, SHAPE).dialect.name == "alexeyab"


def test_wrong_filters_say_what_they_should_be():
    with pytest.raises(CfgError) as error:
        build("[Gaussian_yolo]\nclasses=3\nnum=3", SHAPE)
    expected = "filters=36 expected before [Gaussian_yolo] with 3 masks and 3 classes, got 24"
    assert str(error.value) == f"test.cfg:5: [Gaussian_yolo]: {expected}"


def test_row():
    assert build(f"{BODY}yolo_point=left_top", SHAPE)[0].row() == (
        "[Gaussian_yolo] iou loss: mse (2), iou_norm: 0.75, obj_norm: 1.00, cls_norm: 1.00, "
        "delta_norm: 1.00, scale: 1.10, point: 2"
    )

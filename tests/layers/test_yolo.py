import math

import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError

BODY = "[yolo]\nmask=0,2\nanchors=10,14,23,27,37,58\nclasses=3\nnum=3\n"
SHAPE = (16, 3, 4)


def logistic(x):
    return 1 / (1 + math.exp(-x))


def naive_forward(x, new_coords=False, scale=1.0):
    """yolo_layer.c:forward_yolo_layer, loop for loop."""
    out = x.copy()
    for index in np.ndindex(x.shape):
        entry = index[1] % 8
        if not new_coords and entry not in (2, 3):
            out[index] = logistic(out[index])
        if entry < 2:
            out[index] = out[index] * scale - 0.5 * (scale - 1)
    return out


def naive_decode(output, anchors, network, thresh, new_coords=False):
    """yolo_layer.c:get_yolo_detections, loop for loop; rows of box, objectness, scores."""
    _, height, width = output.shape
    rows = []
    for cell in range(height * width):
        row, column = divmod(cell, width)
        for n, anchor in enumerate(anchors):
            x, y, w, h, objectness, *classes = output[8 * n : 8 * n + 8, row, column]
            if objectness <= thresh:
                continue
            scales = (4 * w * w, 4 * h * h) if new_coords else (math.exp(w), math.exp(h))
            box = [(column + x) / width, (row + y) / height]
            box += [s * a / side for s, a, side in zip(scales, anchor, network, strict=True)]
            scores = [objectness * c if objectness * c > thresh else 0 for c in classes]
            rows.append([*box, objectness, *scores])
    return np.array(rows)


@pytest.mark.parametrize(
    "extra, new_coords, scale",
    [("", False, 1), ("scale_x_y=1.2", False, 1.2), ("new_coords=1\nscale_x_y=2", True, 2)],
)
def test_matches_the_c_loops(extra, new_coords, scale):
    x = ramp(2, *SHAPE) * 2
    network = build(BODY + extra, SHAPE)
    (actual,) = network(x)
    expected = naive_forward(x.numpy(), new_coords, scale)
    assert_close(actual, expected)
    found = network.heads[0].decode(actual[1], network.image, 0.4, 0.5)
    rows = naive_decode(expected[1], [(10, 14), (37, 58)], (4, 3), 0.4, new_coords)
    assert 0 < len(found) < 24
    assert_close(found.boxes, rows[:, :4])
    assert_close(found.objectness, rows[:, 4])
    assert_close(found.scores, rows[:, 5:])


def test_mask_defaults_to_all_and_missing_anchors_to_one_half():
    network = build("[yolo]\nclasses=3\nnum=2\nanchors=10,14,23", SHAPE)
    assert network[0].mask == (0, 1)
    np.testing.assert_array_equal(network[0].anchors, [[10, 14], [23, 0.5]])


def test_anchors_beyond_num_are_not_read():
    network = build("[yolo]\nclasses=3\nnum=2\nanchors=1,2,3,4,5,6", SHAPE)
    np.testing.assert_array_equal(network[0].anchors, [[1, 2], [3, 4]])


def test_wrong_filters_say_what_they_should_be():
    with pytest.raises(CfgError) as error:
        build("[yolo]\nmask=0,1,2\nclasses=80\nnum=9", (18, 3, 4))
    expected = "filters=255 expected before [yolo] with 3 masks and 80 classes, got 18"
    assert str(error.value) == f"test.cfg:5: [yolo]: {expected}"


def test_mask_beyond_num_names_the_line():
    with pytest.raises(CfgError) as error:
        build("[yolo]\nmask=1,3\nclasses=3\nnum=3", SHAPE)
    expected = "mask names anchor 3, but num=3 has anchors 0 to 2"
    assert str(error.value) == f"test.cfg:6: [yolo]: {expected}"


def test_a_mask_beyond_num_takes_the_listed_anchors():
    network = build(
        "[yolo]\nmask=1,2,3\nclasses=3\nnum=2\nanchors=1,2,3,4,5,6,7,8,9,10", (24, 3, 4)
    )
    np.testing.assert_array_equal(network[0].anchors, [[1, 2], [3, 4], [5, 6], [7, 8]])


def test_row():
    assert build(BODY, SHAPE, "pjreddie")[0].row() == "yolo"
    assert build(BODY + "iou_loss=ciou\nscale_x_y=1.05\niou_normalizer=.07", SHAPE)[0].row() == (
        "yolo\n[yolo] params: iou loss: ciou (4), iou_norm: 0.07, obj_norm: 1.00, "
        "cls_norm: 1.00, delta_norm: 1.00, scale_x_y: 1.05"
    )


def test_max_differs_between_the_forks():
    assert build(BODY, SHAPE, "pjreddie")[0].options.max == 90
    assert build(BODY, SHAPE, "alexeyab")[0].options.max == 200


def test_a_nan_is_no_box():
    network = build(BODY, SHAPE)
    (output,) = network(ramp(1, *SHAPE))
    output[0, 4] = math.nan
    found = network.heads[0].decode(output[0], network.image, 0.0, 0.5)
    assert len(found) == 12


def test_likely_boxes_are_the_same_found_by_torch():
    body = "[yolo]\nmask=0,2\nanchors=10,14, 23,27, 37,58\nclasses=3\nnum=3\n"
    head = build(body, (16, 5, 7))[0]
    output = ramp(16, 5, 7)
    for mine, theirs in zip(head.select(output, 0.3), head.likely(output, 0.3), strict=True):
        assert np.array_equal(mine, theirs)

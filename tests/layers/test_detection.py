import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError

BODY = "[detection]\nside=3\nnum=2\nclasses=4\ncoords=4\n"
SHAPE = (9 * (4 + 2 * 5),)


def naive_decode(values, root, thresh):
    """detection_layer.c:get_detection_detections, loop for loop, for an image of 1 x 1."""
    rows = []
    for cell in range(9):
        row, column = divmod(cell, 3)
        for n in range(2):
            objectness = values[36 + cell * 2 + n]
            x, y, w, h = values[54 + (cell * 2 + n) * 4 :][:4]
            power = 2 if root else 1
            scores = [objectness * values[cell * 4 + k] for k in range(4)]
            scores = [score if score > thresh else 0 for score in scores]
            rows.append([(x + column) / 3, (y + row) / 3, w**power, h**power, objectness, *scores])
    return np.array(rows)


@pytest.mark.parametrize("root", [0, 1])
@pytest.mark.parametrize("softmax", [0, 1])
def test_matches_the_c_loops(root, softmax):
    x = ramp(2, *SHAPE)
    network = build(f"{BODY}sqrt={root}\nsoftmax={softmax}", SHAPE)
    expected = x.numpy().copy()
    if softmax:
        for cell in range(9):
            scores = np.exp(expected[:, cell * 4 : cell * 4 + 4])
            expected[:, cell * 4 : cell * 4 + 4] = scores / scores.sum(1, keepdims=True)
    (actual,) = network(x)
    assert_close(actual, expected)
    found = network.heads[0].decode(actual[1], network.image, 0.1, 0.5)
    rows = naive_decode(expected[1], root, 0.1)
    assert 0 < np.count_nonzero(found.scores) < found.scores.size
    assert_close(found.boxes, rows[:, :4])
    assert_close(found.objectness, rows[:, 4])
    assert_close(found.scores, rows[:, 5:])


def test_reads_an_image_in_memory_order():
    x = ramp(2, 14, 3, 3)
    assert_close(build(BODY, (14, 3, 3))(x)[0], x.flatten(1))


def test_wrong_output_says_what_it_should_be():
    with pytest.raises(CfgError) as error:
        build("[detection]\nside=7\nnum=2\nclasses=20\ncoords=4", (1000,))
    expected = "output=1470 expected before [detection] with side=7, num=2, coords=4 and 20 classes"
    assert str(error.value) == f"test.cfg:5: [detection]: {expected}, got 1000"


def test_boxes_need_four_coordinates():
    network = build("[detection]\nclasses=2\nside=3\ncoords=1", (36,))
    (output,) = network(ramp(1, 36))
    with pytest.raises(CfgError) as error:
        network.heads[0].decode(output[0], network.image, 0.1, 0.5)
    assert str(error.value) == "test.cfg:8: [detection]: coords must be 4 to read boxes, got 1"


def test_row():
    assert build(BODY, SHAPE)[0].row() == "Detection Layer"

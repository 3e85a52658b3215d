import math

import numpy as np
import pytest
import torch
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError

SHAPE = (18, 3, 4)
BODY = "[region]\nanchors=1,2,3,1.5\nnum=2\nclasses=4\n"
TREE = "a -1\nb -1\nc 1\nd 1\n"
PARENTS = (-1, -1, 1, 1)
GROUPS = ((0, 2), (2, 2))


def logistic(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def tree_softmax(x):
    return np.concatenate([softmax(x[start : start + size]) for start, size in GROUPS])


def naive_forward(x, classes, background=False, coords=4):
    """pjreddie's region_layer.c:forward_region_layer, box for box."""
    out = x.astype(np.float64)
    entries = coords + 1 + 4
    for b, n, row, column in np.ndindex(x.shape[0], 2, *x.shape[2:]):
        box = out[b, n * entries : (n + 1) * entries, row, column]
        box[:2] = logistic(box[:2])
        if background:
            box[coords:] = classes(box[coords:])
        else:
            box[coords] = logistic(box[coords])
            box[coords + 1 :] = classes(box[coords + 1 :])
    return out


def naive_forward_raw(x, classes):
    """AlexeyAB's region_layer.c:forward_region_layer, box for box: cells, anchors, values."""
    batch, _, height, width = x.shape
    out = x.reshape(batch, 2, 9, height * width).transpose(0, 3, 1, 2).astype(np.float64, order="C")
    for box in out.reshape(-1, 9):
        box[4] = logistic(box[4])
        box[5:] = classes(box[5:])
    return out


def place(box, cell, anchor, width, height):
    row, column = divmod(cell, width)
    x, y, w, h = box[:4]
    sides = (math.exp(w) * anchor[0] / width, math.exp(h) * anchor[1] / height)
    return [(column + x) / width, (row + y) / height, *sides]


def multiply_down(scores):
    scores = scores.copy()
    for node, parent in enumerate(PARENTS):
        if parent >= 0:
            scores[node] *= scores[parent]
    return scores


def naive_top(scores, thresh):
    """tree.c:hierarchy_top_prediction of this tree."""
    best = int(scores[:2].argmax())
    if scores[best] <= thresh or best == 0:
        return best
    leaf = 2 + int(scores[2:].argmax())
    return leaf if scores[best] * scores[leaf] > thresh else best


def naive_decode(output, thresh, hier=None, class_map=None):
    """region_layer.c:get_region_detections, loop for loop, of one sample (18, 3, 4)."""
    rows = []
    for n, anchor in enumerate([(1, 2), (3, 1.5)]):
        for cell in range(12):
            box = output[n * 9 : n * 9 + 9].reshape(9, 12)[:, cell]
            scale, scores = box[4], box[5:]
            objectness = scale if scale > thresh else 0
            if hier is None:
                scores = [objectness * score for score in scores]
                scores = [score if score > thresh else 0 for score in scores]
            elif class_map is not None:
                products = multiply_down(scores)[class_map] * scale
                scores = np.zeros(4)
                scores[: len(class_map)] = np.where(products > thresh, products, 0)
            else:
                top = naive_top(multiply_down(scores), hier)
                scores = [objectness if k == top else 0 for k in range(4)]
            rows.append([*place(box, cell, anchor, 4, 3), objectness, *scores])
    return np.array(rows)


def naive_decode_raw(output, thresh, tree=False):
    """AlexeyAB's region_layer.c:get_region_boxes, loop for loop, of one sample (12, 2, 9)."""
    rows = []
    for cell in range(12):
        for n, anchor in enumerate([(1, 2), (3, 1.5)]):
            box = output[cell, n].copy()
            box[:2] = logistic(box[:2])
            scale, scores = box[4], box[5:]
            if tree:
                products, scores = multiply_down(scores), np.zeros(4)
                likely = [k for k in range(4) if products[k] > 0.5]
                if likely and scale > thresh:
                    scores[likely[-1]] = products[likely[-1]]
            else:
                scores = [scale * s if scale * s > thresh else 0 for s in scores]
            rows.append([*place(box, cell, anchor, 4, 3), 1, *scores])
    return np.array(rows)


def check(found, rows):
    assert 0 < np.count_nonzero(found.scores) < found.scores.size
    assert_close(found.boxes, rows[:, :4])
    assert_close(found.objectness, rows[:, 4])
    assert_close(found.scores, rows[:, 5:])


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "x.tree").write_text(TREE)
    return f"tree={tmp_path}/x.tree"


@pytest.mark.parametrize("softmax_key, classes", [(0, logistic), (1, softmax)])
def test_matches_the_c_loops(softmax_key, classes):
    x = ramp(2, *SHAPE) * 2
    network = build(f"{BODY}softmax={softmax_key}", SHAPE, "pjreddie")
    expected = naive_forward(x.numpy(), classes)
    (actual,) = network(x)
    assert_close(actual, expected)
    found = network.heads[0].decode(actual[1], network.image, 0.3, 0.5)
    check(found, naive_decode(expected[1], 0.3))


@pytest.mark.parametrize("softmax_key, classes", [(0, lambda x: x), (1, softmax)])
def test_matches_the_c_loops_of_alexeyab(softmax_key, classes):
    x = ramp(2, *SHAPE) * 2
    network = build(f"{BODY}softmax={softmax_key}", SHAPE, "alexeyab")
    expected = naive_forward_raw(x.numpy(), classes)
    (actual,) = network(x)
    assert_close(actual.flatten(1), expected.reshape(2, -1))
    found = network.heads[0].decode(actual[1], network.image, 0.3, 0.5)
    check(found, naive_decode_raw(expected[1], 0.3))


def test_background_is_a_class_of_the_softmax():
    x = ramp(2, *SHAPE)
    network = build(f"{BODY}softmax=1\nbackground=1", SHAPE, "pjreddie")
    (actual,) = network(x)
    assert_close(actual, naive_forward(x.numpy(), softmax, background=True))
    found = network.heads[0].decode(actual[1], network.image, 0.1, 0.5)
    assert (found.objectness == 1).all()


def test_mask_values_stay_raw():
    x = ramp(2, 22, 3, 4)
    network = build(f"{BODY}coords=6\nsoftmax=1", (22, 3, 4), "pjreddie")
    assert_close(network(x)[0], naive_forward(x.numpy(), softmax, coords=6))


@pytest.mark.parametrize("hier", [0.3, 0.5, 0.8])
def test_a_tree_is_walked_down(tree, hier):
    x = ramp(2, *SHAPE) * 3
    network = build(f"{BODY}{tree}", SHAPE, "pjreddie")
    expected = naive_forward(x.numpy(), tree_softmax)
    (actual,) = network(x)
    assert_close(actual, expected)
    found = network.heads[0].decode(actual[1], network.image, 0.3, hier)
    check(found, naive_decode(expected[1], 0.3, hier))


def test_a_map_scores_its_classes(tree):
    x = ramp(2, *SHAPE) * 3
    network = build(f"{BODY}{tree}", SHAPE, "pjreddie")
    (actual,) = network(x)
    found = network[0].decode(actual[1], network.image, 0.1, 0.5, class_map=[3, 1])
    check(found, naive_decode(actual[1].double().numpy(), 0.1, 0.5, [3, 1]))


def test_a_tree_in_alexeyabs_way(tree):
    x = ramp(2, *SHAPE) * 3
    network = build(f"{BODY}{tree}", SHAPE, "alexeyab")
    expected = naive_forward_raw(x.numpy(), tree_softmax)
    (actual,) = network(x)
    assert_close(actual.flatten(1), expected.reshape(2, -1))
    found = network.heads[0].decode(actual[1], network.image, 0.3, 0.5)
    check(found, naive_decode_raw(expected[1], 0.3, tree=True))


@pytest.mark.filterwarnings("ignore:.*background")
@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
@pytest.mark.parametrize("keys", ["", "softmax=1", "background=1\nsoftmax=1", "tree", "coords=5"])
def test_what_a_gpu_sends_is_what_counts(tree, dialect, keys):
    keys = tree if keys == "tree" else keys
    shape = (20, 3, 4) if "coords" in keys else SHAPE
    network = build(f"{BODY}{keys}", shape, dialect)
    (actual,) = network(ramp(2, *shape) * 3)
    head, output = network.heads[0], actual[1].detach()
    sent = head.copy_likely(output, 0.6)
    assert sent.shape == tuple(output.shape)
    if "softmax" not in keys and dialect == "pjreddie":
        assert (sent == 0).sum() > 10
    whole = head.decode(output, network.image, 0.6, 0.5)
    part = head.decode(torch.from_numpy(sent), network.image, 0.6, 0.5)
    for name in ("boxes", "objectness", "scores"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name))


def test_classfix_drops_boxes_below_one_half():
    x = ramp(1, *SHAPE) * 2
    found = []
    for extra in ("", "classfix=-1"):
        network = build(f"{BODY}softmax=1\n{extra}", SHAPE, "alexeyab")
        found.append(network.heads[0].decode(network(x)[0][0], network.image, 0.05, 0.5))
    scale = build(BODY, SHAPE, "alexeyab")(x)[0].reshape(24, 9)[:, 4].numpy()
    assert (found[1].scores[scale < 0.5] == 0).all()
    np.testing.assert_array_equal(found[1].scores[scale > 0.5], found[0].scores[scale > 0.5])


def test_wrong_filters_say_what_they_should_be():
    with pytest.raises(CfgError) as error:
        build("[region]\nclasses=80\nnum=5", (125, 3, 4))
    expected = "filters=425 expected before [region] with num=5, coords=4 and 80 classes, got 125"
    assert str(error.value) == f"test.cfg:5: [region]: {expected}"


def test_a_tree_of_another_size_is_refused(tree):
    with pytest.raises(CfgError, match=r"holds 4 classes, but classes=5$"):
        build(f"[region]\nclasses=5\nnum=1\n{tree}", (10, 3, 4))


def test_row():
    assert build(BODY, SHAPE)[0].row() == "detection"

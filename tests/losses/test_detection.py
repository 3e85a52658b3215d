"""[detection]'s loss against C's loops, what C computed, and finite differences."""

import numpy as np
import pytest
import torch
from helpers import SHARED, assert_close, build
from losing import lose, step_of

from darknet_py.losses.boxes import box_iou
from darknet_py.network import Network

SIDE, NUM, CLASSES = 3, 2, 4
SIZE = SIDE * SIDE * (CLASSES + NUM * 5)
BODY = f"[detection]\nside={SIDE}\nnum={NUM}\nclasses={CLASSES}\ncoords=4\n"
ALL = "coord_scale=5\nnoobject_scale=.5\nclass_scale=2\nobject_scale=3\n"


def one(*values):
    return torch.tensor([values], dtype=torch.float32)


def data(seed=0):
    random = np.random.default_rng(seed)
    x = random.uniform(0.02, 0.6, (2, SIZE)).astype(np.float32)
    truth = np.zeros((2, SIDE * SIDE, 5 + CLASSES), np.float32)
    for image in range(2):
        for cell in random.choice(SIDE * SIDE, 4 - image, replace=False):
            row = truth[image, cell]
            row[0] = row[1 + random.integers(CLASSES)] = 1
            row[1 + CLASSES :] = [*random.random(2), *random.uniform(0.02, 0.6, 2)]
    return torch.from_numpy(x), torch.from_numpy(truth)


def naive(out, truth, o, forced=False):
    """forward_detection_layer for one image."""
    cells = SIDE * SIDE
    delta = np.zeros_like(out)
    for cell in range(cells):
        first = cells * CLASSES + cell * NUM
        delta[first : first + NUM] = o.noobject_scale * -out[first : first + NUM]
        if not truth[cell, 0]:
            continue
        at, wanted = slice(cell * CLASSES, (cell + 1) * CLASSES), truth[cell, 1 : 1 + CLASSES]
        delta[at] = o.class_scale * (wanted - out[at])
        goal = truth[cell, 1 + CLASSES :]
        box = one(goal[0] / SIDE, goal[1] / SIDE, *goal[2:])
        ious, far = [], []
        for n in range(NUM):
            start = cells * (CLASSES + NUM) + (cell * NUM + n) * 4
            v = out[start : start + 4]
            found = one(v[0] / SIDE, v[1] / SIDE, *(v[2:] ** 2 if o.sqrt else v[2:]))
            ious.append(float(box_iou(found, box)))
            far.append(float((found - box).square().sum()))
        best = int(np.argmax(ious)) if max(ious) > 0 else int(np.argmin(far))
        if forced:
            best = 1 if goal[2] * goal[3] < 0.1 else 0
        aim = ious[best] if o.rescore else 1
        delta[first + best] = o.object_scale * (aim - out[first + best])
        start = cells * (CLASSES + NUM) + (cell * NUM + best) * 4
        sides = np.sqrt(goal[2:]) if o.sqrt else goal[2:]
        aims = np.concatenate([goal[:2], sides])
        delta[start : start + 4] = o.coord_scale * (aims - out[start : start + 4])
    return delta


@pytest.mark.parametrize("extra", ["", ALL, f"{ALL}sqrt=1\nrescore=1\nsoftmax=1\n", "forced=1\n"])
def test_is_cs_loops(extra):
    layer = build(BODY + extra, (SIZE,))[0]
    x, truth = data()
    delta, output = lose(layer, x, truth, (64, 64))
    pairs = zip(output.numpy(), truth.numpy(), strict=True)
    expected = np.stack([naive(out, t, layer.options, "forced" in extra) for out, t in pairs])
    assert_close(delta.values, expected)
    assert float(delta.cost) == pytest.approx((expected**2).sum(), rel=1e-5)
    assert delta.figures["count"] == 7


def test_the_nearest_box_learns_where_none_overlaps():
    layer = build(BODY, (SIZE,))[0]
    x, truth = torch.zeros(1, SIZE), torch.zeros(1, 9, 9)
    truth[0, 4] = torch.tensor([1, 0, 1, 0, 0, 0.5, 0.5, 0.3, 0.3])
    boxes = x[0, 9 * (CLASSES + NUM) :].view(9, NUM, 4)
    boxes[4, 0], boxes[4, 1] = torch.tensor([-9.0, 0, 0.1, 0.1]), torch.tensor([-4.0, 0, 0.1, 0.1])
    delta, _ = lose(layer, x, truth, (64, 64))
    taught = delta.values[0, 9 * (CLASSES + NUM) :].view(9, NUM, 4)
    assert taught[4, 0].abs().sum() == 0
    assert taught[4, 1].abs().sum() > 0


def test_random_draws_the_box_for_64000_images():
    layer = build(BODY + "random=1\n", (SIZE,))[0]
    x, truth = data()
    early = layer.delta([x], x, truth.flatten(1), step_of(layer, (64, 64), 2, seen=63999))
    late = layer.delta([x], x, truth.flatten(1), step_of(layer, (64, 64), 2, seen=64000))
    drawn = torch.from_numpy(np.random.default_rng(0).integers(0, NUM, 7))
    has = truth[..., 0].bool()
    taught = early.values[:, 36:54].view(2, 9, NUM)[has] > 0
    assert taught.long().argmax(1).tolist() == drawn.tolist()
    assert not torch.equal(early.values, late.values)


def test_is_the_gradient_of_half_the_squares():
    """Without softmax; with it the classes' delta passes through as if there were none."""
    layer = build(BODY + ALL, (SIZE,))[0]
    x, truth = data()
    delta, _ = lose(layer, x, truth, (64, 64))
    step, has = delta.values[0], truth[0, :, 0].bool()
    goals, weights = torch.zeros(SIZE), torch.zeros(SIZE)
    weights[:36] = 2 * has.repeat_interleave(CLASSES)
    goals[:36] = truth[0, :, 1:5].flatten()
    learns = step[36:54] > 0
    weights[36:54], goals[36:54] = torch.where(learns, 3.0, 0.5), learns.float()
    weights[54:] = 5 * learns.repeat_interleave(4)
    goals[54:] = truth[0, :, None, 5:].expand(9, NUM, 4).flatten()

    def loss(values):
        return 0.5 * (weights * (goals - values).double().square()).sum()

    for index in range(SIZE):
        low, high = x[0].clone(), x[0].clone()
        low[index] -= 1e-3
        high[index] += 1e-3
        slope = float(loss(high) - loss(low)) / float(high[index] - low[index])
        assert -float(step[index]) == pytest.approx(slope, abs=1e-4)


@pytest.mark.skipif(not (SHARED / "golden").is_dir(), reason="shared/golden is not here")
def test_is_what_c_computed():
    golden = SHARED / "golden" / "pjreddie"
    arrays = np.load(golden / "train" / "yolov1-tiny.npz")
    network = Network.from_cfg(golden / "train" / "cfg" / "yolov1-tiny.cfg", dialect="pjreddie")
    out, truth = (torch.from_numpy(arrays[name])[None] for name in ("out_15", "truth"))
    delta = network[15].delta([out], out, truth, step_of(network[15], (448, 448), 1, seen=1))
    assert_close(delta.values[0], arrays["delta_15"])

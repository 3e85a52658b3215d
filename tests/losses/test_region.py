"""[region]'s loss against C's loops of both forks, what C computed, and finite differences."""

import math

import numpy as np
import pytest
import torch
from helpers import SHARED, assert_close, build
from losing import lose, objects, step_of

from darknet_py.losses.boxes import box_iou
from darknet_py.network import Network

SHAPE = (16, 3, 4)
INPUT = (128, 96)
ANCHORS = [(1.0, 1.5), (2.5, 1.2)]
BODY = "[region]\nnum=2\nclasses=3\nanchors=1,1.5,2.5,1.2\nthresh=.3\n"
SCALES = "coord_scale=2\nobject_scale=5\nnoobject_scale=.7\nclass_scale=1.5\n"
PARENTS = [-1, -1, -1, 0, 0, 1, 1, 3]
TREE = "".join(f"n{i} {parent}\n" for i, parent in enumerate(PARENTS))


def one(*values):
    return torch.tensor([values], dtype=torch.float32)


def logistic(x):
    return 1 / (1 + math.exp(-x))


class Loops:
    """forward_region_layer's loops over one image `(n, entries, h, w)`, x and y squashed."""

    def __init__(self, layer, out, seen):
        self.o, self.layer, self.out, self.seen = layer.options, layer, out, seen
        self.delta = np.zeros_like(out)
        self.alexeyab = layer.dialect.name == "alexeyab"
        self.size = (out.shape[3], out.shape[2])
        self.iou = self.count = 0

    def slope(self, y):
        return y * (1 - y) if self.alexeyab else 1

    def box(self, n, row, column):
        v = self.out[n, :, row, column]
        w, h = (math.exp(v[2 + i]) * ANCHORS[n][i] / self.size[i] for i in (0, 1))
        return (column + v[0]) / self.size[0], (row + v[1]) / self.size[1], w, h

    def teach_classes(self, n, row, column, number):
        v, d = self.out[n, 5:, row, column], self.delta[n, 5:, row, column]
        o, classes = self.o, len(v)
        if self.layer.tree is not None:
            while number >= 0:
                for rival in range(classes):
                    if PARENTS[rival] == PARENTS[number]:
                        d[rival] = o.class_scale * ((rival == number) - v[rival])
                number = PARENTS[number]
        elif d[0] and not o.softmax and not self.alexeyab:
            d[number] = o.class_scale * (1 - v[number])
        else:
            d[:] = o.class_scale * (np.eye(classes)[number] - v)

    def run(self, truth):
        o = self.o
        for n, row, column in np.ndindex(2, *self.out.shape[2:]):
            v, d = self.out[n, :, row, column], self.delta[n, :, row, column]
            best = max(float(box_iou(one(*self.box(n, row, column)), one(*t[:4]))) for t in truth)
            goal = best if self.alexeyab and o.classfix == -1 else int(o.background)
            d[4] = o.noobject_scale * (goal - v[4]) * self.slope(v[4])
            if best > o.thresh and not (self.alexeyab and o.classfix == -1):
                d[4] = 0
            if self.seen < 12800:
                for i in (0, 1):
                    d[i] = 0.01 * (0.5 - v[i]) * self.slope(v[i])
                    d[2 + i] = 0.01 * (0 - v[2 + i])
        for x, y, w, h, label in truth[:, :5]:
            column, row = int(x * self.size[0]), int(y * self.size[1])
            shapes = [self.box(n, row, column)[2:] for n in range(2)]
            if o.bias_match:
                shapes = [(a[0] / self.size[0], a[1] / self.size[1]) for a in ANCHORS]
            n = int(np.argmax([float(box_iou(one(0, 0, *s), one(0, 0, w, h))) for s in shapes]))
            v, d = self.out[n, :, row, column], self.delta[n, :, row, column]
            iou = float(box_iou(one(*self.box(n, row, column)), one(x, y, w, h)))
            self.iou, self.count = self.iou + iou, self.count + 1
            scale = o.coord_scale * (1 if self.alexeyab else 2 - w * h)
            d[0] = scale * (x * self.size[0] - column - v[0]) * self.slope(v[0])
            d[1] = scale * (y * self.size[1] - row - v[1]) * self.slope(v[1])
            for i, side in enumerate((w, h)):
                d[2 + i] = scale * (math.log(side * self.size[i] / ANCHORS[n][i]) - v[2 + i])
            goal = 0 if o.background else iou if o.rescore else 1
            d[4] = o.object_scale * (goal - v[4]) * self.slope(v[4])
            self.teach_classes(n, row, column, int(label))


def planes(layer, output):
    """The output as `(batch, n, entries, h, w)`, x and y squashed."""
    batch, _, height, width = output.shape
    if layer.dialect.name == "pjreddie":
        return output.double().view(batch, 2, -1, height, width).clone()
    out = output.double().view(batch, height, width, 2, -1).permute(0, 3, 4, 1, 2).clone()
    out[:, :, :2] = out[:, :, :2].sigmoid()
    return out


def compare(layer, seen=20000, classes=3):
    values = 6 if layer.dialect.name == "alexeyab" else 5
    truth = objects(2, values, limit=30, classes=classes)
    channels = 2 * (5 + classes)
    x = torch.from_numpy(np.random.default_rng(4).normal(0, 1, (2, channels, 3, 4)))
    delta, output = lose(layer, x.float(), truth, INPUT, seen=seen)
    loops = []
    for out, listed in zip(planes(layer, output), truth, strict=True):
        loops.append(Loops(layer, out.numpy(), seen))
        loops[-1].run(listed[listed[:, 0] != 0].double().numpy())
    raw = np.stack([loop.delta for loop in loops])
    assert_close((delta.values if delta.raw is None else delta.raw).flatten(), raw.flatten())
    assert float(delta.cost) == pytest.approx((raw**2).sum(), rel=1e-5)
    count = sum(loop.count for loop in loops)
    assert delta.figures["count"] == count
    assert delta.figures["iou"] == pytest.approx(sum(p.iou for p in loops) / count, rel=1e-5)
    return delta, output, raw


@pytest.mark.parametrize("seen", [12799, 12800])
@pytest.mark.parametrize("extra", ["", f"softmax=1\n{SCALES}", "rescore=1\nbias_match=1\n"])
@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_is_cs_loops(dialect, extra, seen):
    compare(build(BODY + extra, SHAPE, dialect)[0], seen)


def test_background_is_a_class():
    compare(build(f"{BODY}softmax=1\nbackground=1\n", SHAPE, "pjreddie")[0])


def test_classfix_teaches_background_its_overlap():
    compare(build(f"{BODY}softmax=1\nclassfix=-1\n", SHAPE, "alexeyab")[0])


def with_tree(folder, dialect):
    (folder / "t.tree").write_text(TREE)
    cfg = folder / "t.cfg"
    body = BODY.replace("classes=3", "classes=8")
    cfg.write_text(f"[net]\nchannels=26\nheight=3\nwidth=4\n{body}tree=t.tree\nsoftmax=1\n")
    return Network.from_cfg(cfg, dialect=dialect)[0]


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_a_tree_is_taught_along_the_path(dialect, tmp_path):
    compare(with_tree(tmp_path, dialect), classes=8)


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_an_object_without_a_place_teaches_the_likeliest_box(dialect, tmp_path):
    layer = with_tree(tmp_path, dialect)
    values = 6 if dialect == "alexeyab" else 5
    truth = torch.zeros(1, 30, values)
    truth[0, 0, :5] = torch.tensor([200000, 200000, 1, 1, 7])
    x = torch.from_numpy(np.random.default_rng(4).normal(0, 1, (1, 26, 3, 4))).float()
    delta, output = lose(layer, x, truth, INPUT)
    out = planes(layer, output)[0]
    chance = out[:, 4] * out[:, 5] * out[:, 5 + 3] * out[:, 5 + 7]
    expected = torch.zeros(2, 13, 3, 4, dtype=torch.float64)
    if dialect == "pjreddie":
        expected[:, 4] = -out[:, 4]
    n, row, column = np.unravel_index(int(chance.argmax()), (2, 3, 4))
    path = {0: [0, 1, 2], 3: [3, 4], 7: [7]}
    for node, rivals in path.items():
        for rival in rivals:
            at = (n, 5 + rival, row, column)
            expected[at] = float(rival == node) - out[at]
    expected[n, 4, row, column] = 0
    assert_close(
        (delta.raw if delta.raw is not None else delta.values).flatten(), expected.flatten()
    )


def test_pjreddie_looks_at_30_objects_whatever_max_says():
    layer = build(f"{BODY}max=60\n", SHAPE, "pjreddie")[0]
    truth = torch.zeros(1, 40, 5)
    truth[0, :35] = torch.tensor([0.5, 0.5, 0.3, 0.4, 1])
    assert lose(layer, torch.zeros(1, *SHAPE), truth, INPUT)[0].figures["count"] == 30


def test_masks_start_at_the_class():
    body = BODY.replace("num=2", "num=1\ncoords=6\nmask_scale=2.7")
    layer = build(body, (10, 3, 4), "pjreddie")[0]
    truth = torch.zeros(1, 30, 7)
    truth[0, 0] = torch.tensor([0.6, 0.5, 0.3, 0.4, 0.7, 0.9, 1])
    delta, output = lose(layer, torch.zeros(1, 10, 3, 4), truth, INPUT)
    assert_close(delta.values[0, 4:6, 1, 2], 2 * (truth[0, 0, 5:7] - output[0, 4:6, 1, 2]))


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_is_the_gradient_of_half_the_squares_and_of_cross_entropy(dialect):
    """Squares of coordinates and objectness through the logistic function, entropy of classes."""
    layer = build(f"{BODY}softmax=1\nbias_match=1\n".replace("=.3", "=2"), SHAPE, dialect)[0]
    x = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(3))
    truth = torch.zeros(1, 30, 6 if dialect == "alexeyab" else 5)
    truth[0, 0, :5] = torch.tensor([0.6, 0.5, 0.7, 0.4, 1])
    delta, _ = lose(layer, x, truth, INPUT)

    def loss(x):
        out = planes(layer, layer(x.view(1, *SHAPE)))[0]
        mine, goal = out[1, :, 1, 2], torch.zeros(2, 3, 4)
        goal[1, 1, 2] = 1
        sides = torch.tensor([0.7 * 4 / 2.5, 0.4 * 3 / 1.2]).log()
        aims = torch.cat([torch.tensor([0.6 * 4 - 2, 0.5 * 3 - 1]), sides])
        scale = 1 if dialect == "alexeyab" else 2 - 0.7 * 0.4
        squares = (goal - out[:, 4]).square().sum() + scale * (aims - mine[:4]).square().sum()
        return 0.5 * squares - mine[6].log()

    for index in range(x.numel()):
        low, high = x.clone().view(-1), x.clone().view(-1)
        low[index] -= 2e-3
        high[index] += 2e-3
        slope = float(loss(high) - loss(low)) / float(high[index] - low[index])
        assert -float(delta.values.flatten()[index]) == pytest.approx(slope, abs=3e-4)


@pytest.mark.skipif(not (SHARED / "golden").is_dir(), reason="shared/golden is not here")
def test_is_what_c_computed():
    golden = SHARED / "golden" / "pjreddie"
    arrays = np.load(golden / "train" / "yolov2-tiny_gpu.npz")
    network = Network.from_cfg(golden / "train" / "cfg" / "yolov2-tiny_gpu.cfg", dialect="pjreddie")
    out = torch.from_numpy(arrays["out_15"]).view(1, 425, 13, 13)
    truth = torch.from_numpy(arrays["truth"])[None]
    delta = network[15].delta([out], out, truth, step_of(network[15], (416, 416), 1, seen=1))
    assert_close(delta.raw.flatten(), arrays["delta_15"])

"""[yolo]'s loss against C's loops, against what C computed, and against finite differences."""

import itertools

import numpy as np
import pytest
import torch
from helpers import SHARED, assert_close, build
from losing import lose, objects, step_of
from yolo_loops import SIDES, Loops

from darknet_py.network import Network

SHAPE = (24, 3, 4)
BODY = f"[yolo]\nmask=1,2,4\nnum=5\nclasses=3\nanchors={','.join(f'{w},{h}' for w, h in SIDES)}\n"
INPUT = (128, 96)  # the boxes' truth is relative to it; the network's own input is the head's
EVERYTHING = (
    "ignore_thresh=.3\ntruth_thresh=.45\nobjectness_smooth=1\nlabel_smooth_eps=.1\nmax_delta=5\n"
    "counters_per_class=100,10,3\niou_normalizer=.07\nobj_normalizer=.4\ncls_normalizer=.5\n"
    "scale_x_y=1.2\niou_thresh=.2\n"
)


def compare(extra, dialect, *, raw=False):
    """The layer's delta and cost beside the loops'."""
    head = build(BODY + extra, SHAPE, dialect)[0]
    x = torch.from_numpy(np.random.default_rng(5).normal(0, 1, (2, *SHAPE)).astype(np.float32))
    x = x.sigmoid() if raw else x
    values = 5 if dialect == "pjreddie" else 6
    truth = objects(2, values, limit=20, classes=3)
    delta, output = lose(head, x, truth, INPUT)
    out = output.double().numpy().reshape(2, 3, 8, *SHAPE[1:])
    loops = [Loops(head, out[b], INPUT) for b in range(2)]
    for b, loop in enumerate(loops):
        listed = truth[b][truth[b][:, 0] != 0].numpy().astype(float)
        loop.background(listed)
        loop.objects(listed)
    expected = np.stack([loop.delta for loop in loops]).reshape(x.shape)
    assert_close(delta.values / delta.values.abs().max(), expected / np.abs(expected).max())
    counted = sum(loop.count for loop in loops)
    assert delta.figures["count"] == counted
    assert delta.figures["iou"] == pytest.approx(sum(p.iou for p in loops) / counted, rel=1e-5)
    assert delta.figures["rewritten"] == sum(p.rewritten for p in loops)
    return delta, expected.reshape(2, 3, 8, *SHAPE[1:]), loops


@pytest.mark.parametrize("extra", ["", "ignore_thresh=.3\n", "ignore_thresh=.3\ntruth_thresh=.4\n"])
def test_is_pjreddies_loop_for_loop(extra):
    delta, expected, _ = compare(extra, "pjreddie")
    assert float(delta.cost) == pytest.approx((expected**2).sum(), rel=1e-5)


LOSSES = ["mse", "iou", "giou", "diou", "ciou"]


@pytest.mark.parametrize(
    "loss, extra",
    [
        *itertools.product(LOSSES, ["", "iou_thresh=.2\niou_thresh_kind=giou\n", EVERYTHING]),
        ("mse", "focal_loss=1\n"),
        ("mse", "iou_thresh=.1\niou_thresh_kind=ciou\nignore_thresh=.1\n"),
        ("iou", "iou_thresh=.1\niou_thresh_kind=diou\nmax_delta=.05\n"),
    ],
)
def test_is_alexeyabs_loop_for_loop(loss, extra):
    delta, expected, loops = compare(f"iou_loss={loss}\n{extra}", "alexeyab")
    weight = 0.07 if extra == EVERYTHING else 0.75
    cost = (expected**2).sum()
    if loss != "mse":
        lost = sum(p.count - (p.giou if loss == "giou" else p.iou) for p in loops)
        rest = (expected[:, :, 4:] ** 2).sum() * (0.4 if extra == EVERYTHING else 1)
        cost = weight * lost / sum(p.count for p in loops) + rest
    assert float(delta.cost) == pytest.approx(cost, rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_new_coords(loss):
    compare(f"iou_loss={loss}\nnew_coords=1\nscale_x_y=2\niou_thresh=.2\n", "alexeyab", raw=True)


def test_delta_normalizer_scales_what_goes_back():
    truth = objects(2, 6, limit=20, classes=3)
    x = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(1))
    plain, _ = lose(build(BODY, SHAPE, "alexeyab")[0], x, truth, INPUT)
    scaled, _ = lose(build(BODY + "delta_normalizer=.3", SHAPE, "alexeyab")[0], x, truth, INPUT)
    assert_close(scaled.raw, plain.values)
    assert_close(scaled.values, plain.values * 0.3)
    assert float(scaled.cost) == float(plain.cost)


def test_without_objects_all_is_background():
    head = build(BODY, SHAPE, "alexeyab")[0]
    x = torch.zeros(2, *SHAPE)
    delta, output = lose(head, x, torch.zeros(2, 20, 6), INPUT)
    expected = torch.zeros_like(x).view(2, 3, 8, 3, 4)
    expected[:, :, 4] = -output.view(2, 3, 8, 3, 4)[:, :, 4]
    assert_close(delta.values, expected.view_as(x))
    assert delta.figures["count"] == 1  # as AlexeyAB prints it


def test_labels_beyond_the_classes_are_left_out():
    truth = torch.zeros(1, 20, 6)
    truth[0, 0] = torch.tensor([0.5, 0.5, 0.7, 0.5, 3, 0])
    truth[0, 1] = torch.tensor([0.3, 0.5, 0.7, 0.5, 2, 0])
    delta, _ = lose(build(BODY, SHAPE, "alexeyab")[0], torch.zeros(1, *SHAPE), truth, INPUT)
    assert delta.figures["taught"] == 1


def test_an_objectness_that_is_no_number_shows_in_the_cost():
    x = torch.zeros(1, *SHAPE)
    x[0, 4, 1, 1] = float("nan")
    delta, _ = lose(build(BODY, SHAPE, "alexeyab")[0], x, objects(1, 6, limit=20, classes=3), INPUT)
    assert float(delta.cost) != float(delta.cost)


def test_a_centre_on_the_right_border_teaches_the_next_row():
    truth = torch.zeros(1, 20, 5)
    truth[0, 0] = torch.tensor([1.0, 0.4, 0.3, 0.6, 1])
    delta, _ = lose(build(BODY, SHAPE, "pjreddie")[0], torch.zeros(1, *SHAPE), truth, INPUT)
    taught = delta.values.view(3, 8, 3, 4)[:, 5:].abs().sum(1).nonzero()
    assert taught[:, 1:].tolist() == [[2, 0]]


def test_a_map_names_the_heads_classes(tmp_path):
    (tmp_path / "t.map").write_text("2\n0\n1\n")
    cfg = tmp_path / "t.cfg"
    cfg.write_text(f"[net]\nchannels=24\nheight=3\nwidth=4\n{BODY}map=t.map\n")
    head = Network.from_cfg(cfg, dialect="alexeyab")[0]
    truth = torch.zeros(1, 20, 6)
    truth[0, 0] = torch.tensor([0.5, 0.5, 0.4, 0.7, 0, 0])
    delta, _ = lose(head, torch.zeros(1, *SHAPE), truth, INPUT)
    positive = (delta.values.view(3, 8, 3, 4)[:, 5:] > 0).nonzero()
    assert positive[:, 1].tolist() == [2]


def test_pjreddie_reads_labels_by_the_map_alone(tmp_path):
    (tmp_path / "t.map").write_text("2\n0\n1\n1\n1\n")
    cfg = tmp_path / "t.cfg"
    cfg.write_text(f"[net]\nchannels=24\nheight=3\nwidth=4\n{BODY}map=t.map\n")
    counts = []
    for dialect, values in (("pjreddie", 5), ("alexeyab", 6)):
        head = Network.from_cfg(cfg, dialect=dialect)[0]
        truth = torch.zeros(1, 20, values)
        truth[0, 0, :5] = torch.tensor([0.5, 0.5, 0.7, 0.5, 4])
        counts.append(lose(head, torch.zeros(1, *SHAPE), truth, INPUT)[0].figures["taught"])
    assert counts == [1, 0]


def test_tracks_are_marked_where_the_best_anchor_is():
    head = build(BODY + "iou_thresh=.1", SHAPE, "alexeyab")[0]
    truth = torch.zeros(1, 20, 6)
    truth[0, 0] = torch.tensor([0.6, 0.5, 0.31, 0.6, 1, 7])
    step = step_of(head, INPUT, 1)
    x = torch.zeros(1, *SHAPE)
    head.delta([x], head(x), truth.flatten(1), step)
    tracks, classes = step.marks[0]
    assert tracks[0].nonzero().numel() == tracks.numel()
    assert (tracks[0] == 7).nonzero().tolist() == [[6]]
    assert classes[0, 6] == 1


def test_adversarial_steps_undo_what_is_seen():
    head = build(BODY, SHAPE, "alexeyab")[0]
    x = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(2)) * 2
    delta, output = lose(head, x, torch.zeros(1, 20, 6), INPUT, adversarial=True)
    out, step = output.view(3, 8, 3, 4), delta.values.view(3, 8, 3, 4)
    sides = torch.tensor([SIDES[n] for n in (1, 2, 4)])[:, :, None, None]
    area = (out[:, 2].exp() * sides[:, 0] / 128) * (out[:, 3].exp() * sides[:, 1] / 96)
    scale = area.sqrt()
    assert_close(step[:, 4], -scale * out[:, 4])
    seen = out[:, 5:] * out[:, 4:5] > 0.25
    found = seen.any(1, keepdim=True)
    classes = torch.where(seen, -out[:, 5:], 1 - out[:, 5:]) * scale[:, None]
    assert_close(step[:, 5:], torch.where(found, classes, 0.0))
    assert_close(step[:, :4], torch.where(found, -out[:, :4] * scale[:, None], 0.0))


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_mse_is_the_gradient_of_cross_entropy_and_of_half_the_squares(dialect):
    """Of x, y, objectness and classes cross entropy, of w and h squares, each with its weight."""
    extra = "ignore_thresh=2\n" + ("iou_normalizer=1\n" if dialect == "alexeyab" else "")
    head = build(BODY + extra, SHAPE, dialect)[0]
    x = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(3))
    truth = torch.zeros(1, 20, 5 if dialect == "pjreddie" else 6)
    box = torch.tensor([0.6, 0.5, 0.7, 0.5])
    truth[0, 0, :4], truth[0, 0, 4] = box, 1
    delta, _ = lose(head, x, truth, INPUT)

    def loss(x):
        out = head(x.view(1, *SHAPE)).double().view(3, 8, 3, 4)
        mine = out[1, :, 1, 2]  # of the anchor 90, 50 in the object's cell
        goal = torch.zeros(3, 3, 4, dtype=torch.float64)
        goal[1, 1, 2] = 1
        far = entropy(out[:, 4], goal).sum() + entropy(mine[5:], torch.tensor([0.0, 1, 0])).sum()
        scale = 2 - box[2] * box[3]
        far += scale * entropy(mine[:2], torch.tensor([0.6 * 4 - 2, 0.5 * 3 - 1])).sum()
        sides = torch.tensor([0.7 * 128 / 90, 0.5 * 96 / 50]).log()
        return far + scale * 0.5 * (sides - mine[2:4]).square().sum()

    where = delta.values.view(-1).abs().argsort(descending=True)[:30].tolist()
    check_gradient(loss, x, delta.values, where)


def entropy(out, goal):
    return -(goal * out.log() + (1 - goal) * (1 - out).log())


def check_gradient(loss, x, values, where):
    step = 2e-3
    for index in where:
        low, high = x.clone().view(-1), x.clone().view(-1)
        low[index] -= step
        high[index] += step
        slope = float(loss(high) - loss(low)) / float(high[index] - low[index])
        assert -float(values.view(-1)[index]) == pytest.approx(slope, rel=2e-3, abs=1e-4)


@pytest.mark.skipif(not (SHARED / "golden").is_dir(), reason="shared/golden is not here")
def test_is_what_c_computed():
    golden = SHARED / "golden" / "pjreddie"
    arrays = np.load(golden / "train" / "yolov3-tiny.npz")
    network = Network.from_cfg(golden / "train" / "cfg" / "yolov3-tiny.cfg", dialect="pjreddie")
    head = network[16]
    out = torch.from_numpy(arrays["out_16"]).view(1, 255, 13, 13)
    truth = torch.from_numpy(arrays["truth"])[None]
    delta = head.delta([out], out, truth, step_of(head, (416, 416), 1))
    assert_close(delta.values.flatten(), arrays["delta_16"])

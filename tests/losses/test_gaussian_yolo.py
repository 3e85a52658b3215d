"""[Gaussian_yolo]'s loss against C's formulas, one box at a time."""

import math

import numpy as np
import pytest
import torch
from helpers import assert_close, build
from losing import lose, objects

from darknet_py.losses.boxes import box_iou, overlap_gradient

SHAPE = (24, 3, 4)
INPUT = (128, 96)
SIDES = [(90, 50), (40, 70)]
BODY = "[Gaussian_yolo]\nmask=0,1\nnum=2\nclasses=3\nanchors=90,50,40,70\nignore_thresh=.3\n"
HALF = {"center": 0.0, "left_top": 0.5, "right_bottom": -0.5}


def one(*values):
    return torch.tensor([values], dtype=torch.float32)


def naive(out, truth, loss, point, thresh):
    """forward_gaussian_yolo_layer for one image `(n, entries, h, w)`."""
    half, delta = HALF[point], np.zeros_like(out)
    (width, height), count = (out.shape[3], out.shape[2]), 0

    def place(v, n, column, row):
        w, h = math.exp(v[4]) * SIDES[n][0] / INPUT[0], math.exp(v[6]) * SIDES[n][1] / INPUT[1]
        return (column + v[0]) / width + half * w, (row + v[2]) / height + half * h, w, h

    for n, row, column in np.ndindex(2, height, width):
        v = out[n, :, row, column]
        box = place(v, n, column, row)
        best = max(float(box_iou(one(*box), one(*t[:4]))) for t in truth)
        delta[n, 8, row, column] = 0 if best > 0.3 and max(v[9:]) > 0.25 else -v[8]
    for x, y, w, h, label in truth[:, :5]:
        column, row = int((x - half * w) * width), int((y - half * h) * height)
        if half:
            column, row = min(max(column, 0), width - 1), min(max(row, 0), height - 1)
        shapes = [box_iou(one(0, 0, a / INPUT[0], b / INPUT[1]), one(0, 0, w, h)) for a, b in SIDES]
        best = int(np.argmax([float(s) for s in shapes]))
        for n in {best} | {n for n in range(2) if shapes[n] > thresh}:
            count += 1
            v, d = out[n, :, row, column], delta[n, :, row, column]
            goal = [(x - half * w) * width - column, (y - half * h) * height - row]
            goal += [math.log(w * INPUT[0] / SIDES[n][0]), math.log(h * INPUT[1] / SIDES[n][1])]
            steps, unsure = [], []
            for k in range(4):
                sigma = v[2 * k + 1]
                off = (goal[k] - v[2 * k]) / sigma
                density = math.exp(-off * off / 2) / (math.sqrt(2 * math.pi) * (sigma + 0.3))
                share = 0.5 / (density + 1e-9) * density * (2 - w * h)
                steps.append(share * off / sigma)
                unsure.append(share * (off * off / sigma - 1 / (sigma + 0.3)))
            if loss != "mse":
                g = overlap_gradient(one(*place(v, n, column, row)), one(x, y, w, h), loss)
                g = g[0].tolist()
                steps = [g[0] - half * g[2], g[1] - half * g[3]]
                steps += [g[2] * math.exp(v[4]), g[3] * math.exp(v[6])]
            for k in range(4):
                d[2 * k] += 0.75 * steps[k]
                d[2 * k + 1] += unsure[k]
            d[8] = 1 - v[8]
            if d[9]:
                d[9 + int(label)] = 1 - v[9 + int(label)]
            else:
                d[9:] = np.eye(3)[int(label)] - v[9:]
    for n, row, column in np.ndindex(2, height, width):
        d = delta[n, :, row, column]
        d[:8] /= max((d[9:] > 0).sum(), 1)
    return delta, count


@pytest.mark.parametrize("point", HALF)
@pytest.mark.parametrize("loss", ["mse", "giou", "ciou"])
def test_is_cs_formula(loss, point):
    body = f"{BODY}iou_loss={loss}\nyolo_point={point}\niou_thresh=.2\n"
    head = build(body, SHAPE, "alexeyab")[0]
    x = torch.from_numpy(np.random.default_rng(2).normal(0, 1, (2, *SHAPE)).astype(np.float32))
    truth = objects(2, 6, limit=20, classes=3)
    delta, output = lose(head, x, truth, INPUT)
    out = output.double().numpy().reshape(2, 2, 12, 3, 4)
    listed = [t[t[:, 0] != 0].double().numpy() for t in truth]
    found = [naive(out[b], listed[b], loss, point, 0.2) for b in range(2)]
    expected = np.stack([d for d, _ in found]).reshape(x.shape)
    assert_close(delta.values / np.abs(expected).max(), expected / np.abs(expected).max())
    assert float(delta.cost) == pytest.approx((expected**2).sum(), rel=1e-5)
    assert delta.figures["count"] == sum(count for _, count in found)


def test_objectness_smooth_teaches_boxes_on_an_object_its_class():
    head = build(BODY + "objectness_smooth=1\n", SHAPE, "alexeyab")[0]
    x = torch.zeros(1, *SHAPE)
    truth = torch.zeros(1, 20, 6)
    truth[0, 0] = torch.tensor([0.5, 0.5, 0.7, 0.5, 1, 0])
    delta, _ = lose(head, x, truth, INPUT)
    beside = delta.values.view(2, 12, 3, 4)[0, :, 1, 1]  # overlaps, but is not the object's cell
    box = one(1.5 / 4, 1.5 / 3, 90 / 128, 50 / 96)
    iou = float(box_iou(box, truth[0, :1, :4]))
    assert iou > 0.3
    assert_close(beside[8:], torch.tensor([iou * iou - 0.5, -0.5, 0.5, -0.5]))

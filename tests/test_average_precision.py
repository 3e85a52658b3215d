"""Average precision: the C program's loops in plain Python against ours, and its printed text."""

import math
import random

import numpy as np
import pytest
from helpers import SHARED

from darknet_py.boxes import Detections, box_iou
from darknet_py.errors import DarknetError
from darknet_py.evaluation.average_precision import (
    PrecisionCounter,
    area_under_curve,
    average_precision,
    mean_average_precision,
)
from darknet_py.evaluation.report import format_heads, format_map, map_dict

NAMES = ["cat", "dog", "owl"]


def data(seed, images=12):
    """Pictures with objects, and boxes near them or anywhere."""
    r = np.random.default_rng(seed)
    pictures = []
    for _ in range(images):
        count = int(r.integers(0, 6))
        places, sides = r.uniform(0.2, 0.8, (count, 2)), r.uniform(0.1, 0.4, (count, 2))
        truths = np.column_stack([r.integers(0, 3, count), places, sides]).astype(np.float32)
        near = np.repeat(truths[:, 1:], 3, 0) + r.normal(0, 0.03, (3 * count, 4))
        boxes = np.concatenate([near, r.uniform(0.1, 0.6, (4, 4))]).astype(np.float32)
        scores = r.random((len(boxes), 3)).astype(np.float32)
        scores[scores < 0.4] = 0
        scores = np.round(scores, 1)  # equal ones, too
        pictures.append((Detections(boxes, scores.max(1), scores), truths))
    return pictures


def c_figures(pictures, thresh, iou_thresh, points, hard):
    """The loops of validate_detector_map, one box at a time."""
    found, unique, tp, fp = [], 0, [0] * 3, [0] * 3
    total, truths_of = np.float32(0), [0] * 3
    for detections, truths in pictures:
        start = len(found)
        for truth in truths:
            truths_of[int(truth[0])] += 1
        for box, scores in zip(detections.boxes, detections.scores, strict=True):
            for class_id in range(3):
                if scores[class_id] <= 0:
                    continue
                best, index = np.float32(0), -1
                for j, truth in enumerate(truths):
                    iou = box_iou(box, truth[1:])
                    if iou > np.float32(iou_thresh) and truth[0] == class_id and iou > best:
                        best, index = iou, unique + j
                found.append([scores[class_id], class_id, index])
                kept = True
                if index < 0:
                    for other in hard:
                        iou = box_iou(box, other[1:])
                        if iou > np.float32(iou_thresh) and other[0] == class_id:
                            found.pop()
                            kept = False
                            break
                if scores[class_id] > np.float32(thresh):
                    before = found[start : -1 if kept else len(found)]
                    if index > -1 and not any(other[2] == index for other in before):
                        total = total + best
                        tp[class_id] += 1
                    else:
                        fp[class_id] += 1
        unique += len(truths)
    found.sort(key=lambda row: -row[0])
    taken, curves = set(), [[], [], []]
    counts = [[0, 0] for _ in NAMES]
    for _, class_id, index in found:
        right = index > -1 and index not in taken
        taken.add(index)
        counts[class_id][0 if right else 1] += 1
        for i, (t, f) in enumerate(counts):
            curves[i].append((t / (t + f) if t + f else 0, t / truths_of[i] if truths_of[i] else 0))
    means = []
    for curve in curves:
        if points:
            steps = [k * 1.0 / (points - 1) for k in range(points)]
            means.append(
                sum(max([p for p, r in curve if r >= s], default=0) for s in steps) / points
            )
            continue
        area, (last_precision, last_recall) = 0, curve[-1]
        for precision, recall in reversed(curve[:-1]):
            delta, last_recall = last_recall - recall, recall
            last_precision = max(last_precision, precision)
            area += delta * last_precision
        means.append(area + last_recall * last_precision)
    iou = total / np.float32(sum(tp) + sum(fp))
    return means, tp, fp, unique, len(found), float(iou)


@pytest.mark.parametrize("points", [0, 11, 101])
@pytest.mark.parametrize("with_difficult", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_figure_is_that_of_cs_loops(points, with_difficult, seed):
    pictures = data(seed)
    hard = np.array([[0, 0.5, 0.5, 0.5, 0.5], [1, 0.4, 0.4, 0.4, 0.4]], np.float32)
    hard = hard if with_difficult else hard[:0]
    counter = PrecisionCounter(NAMES, thresh=0.65, iou_thresh=0.3)
    for found, truths in pictures:
        counter.add(found, truths, hard)
    report = counter.report(points)
    means, tp, fp, unique, count, iou = c_figures(pictures, 0.65, 0.3, points, hard)
    assert [c.average_precision for c in report.classes] == pytest.approx(means, abs=1e-12)
    assert report.mean_average_precision == pytest.approx(sum(means) / 3)
    assert [c.true_positives for c in report.classes] == tp
    assert [c.false_positives for c in report.classes] == fp
    assert (report.truths, report.detections) == (unique, count)
    assert report.average_iou == pytest.approx(iou, rel=1e-6)
    assert report.false_negatives == unique - sum(tp)
    assert report.recall == pytest.approx(sum(tp) / unique)
    assert report.precision == pytest.approx(sum(tp) / (sum(tp) + sum(fp)))


def test_the_report_is_cs_text():
    boxes = np.array([[0.5, 0.5, 0.2, 0.2], [0.2, 0.2, 0.1, 0.1]], np.float32)
    found = Detections(boxes, np.ones(2, np.float32), np.array([[0.9, 0], [0.3, 0]], np.float32))
    truths = np.array([[0, 0.5, 0.5, 0.2, 0.2], [1, 0.8, 0.8, 0.1, 0.1]], np.float32)
    report = mean_average_precision([found], [truths], ["a", "b"])
    heads = [(3, "yolo"), (7, "Gaussian_yolo"), (9, "detection")]
    assert (format_heads(heads) + format_map(report)).splitlines() == [
        "",
        " calculation mAP (mean average precision)...",
        " Detection layer: 3 - type = 28 ",
        " Detection layer: 7 - type = 29 ",
        "",
        " detections_count = 2, unique_truth_count = 2  ",
        "class_id = 0, name = a, ap = 100.00%   \t (TP = 1, FP = 1) ",
        "class_id = 1, name = b, ap = 0.00%   \t (TP = 0, FP = 0) ",
        "",
        " for conf_thresh = 0.25, precision = 0.50, recall = 0.50, F1-score = 0.50 ",
        " for conf_thresh = 0.25, TP = 1, FP = 1, FN = 1, average IoU = 50.00 % ",
        "",
        " IoU threshold = 50 %, used Area-Under-Curve for each unique Recall ",
        " mean average precision (mAP@0.50) = 0.500000, or 50.00 % ",
        "",
        "Set -points flag:",
        " `-points 101` for MS COCO ",
        " `-points 11` for PascalVOC 2007 (uncomment `difficult` in voc.data) ",
        " `-points 0` (AUC) for ImageNet, PascalVOC 2010-2012, your custom dataset",
    ]


def test_nothing_found_is_no_error():
    empty = Detections(np.empty((0, 4)), np.empty(0), np.empty((0, 2)))
    report = mean_average_precision([empty], [np.empty((0, 5))], ["a", "b"], points=11)
    assert report.mean_average_precision == 0
    assert math.isnan(report.precision) and map_dict(report)["precision"] is None
    assert "precision = -nan, recall = -nan" in format_map(report)
    assert "used 11 Recall-points" in format_map(report, hint=False)


def test_points_must_be_some():
    with pytest.raises(DarknetError) as error:
        PrecisionCounter(["a"]).report(1)
    assert str(error.value) == "points must be 0 or at least 2 (11 and 101 are), got 1"


def test_the_area_takes_the_better_end_of_each_step():
    found = np.array([True, False, True, False, False, True])
    # precision 1, 1/2, 2/3, 1/2, 2/5, 1/2 at recall 1/4, 1/4, 2/4, 2/4, 2/4, 3/4
    assert area_under_curve(found, 4) == pytest.approx((1 + 2 / 3 + 1 / 2) / 4)
    assert average_precision(found, 4) == pytest.approx((1 + 2 / 3 + 1 / 2) / 4)
    steep = np.array([True, True, True])
    assert average_precision(steep, 4) == pytest.approx(0.75)
    falling = np.array([True, False, False, True])
    assert area_under_curve(falling, 2) == pytest.approx(0.5 + 0.25)
    assert average_precision(falling, 2) == pytest.approx(0.5 + 0.25)
    last = np.array([True, False, True])
    assert average_precision(last, 2, 11) == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)


def test_the_order_of_pictures_only_matters_between_equal_scores():
    pictures = data(5)
    r = np.random.default_rng(9)
    for found, _ in pictures:
        found.scores[:] = (found.scores > 0) * r.random(found.scores.shape)
    shuffled = list(pictures)
    random.Random(1).shuffle(shuffled)
    a, b = (mean_average_precision(*zip(*p, strict=True), NAMES) for p in (pictures, shuffled))
    assert a.mean_average_precision == pytest.approx(b.mean_average_precision)


BCCD = SHARED / "models" / "bccd-yolo-fastest"


@pytest.mark.skipif(not BCCD.is_dir(), reason="shared/models is missing")
@pytest.mark.filterwarnings("ignore::darknet_py.DarknetWarning")
def test_bccd_is_scored_as_by_c():
    """C decodes JPEG files by itself: the pictures differ in the last bit of some pixels."""
    from darknet_py.datafile import read_names
    from darknet_py.evaluation.detection import count_map
    from darknet_py.evaluation.lists import read_pictures
    from darknet_py.network import Network
    from darknet_py.weights import load_weights

    stem = BCCD / "bccd-yolo-fastest"
    network = Network.from_cfg(f"{stem}.cfg", initialize=False)
    load_weights(network, f"{stem}.weights")
    network.train()
    pictures = read_pictures(SHARED / "data" / "bccd" / "test.txt")
    counter = count_map(network, pictures, read_names(f"{stem}.names"))
    assert network.training
    for points, name in ((0, "map"), (11, "map_points_11"), (101, "map_points_101")):
        ours = format_map(counter.report(points)).split()
        text = (BCCD / f"{name}.txt").read_text()
        theirs = text[text.index("\n detections_count") :].split()
        assert len(ours) == len(theirs)
        assert [w for w in ours if not w[:1].isdigit()] == [
            w for w in theirs if not w[:1].isdigit()
        ]
        assert counter.report(points).true_positives == 821
        means = [float(text[text.index("mAP@0.50) = ") :].split()[2].strip(","))]
        assert counter.report(points).mean_average_precision == pytest.approx(means[0], abs=3e-3)

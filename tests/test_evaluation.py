"""Result files, recall, top-k, mirror images, COCO's tables and streams of pictures."""

import json

import numpy as np
import pytest
import torch
from helpers import assert_close, build, ramp

from darknet_py.boxes import Detections, suppress
from darknet_py.datafile import make_tree
from darknet_py.detector import Detector
from darknet_py.errors import DarknetError, ImageError
from darknet_py.evaluation import result_files
from darknet_py.evaluation.recall import RecallCounter
from darknet_py.evaluation.stream import Found, find_all
from darknet_py.evaluation.top_k import TopCounter, mark_leaves, ten
from darknet_py.evaluation.variants import Variant, average_mirrored
from darknet_py.image import save_image
from darknet_py.shape import Shape

NAMES = ["cat", "dog"]
BODY = (
    "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n"
    "[yolo]\nclasses=2\nnum=2\nmask=0,1\nanchors=2,3,4,5\n"
)


def found(path="a/b_0042.x.jpg", index=3):
    boxes = np.array([[0.5, 0.5, 0.5, 0.25], [0.9, 0.1, 0.4, 0.4]], np.float32)
    scores = np.array([[0.75, 0], [0.5, 0.25]], np.float32)
    return Found(index, path, 200, 100, Detections(boxes, scores.max(1), scores))


def write(kind, tmp_path, names=NAMES, name=None):
    with result_files.writing(kind(tmp_path / "r", name, names)) as file:
        file.add(found())
    files = {p.relative_to(tmp_path / "r").as_posix(): p for p in (tmp_path / "r").rglob("*.*")}
    return {name: path.read_text() for name, path in files.items()}


def test_voc_counts_pixels_from_one(tmp_path):
    assert write(result_files.Voc, tmp_path) == {
        "comp4_det_test_cat.txt": (
            "b_0042 0.750000 51.000000 38.500000 151.000000 63.500000\n"
            "b_0042 0.500000 141.000000 1.000000 200.000000 31.000000\n"
        ),
        "comp4_det_test_dog.txt": "b_0042 0.250000 141.000000 1.000000 200.000000 31.000000\n",
    }


def test_yolo_valid_counts_pixels_from_zero(tmp_path):
    text = write(result_files.FirstVoc, tmp_path, name="x_")["x_cat.txt"]
    assert text.splitlines()[0] == "b_0042 0.750000 50.000000 37.500000 150.000000 62.500000"


def test_coco_is_json_with_cocos_numbers(tmp_path):
    (text,) = write(result_files.Coco, tmp_path).values()
    assert text.startswith(
        '[\n{"image_id":42, "category_id":1, '
        '"bbox":[50.000000, 37.500000, 100.000000, 25.000000], "score":0.750000},\n'
    )
    assert text.endswith("}\n]\n")
    assert [entry["category_id"] for entry in json.loads(text)] == [1, 1, 2]
    assert result_files.COCO_IDS[11] == 13 and result_files.COCO_IDS[-1] == 90


def test_coco_without_any_box_is_json(tmp_path):
    with result_files.writing(result_files.Coco(tmp_path, None, NAMES)):
        pass
    assert json.loads((tmp_path / "coco_results.json").read_text()) == []


def test_imagenet_counts_images_and_classes_from_one(tmp_path):
    (text,) = write(result_files.ImageNet, tmp_path).values()
    assert text.splitlines()[2] == "4 2 0.250000 140.000000 0.000000 200.000000 30.000000"


def test_bdd_and_kitti(tmp_path):
    (text,) = write(result_files.Bdd, tmp_path).values()
    assert json.loads(text)[1] == {
        "name": "b_0042.x",
        "category": "bike",
        "bbox": [140.0, 0.0, 200.0, 30.0],
        "score": 0.5,
    }
    files = write(result_files.Kitti, tmp_path)
    assert files["kitti_results/data/b_0042.txt"].splitlines()[2] == (
        "pedestrian -1 -1 -10 140.000000 0.000000 200.000000 30.000000 "
        "-1 -1 -1 -1000 -1000 -1000 -10 0.250000"
    )


def test_a_format_knows_its_classes(tmp_path):
    with pytest.raises(DarknetError, match=r"^Kitti files have 3 classes, not 4$"):
        result_files.Kitti(tmp_path, None, list("abcd"))


@pytest.mark.parametrize(
    ("path", "number"),
    [("x/000000000139.jpg", 139), ("x/COCO_val2014_000000000042.jpg", 42), ("a_7/dog.jpg", 0)],
)
def test_image_numbers(path, number):
    assert result_files.image_number(path) == number


def test_recall_looks_at_no_class():
    counter = RecallCounter()
    truths = np.array([[1, 0.5, 0.5, 0.5, 0.25], [0, 0.2, 0.8, 0.1, 0.1]], np.float32)
    counter.add(found().detections, truths)
    assert counter.line() == "    0     1     2\tRPs/Img: 2.00\tIOU: 50.00%\tRecall:50.00%"
    empty = RecallCounter()
    empty.add(found().detections, truths[:0])
    assert empty.line() == "    0     0     0\tRPs/Img: 2.00\tIOU: -nan%\tRecall:-nan%"


def test_mirrored_outputs_are_averaged_as_in_c():
    plain, mirrored = ramp(1, 14, 2, 3), ramp(1, 14, 2, 3, start=5)
    expected = plain.clone().flatten()
    flip = mirrored.clone().flatten().numpy()
    for z in range(7):  # yolo_layer.c:avg_flipped_yolo, with 2 anchors and 2 classes
        for n in range(2):
            for j in range(2):
                a, b = (z * 12 + n * 6 + j * 3 + i for i in (0, 2))
                sign = -1 if z == 0 else 1
                flip[a], flip[b] = sign * flip[b], sign * flip[a]
    expected = (expected + torch.from_numpy(flip)) / 2
    assert_close(average_mirrored(plain, mirrored, 2).flatten(), expected)


def test_a_variant_without_changes_finds_the_same(tmp_path):
    detector = Detector(build(BODY, (3, 8, 8)), thresh=0.2)
    r = np.random.default_rng(0)
    paths = []
    for i in range(5):
        paths.append(str(tmp_path / f"{i}.png"))
        save_image(r.integers(0, 256, (9 + i, 12, 3)).astype(np.uint8), paths[-1])
    plain = [detector.find([image])[0] for image in map(read, paths)]
    for finder in (detector, Variant(detector)):
        several = list(find_all(finder, paths, 2))
        assert [one.index for one in several] == list(range(5))
        assert [(one.width, one.height) for one in several] == [(12, 9 + i) for i in range(5)]
        for one, other in zip(several, plain, strict=True):
            assert len(other)
            assert_close(one.detections.boxes, other.boxes)
            assert_close(one.detections.scores, other.scores)
    mirrored = Variant(detector, mirrored=True)
    assert mirrored.anchors == [2]
    assert any(
        not np.array_equal(a.detections.boxes, b.boxes)
        for a, b in zip(find_all(mirrored, paths), plain, strict=True)
    )


def test_a_picture_that_is_missing_ends_it(tmp_path):
    save_image(np.full((9, 12, 3), 80, np.uint8), tmp_path / "0.png")
    paths = [str(tmp_path / "0.png"), str(tmp_path / "1.png")]
    found = find_all(Detector(build(BODY, (3, 8, 8))), paths)
    with pytest.raises(ImageError, match=r"1\.png: cannot be opened: No such file or directory$"):
        list(found)


def read(path):
    from darknet_py.image import load_image

    return load_image(path)


def test_a_picture_is_of_the_first_class_in_its_path():
    counter = TopCounter(["dog", "cat", "hotdog"], 2)
    assert [counter.find_class(p) for p in ("x/hotdog.jpg", "cat/1.jpg", "x.jpg")] == [0, 1, -1]
    counter.add("cat.jpg", np.array([0.2, 0.7, 0.1], np.float32))
    counter.add("cat.jpg", np.array([0.7, 0.2, 0.1], np.float32))
    counter.add("owl.jpg", np.array([0.7, 0.2, 0.1], np.float32))
    assert counter.line() == "2: top 1: 0.333333, top 2: 0.666667"


def test_ten_crops_start_outside_of_the_picture():
    picture = np.random.default_rng(1).random((50, 60, 3), np.float32)
    views = ten(picture, Shape(3, 32, 40))
    assert {view.shape for view in views} == {(32, 40, 3)} and len(views) == 10
    assert (views[0][:, :32] == views[0][:, :1]).all()  # the edge repeats
    assert not np.array_equal(views[2], views[7][:, ::-1])  # the mirror image's corner


def test_leaves_of_a_tree():
    tree = make_tree(["animal", "dog", "cat"], [-1, 0, 0])
    assert mark_leaves(tree).tolist() == [False, True, True]
    assert mark_leaves(tree, ["animal", "cat"]).tolist() == [True, False, True]


def counted(pictures, names):
    """COCO's figures, and our report with 101 points, of detections and truths."""
    pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")
    from darknet_py.evaluation.average_precision import PrecisionCounter
    from darknet_py.evaluation.coco_tables import CocoCounter

    ours, coco = PrecisionCounter(names), CocoCounter(names)
    for index, (one, truths) in enumerate(pictures):
        ours.add(one, truths.astype(np.float32))
        coco.add(Found(index, "", 640, 480, one), truths)
    return coco.figures(), ours.report(101)


def test_cocos_table_agrees_with_ours():
    from darknet_py.evaluation.coco_tables import format_coco

    pictures = []
    r = np.random.default_rng(2)
    for _ in range(20):
        centres = np.array([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75]])
        truths = np.column_stack([r.integers(0, 2, 3), centres, r.uniform(0.1, 0.3, (3, 2))])
        boxes = truths[:, 1:] * r.uniform(0.8, 1.25, (3, 4))
        scores = np.zeros((3, 2), np.float32)
        scores[np.arange(3), r.integers(0, 2, 3)] = r.random(3)
        pictures.append((Detections(boxes.astype(np.float32), scores.max(1), scores), truths))
    figures, report = counted(pictures, NAMES)
    assert figures["AP50"] == pytest.approx(report.mean_average_precision, abs=2e-3)
    for score in report.classes:
        row = figures["classes"][score.name]
        assert row["AP50"] == pytest.approx(score.average_precision, abs=2e-3)
    assert figures["APs"] is None and figures["APl"] is not None
    assert (
        format_coco(figures)
        .splitlines()[1]
        .startswith(" Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=100 ] = 0.")
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_in_crowds_ap50_differs_from_cocos_by_thousandths(seed):
    """COCO gives a box another object if its best one is taken; docs/evaluation.md says so."""
    pictures, r = [], np.random.default_rng(seed)
    for _ in range(60):  # eight objects that overlap, three boxes near each, some of a wrong class
        centres, sides = r.uniform(0.3, 0.7, (8, 2)), r.uniform(0.15, 0.4, (8, 2))
        truths = np.column_stack([r.integers(0, 3, 8), centres, sides])
        near = np.repeat(truths, 3, axis=0)
        boxes = (near[:, 1:] * r.uniform(0.8, 1.25, (24, 4))).astype(np.float32)
        classes = np.where(r.random(24) < 0.8, near[:, 0], r.integers(0, 3, 24)).astype(int)
        scores = np.zeros((24, 3), np.float32)
        scores[np.arange(24), classes] = r.random(24)
        pictures.append((suppress(Detections(boxes, scores.max(1), scores), 0.45), truths))
    figures, report = counted(pictures, ["cat", "dog", "owl"])
    assert 0.1 < report.mean_average_precision < 0.4
    assert figures["AP50"] == pytest.approx(report.mean_average_precision, abs=5e-3)
    for score in report.classes:
        assert figures["classes"][score.name]["AP50"] == pytest.approx(
            score.average_precision, abs=1e-2
        )

"""Data of classifiers: views, labels, trees, mixing; tags and numbers beside pictures."""

import numpy as np
import pytest
from pictures_on_disk import COLOURS, network, write_data, write_pictures

from darknet_py.augmentation.views import View, ViewOptions
from darknet_py.bad_list import BadList
from darknet_py.datafile import make_tree
from darknet_py.datasets import dataset_of
from darknet_py.datasets.classification import cutmix, mosaic
from darknet_py.datasets.truths import ClassTruth, fill_tree
from darknet_py.errors import DataError

BODY = "[connected]\noutput=3\nactivation=linear\n[softmax]\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_pictures(folder)
    (folder / "labels.list").write_text("a.png\nb.png\nc.png\n")
    return folder


def data_of(folder, net="", dialect="alexeyab", size=(3, 48, 48), body=BODY, kind=None, **values):
    listed = {"train": folder / "train.list", "labels": folder / "labels.list", "classes": 3}
    file = write_data(folder, **(listed | values))
    return dataset_of(network(body, net, dialect, size), file, kind, seed=2)


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_classes_are_those_of_the_paths(folder, dialect):
    data = data_of(folder, dialect=dialect)
    for iteration in range(5):
        batch = data.batch(iteration)
        assert batch.inputs.shape == (4, 3, 48, 48)
        names = ["abc".index(path[-5]) for path in batch.paths]
        assert (batch.truth == np.eye(3, dtype=np.float32)[names]).all()
        for image, name in zip(batch.inputs, names, strict=True):
            assert image[name].max() > 0.9  # the mark is in view
            assert np.delete(image, name, 0).max() < 0.3
    assert data.length == 3 and data.truths == 3


def test_nets_that_are_not_square_get_the_square_view_resized(folder):
    assert data_of(folder, size=(3, 32, 48)).batch(0).inputs.shape == (4, 3, 32, 48)
    grey = data_of(folder, size=(1, 32, 32)).batch(0)
    assert grey.inputs.shape == (4, 1, 32, 32)


def test_views_scale_the_shorter_side_to_the_crop():
    options = ViewOptions(angle=7, aspect=1.5)
    scales, angles, beyond = [], [], []
    for seed in range(400):
        view = View.of(np.random.default_rng(seed), options, (120, 90), (40, 80), (40, 40))
        shorter = int(min(90, 120 * view.aspect))
        scales.append(view.scale * shorter)
        angles.append(np.degrees(view.angle))
        beyond.append(abs(view.dy) - max((90 * view.scale - 40) / 2, 0))
    assert 40 <= min(scales) + 1e-6 < 42 and 78 < max(scales) <= 80 + 1e-6
    assert -7 <= min(angles) < -6 and 6 < max(angles) <= 7
    assert max(beyond) <= 1e-9
    wandering = ViewOptions(aspect=1.0, wanders=True)
    view = View.of(np.random.default_rng(1), wandering, (120, 90), (20, 20), (40, 40))
    assert view.dy != 0  # smaller than the window: pjreddie's still moves


def test_ratios_and_crops_of_the_cfg(folder):
    assert data_of(folder).crop == (48, 96)
    assert data_of(folder, "min_crop=50\nmax_crop=60").crop_pixels(32) == (50, 60)
    small = data_of(folder, "min_ratio=1\nmax_ratio=1.5", "pjreddie")
    assert small.crop_pixels(48) == (48, 72) and small.crop_pixels(32) == (32, 48)
    assert data_of(folder, "max_crop=72", "pjreddie").crop_pixels(96) == (96, 144)


def test_a_path_without_a_label_is_told():
    bad = BadList()
    truth = ClassTruth(("cat", "dog"), bad)
    assert truth.of("x/dog1.png").tolist() == [0, 1]
    assert truth.of("x/cow.png").tolist() == [0, 0]
    assert truth.of("dog/cat.png").tolist() == [1, 1]
    assert [str(problem) for problem in bad.take()] == [
        "x/cow.png: the path holds no label, one was expected",
        "dog/cat.png: the path holds 2 labels (cat, dog), one was expected",
    ]


def test_label_smoothing_and_trees():
    smooth = ClassTruth(("cat", "dog", "cow"), BadList(), smooth=0.1)
    np.testing.assert_allclose(smooth.of("dog.png"), [0.05, 0.9, 0.05], rtol=1e-6)
    tree = make_tree(["animal", "plant", "cat", "dog", "tree", "shrub"], [-1, -1, 0, 0, 1, 1])
    truth = np.float32([0, 0, 0, 1, 0, 0])
    fill_tree(truth, tree)
    assert truth.tolist() == [1, 0, 0, 1, -1234, -1234]


def test_the_tree_of_the_data_file(folder):
    (folder / "x.tree").write_text("root -1\na 0\nb 0\n")
    data = data_of(folder, tree=folder / "x.tree")
    batch = data.batch(0)
    for path, truth in zip(batch.paths, batch.truth, strict=True):
        assert truth.tolist() == [[1, -1234, -1234], [1, 1, 0], [1, 0, 1]]["abc".index(path[-5])]


def test_mixing_by_area():
    image, other = np.zeros((3, 40, 50), np.float32), np.ones((3, 40, 50), np.float32)
    for seed in range(20):
        out, truth = image.copy(), np.float32([1, 0])
        cutmix(np.random.default_rng(seed), out, truth, other, np.float32([0, 1]))
        np.testing.assert_allclose(truth, [1 - out.mean(), out.mean()], atol=1e-5)
        assert 0.08 < out.mean() < 0.65
    others = [(np.full_like(image, i + 1), np.eye(4, dtype=np.float32)[i + 1]) for i in range(3)]
    out, truth = image.copy(), np.float32([1, 0, 0, 0])
    mosaic(np.random.default_rng(1), out, truth, others)
    np.testing.assert_allclose(truth, [(out == i).mean() for i in range(4)], atol=1e-5)
    assert out[0, 0, 0] == 0 and out[0, 0, -1] == 1 and out[0, -1, 0] == 2 and out[0, -1, -1] == 3


@pytest.mark.parametrize("key", ["mixup=1", "cutmix=1", "mosaic=1", "cutmix=1\nmosaic=1"])
def test_half_of_the_pictures_are_mixed(folder, key):
    data = data_of(folder, f"{key}\nblur=1")
    truth = np.concatenate([data.batch(i).truth for i in range(15)])
    np.testing.assert_allclose(truth.sum(1), 1, rtol=1e-5)
    assert 0.1 < (truth.max(1) < 0.999).mean() < 0.6  # some mix a class with itself


def test_contrastive_and_unsupervised(folder):
    batch = data_of(folder, "contrastive=1\nunsupervised=1\nangle=9").batch(0)
    assert batch.paths[0] == batch.paths[1]
    assert (batch.truth[0] == batch.truth[1]).all() and (batch.truth.sum(1) == 1).all()
    assert (batch.inputs[0] != batch.inputs[1]).any()


def test_tags_and_numbers(tmp_path):
    folder = tmp_path
    write_pictures(folder)
    rows = {"a": "0 2", "b": "1 7", "c": "2 0"}
    for name, text in rows.items():
        (folder / "images" / f"{name}.png").rename(folder / "images" / f"{name}.jpg")
        (folder / "labels" / f"{name}.txt").write_text(text)
    text = (folder / "train.list").read_text().replace(".png", ".jpg")
    (folder / "train.list").write_text(text)
    tagged = data_of(folder, dialect="pjreddie", tag=1)
    expected = {"a": [1, 0, 1], "b": [0, 1, 0], "c": [1, 0, 1]}
    for path, truth in zip(*tagged.batch(0)[:0:-1], strict=True):
        assert truth.tolist() == expected[path[-5]]
    body = BODY.replace("output=3", "output=2").replace("[softmax]", "[cost]")
    measured = data_of(folder, body=body, kind="regressor", classes=2)
    for path, truth in zip(*measured.batch(0)[:0:-1], strict=True):
        assert truth.tolist() == [float(word) for word in rows[path[-5]].split()]


def test_plain_classification_is_resized_alone(folder):
    batch = data_of(folder, kind="plain classifier").batch(0)
    names = ["abc".index(path[-5]) for path in batch.paths]
    assert (batch.truth == np.eye(3)[names]).all()
    expected = np.array([COLOURS[name] for name in names]) / 255
    np.testing.assert_allclose(batch.inputs[:, :, 26, 19], expected, atol=1e-6)


def test_errors(folder):
    with pytest.raises(DataError, match=r"x\.data: classes=2, but the network gives 3 values$"):
        data_of(folder, classes=2)
    with pytest.raises(DataError, match=r"labels\.list: holds 3 labels, but classes=9$"):
        data_of(folder, classes=9)
    with pytest.raises(DataError, match=r"x\.data: has no line train=\.\.\., the list of images$"):
        dataset_of(network(BODY), write_data(folder, classes=3))
    with pytest.raises(DataError, match=r"^test\.cfg: training images have 1 or 3 channels, the"):
        data_of(folder, size=(2, 8, 8))

"""Label files: their paths in both forks, and what is wrong with them."""

import warnings

import numpy as np
import pytest

from darknet_py.bad_list import BadList
from darknet_py.errors import DarknetWarning, DataError
from darknet_py.labels import (
    label_path,
    mask_path,
    read_boxes,
    read_labels,
    read_numbers,
    read_tags,
    regression_path,
    tag_paths,
)


@pytest.mark.parametrize(
    "image, anywhere, folders",
    [
        ("a/JPEGImages/b.jpg", "a/labels/b.txt", "a/labels/b.txt"),
        ("a/images/train2017/b.png", "a/labels/train2017/b.txt", "a/labels/train2017/b.txt"),
        ("a/images/b.JPG", "a/labels/b.txt", "a/images/b.txt"),
        ("a/raw/b.jpg", "a/labels/b.txt", "a/raw/b.txt"),
        ("a/b.jpeg", "a/b.jpeg", "a/b.txt"),
        ("a/b.jpg.bmp", "a/b.txt.bmp", "a/b.jpg.txt"),
        (" a/b.PPM\t", " a/b.PPM\t", "a/b.txt"),
        ("images/images/b.jpg", "labels/images/b.txt", "images/images/b.txt"),
    ],
)
def test_label_paths_of_both_forks(image, anywhere, folders):
    assert label_path(image, "anywhere") == anywhere
    assert label_path(image, "folders") == folders


def test_paths_of_masks_numbers_and_tags():
    assert mask_path("a/JPEGImages/b.jpg") == "a/mask/b.txt"
    assert regression_path("a/images/b.jpeg") == "a/labels/b.txt"
    assert tag_paths("a/images/b.jpg", "images") == ["a/labels/b.txt"]
    expected = ["a/labels/b.txt", "a/labels2/b.txt"]
    assert tag_paths("a/imgs/b_iconl.jpeg", "imgs") == expected


def test_boxes_and_their_tracks(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\ufeff1 0.5 0.4 0.2 0.1\r\n\n0 .1 .2 .3 .4 2 .6 .5 .4 .3\n", encoding="utf-8")
    labels, problems = read_boxes(str(path), 3)
    assert problems == []
    assert labels.classes.tolist() == [1, 0, 2]
    np.testing.assert_array_equal(labels.boxes[1], np.float32([0.1, 0.2, 0.3, 0.4]))
    value = 5381
    for letter in str(path).encode():
        value = (value * 33 + letter) % 2**64
    assert labels.tracks.tolist() == [value % 4000 * 4000 + i for i in range(3)]


@pytest.mark.parametrize(
    "line, message, annotation",
    [
        ("3 .5 .5 .1 .1", "class 3 is not one of 0 to 2; skipped",
         "Wrong annotation: class_id = 3. But class_id should be [from 0 to 2]"),
        ("-1 .5 .5 .1 .1", "class -1 is not one of 0 to 2; skipped",
         "Wrong annotation: class_id = -1. But class_id should be [from 0 to 2]"),
        ("0 0 0 .1 .1", "the box has its centre at 0, 0 (x=0, y=0); skipped",
         "Wrong annotation: x = 0 or y = 0"),
        ("0 1.5 .5 .1 .1", "the box is outside of the image (x=1.5, y=0.5); skipped",
         "Wrong annotation: x = 0 or y = 0"),
        ("0 .5 .5 0 .1", "the box is empty (width=0, height=0.1); skipped", ""),
        ("0 nan .5 .1 .1", "the box is not of numbers; skipped",
         "Wrong annotation: x = nan, y = 0.5"),
        ("0 .5 .5 .1", "a label is 'class x y width height', got '0 .5 .5 .1'; skipped", ""),
        ("cat .5 .5 .1 .1", "a label is 'class x y width height', got 'cat .5 .5 .1 .1'; skipped",
         ""),
    ],
)  # fmt: skip
def test_wrong_labels_are_skipped_and_told_with_their_line(tmp_path, line, message, annotation):
    path = tmp_path / "a.txt"
    path.write_text(f"0 .5 .5 .2 .2\n{line}\n1 .6 .5 .2 .2\n")
    labels, (problem,) = read_boxes(str(path), 3)
    assert labels.classes.tolist() == [0, 1]
    assert str(problem) == f"{path}:2: {message}"
    assert problem.annotation == annotation


def test_a_box_larger_than_the_image_is_told_and_kept(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0 .5 .5 1.5 .2\n")
    labels, (problem,) = read_boxes(str(path), 3)
    assert len(labels) == 1
    assert str(problem) == f"{path}:1: the box is larger than the image (w=1.5) and is cut"
    assert problem.annotation == "Wrong annotation: w = 1.500000"


def test_labels_for_scores_skip_what_is_no_box(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("1 .5 .25 .125 1 2 .75 .5 .25 .5\n\n0 .5 .5 .1\ncat 0 0 1 1\n3 0 1 .5 .25\n")
    with pytest.warns(DarknetWarning) as told:
        boxes = read_labels(path)
    assert boxes.tolist() == [
        [1, 0.5, 0.25, 0.125, 1],
        [2, 0.75, 0.5, 0.25, 0.5],
        [3, 0, 1, 0.5, 0.25],
    ]
    assert [str(w.message) for w in told] == [
        f"{path}:3: is no 'class x y width height': '0 .5 .5 .1'",
        f"{path}:4: is no 'class x y width height': 'cat 0 0 1 1'",
    ]


def test_bad_list_and_bad_label_list(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("7 .5 .5 .2 .2\n")
    bad = BadList(tmp_path)
    bad.add(read_boxes(str(path), 3)[1])
    bad.add(read_boxes(str(path), 3)[1])
    bad.add(read_boxes(str(tmp_path / "none.txt"), 3)[1])
    with pytest.warns(DarknetWarning) as told:
        bad.tell()
    assert len(told) == 2
    assert (tmp_path / "bad.list").read_text() == (
        f"{path}:1: class 7 is not one of 0 to 2; skipped\n{tmp_path / 'none.txt'}\n"
    )
    assert (tmp_path / "bad_label.list").read_text() == (
        f"{path} Wrong annotation: class_id = 7. But class_id should be [from 0 to 2]\n"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bad.tell()


def test_many_problems_are_summed_up(tmp_path):
    bad = BadList()
    for number in range(30):
        bad.add(read_boxes(str(tmp_path / f"{number}.txt"), 3)[1])
    with pytest.warns(DarknetWarning) as told:
        bad.tell()
    assert len(told) == 11


def test_numbers_and_tags(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("1.5 2\n7\n")
    np.testing.assert_array_equal(read_numbers(str(path), 2), [1.5, 2])
    with pytest.raises(DataError, match=rf"^{path}: must hold 4 numbers, got 3$"):
        read_numbers(str(path), 4)
    path.write_text("1 3 9\n")
    np.testing.assert_array_equal(read_tags(["none", str(path)], 5), [0, 1, 0, 1, 0])
    assert not read_tags(["none"], 5).any()

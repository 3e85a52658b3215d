"""The doctor's findings: what is wrong, where, and how to mend it."""

import struct

import numpy as np
import pytest

from darknet_py.doctor import examine

CFG = """[net]
width=64
height=32
channels=3
batch=1

[convolutional]
batch_normalize=1
filters=4
size=3
pad=1
stride=2
activation=leaky

[convolutional]
filters=18
activation=linear

[yolo]
mask=0,1,2
anchors=1,2, 3,4, 5,6
num=3
classes=1
"""
FLOATS = 4 * 4 + 3 * 4 * 9 + 18 + 4 * 18


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text=CFG):
        (tmp_path / "net.cfg").write_text(text)
        return "net.cfg"

    return write


def weights(floats, values=0.5):
    with open("net.weights", "wb") as file:
        file.write(struct.pack("<iiiQ", 0, 2, 0, 6400))
        np.full(floats, values, "<f4").tofile(file)
    return "net.weights"


def lines(*args, **options):
    return [str(finding) for finding in examine(*args, **options)]


def bad(*args, **options):
    return [str(f) for f in examine(*args, **options) if f.level != "note"]


def test_a_sound_model_has_no_complaints(cfg):
    assert lines(cfg(), weights(FLOATS)) == [
        "note: net.cfg: dialect pjreddie: nothing in it is AlexeyAB's alone "
        "(-dialect alexeyab chooses that fork)",
        "note: net.weights: header of 20 bytes, version 0.2.0, 6400 images seen in training; "
        "214 floats",
        "note: net.weights: fits: the cfg needs 214 floats",
    ]


def test_why_a_dialect_is_found(cfg):
    text = CFG.replace("num=3", "num=3\nscale_x_y=1.05")
    assert lines(cfg(text))[0] == (
        "note: net.cfg: dialect alexeyab: scale_x_y in line 23 is read by that fork alone"
    )
    assert "dialect pjreddie: as asked for" in lines(cfg(text), dialect="pjreddie")[0]


def test_weights_of_other_classes_are_solved_for(cfg):
    assert bad(cfg(), weights(FLOATS + 3 * 2 * (1 + 4))) == [
        "error: net.weights: holds 244 floats, the cfg needs 214: they fit 3 classes, the cfg has "
        "1 -> set classes=3 in every head, and filters=24 before each"
    ]


def test_cut_off_weights_are_named(cfg):
    assert bad(cfg(), weights(4 * 4 + 3 * 4 * 9)) == [
        "warning: net.weights: holds 124 floats, the cfg needs 214: it is cut off before layer 1, "
        "which is right to start training from -> to run it, take the whole file"
    ]


def test_weights_of_another_network(cfg):
    assert bad(cfg(), weights(FLOATS - 1)) == [
        "error: net.weights: holds 213 floats, the cfg needs 214 -> take the cfg that these "
        "weights were trained with, or fetch them again if the download broke off"
    ]


def test_broken_weights(cfg):
    assert bad(cfg(), weights(FLOATS, np.nan)) == [
        "error: net.weights: float 0 is no finite number -> the training diverged, or the file is "
        "damaged"
    ]
    assert bad(cfg(), "none.weights") == [
        "error: none.weights: cannot be opened: No such file or directory"
    ]


def test_a_classifier_is_solved_for_classes(cfg):
    text = CFG[: CFG.index("[yolo]")] + "[avgpool]\n\n[softmax]\n"
    assert bad(cfg(text), weights(FLOATS + 2 * 5)) == [
        "error: net.weights: holds 224 floats, the cfg needs 214: they fit 20 classes, the cfg has "
        "18 -> take the cfg of that many classes"
    ]


def test_the_text_of_a_cfg(cfg):
    text = CFG.replace("filters=18", "filters=255").replace("batch=1", "batch=8\nsubdivisions=3")
    text = text.replace("mask=0,1,2", "mask=0,1,3\nmask=1").replace("5,6", "5,6, 7,8")
    found = bad(cfg(text))
    assert found[:5] == [
        "warning: net.cfg:21: [yolo]: mask is given 2 times (lines 21, 22), the first counts: "
        "0,1,3 -> delete the others",
        "warning: net.cfg:5: [net]: batch=8 is no multiple of subdivisions=3, training uses 2 "
        "images at a time -> make batch a multiple of subdivisions",
        "warning: net.cfg:23: [yolo]: anchors holds 8 numbers, num=3 needs 6 -> set num=4, or mend "
        "the anchors",
        "warning: net.cfg:21: [yolo]: mask names anchor 3, num=3 has 0 to 2 -> mend mask or num",
        "error: net.cfg:17: [convolutional]: filters=255, but [yolo] in line 20 with 1 classes "
        "reads 18 -> set filters=18",
    ]


def test_masks_and_anchors_that_do_not_fit(cfg):
    found = bad(cfg(CFG.replace("mask=0,1,2", "mask=0,1,7").replace("5,6", "5")))
    assert found[:2] == [
        "error: net.cfg:21: [yolo]: anchors holds 5 numbers, num=3 needs 6 -> set num=2, or mend "
        "the anchors",
        "error: net.cfg:20: [yolo]: mask names anchor 7, num=3 has 0 to 2 -> mend mask or num",
    ]


def test_sizes_unknown_keys_and_bad_sections(cfg):
    text = CFG.replace("stride=2", "stride=16").replace("width=64", "width=72\nwidht=3")
    assert bad(cfg(text)) == [
        "warning: net.cfg: [net]: width=72 is no multiple of 16, the boxes of layer 2 will be off "
        "-> set width=64 or width=80",
        "warning: net.cfg:3: [net]: unknown key 'widht' is ignored; did you mean 'width'?",
    ]
    assert bad(cfg("[net]\nwidth=1\n[convolutionnal]\n")) == [
        "error: net.cfg:3: [convolutionnal]: unknown section; did you mean [convolutional]?"
    ]
    assert bad(cfg(CFG.replace("size=3", "size="))) == [
        "warning: net.cfg:10: 'size' has no value; the line is ignored",
    ]
    assert bad("none.cfg") == ["error: none.cfg: cannot be opened: No such file or directory"]


def test_the_data_file(cfg, tmp_path):
    (tmp_path / "a.names").write_text("one\ntwo\n")
    (tmp_path / "a.data").write_text("classes=2\nnames=a.names\ntrain=t.txt\nbackup=b/\n")
    assert bad(cfg(), None, "a.data") == [
        "error: a.data: classes=2, the cfg has 1 -> set classes=1 if the names are right, else "
        "mend the cfg",
        "error: a.names: has 2 names, the cfg 1 classes -> one line a class, in the order of "
        "training",
        "warning: a.data: train=t.txt does not exist -> training needs it; a path counts from the "
        "working directory",
        "warning: a.data: backup=b/ does not exist -> training needs it; a path counts from the "
        "working directory",
    ]
    (tmp_path / "b.data").write_text("classes=x\n")
    assert bad(cfg(), None, "b.data") == [
        "error: b.data:1: classes must be a whole number, got 'x'"
    ]

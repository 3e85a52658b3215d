"""The commands that run a network, on small ones: what they print and write."""

import json
import re
from argparse import Namespace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from darknet_py.cli import main
from darknet_py.cli.model import classifier_names, detector_names, open_data
from darknet_py.detector import Detector
from darknet_py.errors import DarknetWarning
from darknet_py.network import Network
from darknet_py.pictures import read_picture
from darknet_py.weights import save_weights

NET = "[net]\nwidth=32\nheight=32\nchannels=3\n"
DETECTOR = f"""{NET}
[convolutional]
filters=14
size=16
stride=16
activation=linear

[yolo]
mask=0,1
anchors=6,8, 9,7
num=2
classes=2
"""
CLASSIFIER = f"{NET}\n[convolutional]\nfilters=3\nsize=3\nactivation=leaky\n[avgpool]\n[softmax]\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("find", DETECTOR), ("name", CLASSIFIER)):
        Path(f"{name}.cfg").write_text(text)
        network = Network.from_cfg(f"{name}.cfg", initialize=False)
        for index, _, tensor in network.arrays():
            torch.nn.init.normal_(
                tensor, std=0.05, generator=torch.Generator().manual_seed(index + 3)
            )
        save_weights(network, f"{name}.weights")
    Path("two.names").write_text("apple\npear\n")
    Path("two.data").write_text("classes=2\nnames=two.names\ntop=2\n")
    Path("three.data").write_text("classes=3\nlabels=three.names\ntop=2\n")
    Path("three.names").write_text("a\nb\nc\n")
    random = np.random.RandomState(1)
    for name in ("one.png", "other.png"):
        cv2.imwrite(name, random.randint(0, 256, (40, 60, 3)).astype(np.uint8))
    Path("bad.png").write_text("no picture")


DETECT = ["detect", "find.cfg", "find.weights", "-names", "two.names", "-thresh", ".1"]


def lines(capsys):
    out, err = capsys.readouterr()
    return [line.partition(" in ")[0] for line in out.splitlines()], err


def test_pjreddie_lines_and_picture(capsys):
    assert main([*DETECT, "one.png", "-dialect", "pjreddie"]) == 0
    out, err = lines(capsys)
    assert out[0] == "one.png: Predicted"
    assert len(out) > 3
    assert all(line.startswith(("apple: ", "pear: ")) and line.endswith("%") for line in out[1:])
    assert err.splitlines()[0].startswith("layer     filters")
    assert err.splitlines()[-1] == "Loading weights from find.weights...Done!"
    assert cv2.imread("predictions.jpg").shape == (40, 60, 3)


def test_alexeyab_lines_json_and_labels(capsys):
    words = ["-dialect", "alexeyab", "-ext_output", "-out", "found.json", "-save_labels"]
    assert main([*DETECT, "one.png", "other.png", *words]) == 0
    out, err = lines(capsys)
    assert out[:2] == [" Detection layer: 1 - type = 28 ", "one.png: Predicted"]
    boxes = [line for line in out if "left_x" in line]
    assert boxes == [line for line in out if line.startswith(("apple", "pear"))]
    assert err.splitlines()[-1].startswith("2 images in ")
    assert err.splitlines()[-5:-1] == [
        f"avg_outputs = {(14 * 4 + 14 * 4) // 2} ",
        "Loading weights from find.weights...",
        " seen 64, trained: 0 K-images (0 Kilo-batches_64) ",
        "Done! Loaded 2 layers from weights-file ",
    ]
    frames = json.loads(Path("found.json").read_text())
    assert [frame["filename"] for frame in frames] == ["one.png", "other.png"]
    assert sum(len(frame["objects"]) for frame in frames) == len(boxes)
    first = Path("one.txt").read_text().splitlines()
    assert 1 <= len(first) <= len(frames[0]["objects"])
    assert all(len(line.split()) == 5 for line in first)
    assert Path("predictions.jpg").exists()


def test_thresholds_depend_on_the_dialect(capsys):
    found = {}
    for dialect in ("pjreddie", "alexeyab"):
        line = ["detect", "find.cfg", "find.weights", "-names", "two.names", "one.png"]
        assert main([*line, "-quiet", "-letter_box", "-dialect", dialect]) == 0
        found[dialect] = len([x for x in lines(capsys)[0] if x.endswith("%")])
    assert found["pjreddie"] < found["alexeyab"]


def test_out_names_the_picture(capsys):
    for out, name in (("boxes", "boxes.jpg"), ("other.png", "other.png"), ("a.b", "a.b.jpg")):
        assert main([*DETECT, "one.png", "-dialect", "pjreddie", "-out", out, "-quiet"]) == 0
        assert Path(name).exists()
    assert main([*DETECT, "one.png", "-out", "none/x", "-quiet"]) == 1
    assert lines(capsys)[1] == (
        "darknet-py: none/x.jpg: cannot be written: no such folder, or no right to\n"
    )


def test_a_folder_that_cannot_be_written_still_gets_its_lines(monkeypatch, capsys):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert main([*DETECT, "one.png", "-dialect", "pjreddie", "-quiet"]) == 0
    out, err = lines(capsys)
    assert len(out) > 3
    assert err == "darknet-py: warning: predictions.jpg: cannot be written here\n"
    assert not Path("predictions.jpg").exists()


def test_names_of_another_count_are_numbered(capsys):
    line = ["detector", "test", "three.data", "find.cfg", "find.weights", "one.png", "-quiet"]
    assert main([*line, "-thresh", ".1"]) == 0
    out, err = lines(capsys)
    assert err == (
        "darknet-py: warning: three.names: has 3 names, the network 2 classes; the classes are "
        "numbered\n"
    )
    assert {line.partition(":")[0] for line in out[1:]} == {"0", "1"}
    Path("no.data").write_text("classes=2\n")
    assert main(["detector", "test", "no.data", *line[3:]]) == 1
    message = "no.data: has no line names=... that says where the names are"
    assert lines(capsys)[1] == f"darknet-py: {message}\n"


def test_a_bad_picture_among_good_ones(capsys):
    assert main([*DETECT, "bad.png", "one.png", "-quiet"]) == 1
    out, err = lines(capsys)
    assert out[0] == "one.png: Predicted"
    assert err.startswith("darknet-py: bad.png: ")
    assert err.count("\n") == 1


def test_yolo_and_coco_stretch_the_picture(capsys):
    for command, name in (("yolo", "predictions.jpg"), ("coco", "prediction.jpg")):
        for dialect in ("pjreddie", "alexeyab"):
            Path(name).unlink(missing_ok=True)
            words = [command, "test", "find.cfg", "find.weights", "one.png", "-dialect", dialect]
            assert main([*words, "-names", "two.names", "-quiet"]) == 0
            out = capsys.readouterr().out
            assert out.startswith("one.png: Predicted in 0.")
            assert " seconds.\n" in out
            assert Path(name).exists()


def test_alexeyabs_yolo_prints_boxes_where_they_were(capsys):
    words = ["yolo", "test", "find.cfg", "find.weights", "one.png", "-dialect", "alexeyab"]
    assert main([*words, "-names", "two.names", "-quiet", "-thresh", ".05"]) == 0
    printed = capsys.readouterr().out.splitlines()[1:]
    detector = Detector.load(
        "find.cfg", "find.weights", dialect="alexeyab", thresh=0.05, nms=0.4, letterbox=False
    )
    picture = read_picture("one.png", 3)
    before = detector.boxes([y[0] for y in detector.run(detector.prepare(picture))], (40, 60))
    after = {tuple(box): scores for box, scores in zip_boxes(detector.clean(before))}
    expected = []
    for box, _ in zip_boxes(before):
        best = after[tuple(box)].argmax()
        if after[tuple(box)][best] > 0.05:
            expected.append(f"{['apple', 'pear'][best]}: {after[tuple(box)][best] * 100:.0f}%")
    assert printed == expected
    assert len(printed) > 3


def zip_boxes(found):
    return list(zip(found.boxes.tolist(), found.scores, strict=True))


def test_classifier_predict_in_both_dialects(capsys):
    line = ["classifier", "predict", "three.data", "name.cfg", "name.weights", "one.png", "-quiet"]
    assert main(line) == 0
    out, err = capsys.readouterr()
    assert [line[5:8] for line in out.splitlines()] == ["%: "] * 2
    assert err.startswith("one.png: Predicted in ")
    assert main([*line, "-dialect", "alexeyab", "-t", "3"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == [" classes = 3, output in cfg = 3 ", "32 32"]
    assert out[2].startswith("one.png: Predicted in ")
    assert out[2].endswith(" milli-seconds.")
    assert sum(float(text.partition(": ")[2]) for text in out[3:]) == pytest.approx(1, abs=1e-5)
    Path("name.cfg").write_text(f"{CLASSIFIER}[cost]\n")
    assert main([*line, "-dialect", "alexeyab"]) == 0
    assert capsys.readouterr().out.startswith(" classes = 3, output in cfg = 0 \n")


def test_classify_without_the_right_names(capsys):
    assert main(["classify", "name.cfg", "name.weights", "one.png", "-quiet"]) == 0
    out, err = capsys.readouterr()
    assert sorted(line[-1] for line in out.splitlines()) == ["0", "1", "2"]
    assert "warning" in err
    words = ["classify", "name.cfg", "name.weights", "one.png", "-names", "three.names", "-quiet"]
    assert main([*words, "--top=1", "-preprocess", "resize_min"]) == 0
    assert re.fullmatch(r"[abc]: 0\.\d{6}\n", capsys.readouterr().out)


def test_classifier_try(capsys):
    line = ["classifier", "try", "three.data", "name.cfg", "name.weights", "one.png", "-quiet"]
    assert main([*line, "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 3 + 1 + 2
    assert out[3].startswith("one.png: Predicted in ")
    assert main([*line, "9"]) == 1
    assert capsys.readouterr().err == "darknet-py: there is no layer 9: the cfg has 0 to 2\n"
    assert main([*line, "x"]) == 1
    assert capsys.readouterr().err == "darknet-py: LAYER must be a layer's number, got 'x'\n"


def test_try_prints_batch_norm_once_for_each_input_channel(capsys):
    text = CLASSIFIER.replace("filters=3", "filters=5\nbatch_normalize=1")
    Path("norm.cfg").write_text(text)
    save_weights(Network.from_cfg("norm.cfg"), "norm.weights")
    words = ["classifier", "try", "three.data", "norm.cfg", "norm.weights", "one.png", "0"]
    assert main([*words, "-quiet", "-t", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:3] == ["0.000000 1.000000 1.000000"] * 3
    assert len(out) == 3 + 5 * 222 * 222 + 2


def test_doctor_and_net(capsys):
    assert main(["doctor", "find.cfg", "find.weights", "two.data"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "no errors, no warnings"
    assert main(["doctor", "find.cfg", "name.weights"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 error, no warnings"
    assert main(["doctor", "find.cfg", "three.data"]) == 1
    assert main(["net", "cfg/tiny.cfg"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "4,185,972 bytes in a whole weights file"


def test_device_flags(capsys):
    for flags in (["-nogpu"], ["-i", "0"], ["-gpus", "0,1"], ["-device", "cpu"], ["-half"]):
        assert main([*DETECT, "one.png", "-quiet", *flags]) == 0
    assert main([*DETECT, "one.png", "-quiet", "-device", "abacus"]) == 1
    assert lines(capsys)[1].startswith("darknet-py: no device abacus: ")


@pytest.mark.parametrize("classes, first", [(20, "aeroplane"), (80, "person"), (601, None)])
def test_names_that_the_package_brings(classes, first, recwarn):
    args = Namespace(names=None)
    names = detector_names(args, None, classes)
    assert len(names) == classes
    assert first in (None, names[0])
    assert len(classifier_names(args, None, 1000)) == 1000
    assert not recwarn.list


def test_a_list_in_the_folder_yields_to_one_that_fits():
    Path("cfg").mkdir()
    Path("cfg/coco.data").write_text("names=two.names\n")
    data = open_data(Namespace(), "cfg/coco.data")
    assert detector_names(Namespace(names=None), data, 2) == ["apple", "pear"]
    assert detector_names(Namespace(names=None), data, 20)[0] == "aeroplane"
    with pytest.warns(DarknetWarning, match=r"^two\.names: has 2 names, the network 5 classes;"):
        assert detector_names(Namespace(names=None), data, 5) == list("01234")

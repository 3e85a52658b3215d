"""The train commands: what they print, draw and refuse."""

import re
import socket
import urllib.request

import numpy as np
import pytest
import torch
from training import CLASSIFIER, DETECTOR, NET, TEXT, lay_out, train, write_cfg

from darknet_py import learning
from darknet_py.cli import main
from darknet_py.image import load_image, save_image
from darknet_py.mjpeg import PictureServer

FLOAT = r"-?(?:\d+\.\d{6}|nan)"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    return tmp_path


def run(*words):
    return main([*map(str, words), "-workers", "0", "-no_chart", "-quiet"])


def refused(capsys, *words):
    """The one line on stderr of a command that fails."""
    assert run(*words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("darknet-py: ")


def test_plain_lines_without_a_terminal(folder, capsys):
    cfg = write_cfg(folder / "net.cfg", max_batches=3)
    assert run("detector", "train", folder / "two.data", cfg, "-map") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Training on 12 samples, 4 an iteration, from iteration 0 to 3 (seed 0)"
    number = r"[\d.e+-]+"
    assert re.fullmatch(
        rf"1/3  loss {number}  average {number}  rate {number}  {number} images/s  "
        r"0:\d\d:\d\d left",
        lines[1],
    )
    assert lines[2].startswith("3/3  loss ")
    assert re.fullmatch(r"3: mAP@0.50 [\d.]+% \(the best so far\)", lines[3])
    assert lines[4] == f"Done: 3 iterations, {folder}/backup/net_final.weights"


def test_c_lines_of_pjreddie(folder, capsys):
    cfg = write_cfg(folder / "net.cfg", max_batches=2)
    assert run("detector", "train", folder / "two.data", cfg, "-c_lines") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == ["net", "Learning Rate: 0.002, Momentum: 0.9, Decay: 0.0005"]
    head = (
        rf"Region 3 Avg IOU: {FLOAT}, Class: {FLOAT}, Obj: {FLOAT}, No Obj: {FLOAT}, "
        rf"\.5R: {FLOAT}, \.75R: {FLOAT},  count: \d+"
    )
    rest = [r"Loaded: \d+\.\d{6} seconds", head, head]
    for i in (1, 2):
        line = rf"{i}: {FLOAT}, {FLOAT} avg, {FLOAT} rate, {FLOAT} seconds, {4 * i} images"
        for pattern, text in zip([*rest, line], out[4 * i - 2 : 4 * i + 2], strict=True):
            assert re.fullmatch(pattern, text), text
    assert len(out) == 10


def test_c_lines_of_alexeyab(folder, capsys):
    cfg = write_cfg(folder / "net.cfg", DETECTOR + "iou_loss=giou\n", max_batches=1)
    assert run("detector", "train", folder / "two.data", cfg, "-c_lines") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(
        "net\n\n Warning: You set batch=4 lower than 64! It is recommended to set batch=64 "
        "subdivision=64 \nWeights are saved after: 1000 iterations. Last weights (*_last.weight) "
        "are stored every 5 iterations. \nLearning Rate: 0.002, Momentum: 0.9, Decay: 0.0005\n"
        " Detection layer: 3 - type = 28 \nLoaded: "
    )
    assert re.search(
        rf"\n\n 1: {FLOAT}, {FLOAT} avg loss, {FLOAT} rate, {FLOAT} seconds, 4 images, "
        r"-1.000000 hours left\n",
        printed.out,
    )
    line = (
        r"v3 \(giou loss, Normalizer: \(iou: 0.75, obj: 1.00, cls: 1.00\) Region 3 Avg "
        rf"\(IOU: {FLOAT}\), count: \d+, class_loss = {FLOAT}, iou_loss = {FLOAT}, "
        rf"total_loss = {FLOAT} "
    )
    assert [bool(re.fullmatch(line, text)) for text in printed.err.splitlines()] == [True] * 2


def test_classifier(folder, capsys):
    cfg = write_cfg(folder / "net.cfg", CLASSIFIER, max_batches=4)
    words = ("classifier", "train", folder / "two.data", cfg, "-topk", "-c_lines")
    assert run(*words) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "net\n1\nLearning Rate: 0.002, Momentum: 0.9, Decay: 0.0005\n12\nLoaded: "
    )
    line = rf"3, 1.000: {FLOAT}, {FLOAT} avg, {FLOAT} rate, {FLOAT} seconds, 12 images"
    assert re.search(line, out)
    assert re.search(r" accuracy top1 = [01]\.\d{6} \n", out)
    names = {path.name for path in (folder / "backup").iterdir()}
    assert {"net_1.weights", "net_best.weights", "net.weights", "net_final.weights"} <= names


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_text(folder, capsys, dialect):
    (folder / "text.txt").write_text("one and two and three and one " * 9)
    cfg = write_cfg(folder / "net.cfg", TEXT, max_batches=3)
    words = ("rnn", "train", cfg, "-file", "text.txt", "-c_lines", "-dialect", dialect)
    assert run(*words) == 0
    err = capsys.readouterr().err
    line = rf"3: {FLOAT}, {FLOAT} avg, {FLOAT} rate, {FLOAT} seconds, {FLOAT} epochs"
    assert re.search(line, err)
    assert (folder / "backup" / "net_final.weights").is_file()


def test_streams_of_text_that_jump_forget(folder):
    (folder / "text.txt").write_text("one and two and three and one " * 9)
    for more in ("", "learning_rate_min=0"):
        cfg = write_cfg(folder / "net.cfg", TEXT, max_batches=40, more=more)
        whole = ("rnn", "train", cfg, "-file", "text.txt")
        assert run(*whole, "-out", "whole") == 0
        write_cfg(cfg, TEXT, max_batches=23, more=more)
        assert run(*whole, "-out", "parts") == 0
        write_cfg(cfg, TEXT, max_batches=40, more=more)
        assert run(*whole, "-out", "parts", "-resume") == 0
        first, second = (folder / d / "net_final.weights" for d in ("whole", "parts"))
        assert first.read_bytes() == second.read_bytes()


def test_cifar_and_yolo(folder, capsys):
    random = np.random.default_rng(0)
    rows = random.integers(0, 256, (6, 3073)).astype(np.uint8)
    rows[:, 0] %= 10
    (folder / "data_batch_1.bin").write_bytes(rows.tobytes())
    text = CLASSIFIER.replace("width=16\nheight=16", "width=32\nheight=32")
    cfg = write_cfg(folder / "net.cfg", text.replace("filters=2", "filters=10"), 2)
    assert run("cifar", "train", cfg, "-list", folder, "-c_lines") == 0
    assert "2, 1.333: " in capsys.readouterr().out
    body = (
        "[maxpool]\nsize=8\nstride=8\n\n[connected]\noutput=28\n\n"
        "[detection]\nclasses=2\ncoords=4\nside=2\nnum=1\nrescore=1\n"
    )
    cfg = write_cfg(folder / "one.cfg", NET + "\n" + body, 1)
    assert run("yolo", "train", cfg, "-list", "train.txt", "-c_lines") == 0
    line = rf"Detection Avg IOU: {FLOAT}, Pos Cat: {FLOAT}, All Cat: {FLOAT}, Pos Obj: {FLOAT}, "
    assert re.search(line + rf"Any Obj: {FLOAT}, count: \d+\n", capsys.readouterr().out)
    assert (folder / "backup" / "one_final.weights").is_file()


def test_chart_and_pictures(folder):
    cfg = write_cfg(folder / "net.cfg", max_batches=4)
    words = ("detector", "train", folder / "two.data", cfg, "-map", "-show_imgs", "-dont_show")
    assert main([*map(str, words), "-workers", "0", "-quiet"]) == 0
    chart = load_image("chart.png")
    assert chart.shape == (1000, 1000, 3)
    assert (chart == (0, 0, 255)).all(2).sum() > 8  # the losses
    assert np.array_equal(chart, load_image("chart_net.png"))
    assert load_image("aug_0_1.jpg").shape == (16, 16, 3)
    save_image(np.full((1000, 1000, 3), 7, np.uint8), "old.png")
    assert main([*map(str, words), "-workers", "0", "-quiet", "-chart", "old.png"]) == 0
    assert (load_image("chart.png")[500] == 7).all()


def test_chart_is_streamed():
    with socket.socket() as probe:
        probe.bind(("", 0))
        taken = probe.getsockname()[1]
        probe.listen()
        with pytest.raises(Exception, match=rf"-mjpeg_port {taken}: cannot be listened on"):
            PictureServer(taken)
    server = PictureServer(0)
    server.show(b"first")
    with urllib.request.urlopen(f"http://localhost:{server.port}/") as answer:
        kind, boundary = answer.headers["Content-Type"].split("; boundary=")
        assert kind == "multipart/x-mixed-replace"
        assert answer.readline() == f"--{boundary}\r\n".encode()
        assert answer.read(54) == b"Content-Type: image/jpeg\r\nContent-Length: 5\r\n\r\nfirst\r\n"
    server.close()


def test_tensorboard_is_an_extra(folder, capsys, monkeypatch):
    cfg = write_cfg(folder / "net.cfg", max_batches=1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    line = refused(capsys, "detector", "train", folder / "two.data", cfg, "-tensorboard", "tb")
    assert line == "needs the package tensorboard: pip install 'darknet-py[tensorboard]'"


def test_layers_are_timed(folder, capsys):
    cfg = write_cfg(folder / "net.cfg", max_batches=1)
    assert run("detector", "train", folder / "two.data", cfg, "-benchmark_layers") == 0
    out = capsys.readouterr().out
    assert re.search(r"\n +\d+\.\d{3}  layer 0 \[convolutional\]\n", out)


def test_memory_that_runs_out_halves_the_mini_batch(folder, capsys, monkeypatch):
    cfg = write_cfg(folder / "net.cfg", max_batches=2)
    learn = learning.Learner.learn

    def scarce(self, inputs, truth):
        if len(inputs) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return learn(self, inputs, truth)

    monkeypatch.setattr(learning.Learner, "learn", scarce)
    assert run("detector", "train", folder / "two.data", cfg) == 0
    assert "mini-batches are learned in 2 parts" in capsys.readouterr().err


ERRORS = {
    "no list": (
        {"two.data": ("train.txt", "none.txt")},
        "{folder}/none.txt: cannot be opened: No such file or directory",
    ),
    "no train": (
        {"two.data": ("train=", "trained=")},
        "{folder}/two.data: has no line train=..., the list of images",
    ),
    "empty list": ({"train.txt": (None, "\n\n")}, "{folder}/train.txt: names no image"),
    "classes": (
        {"two.data": ("classes=2", "classes=3")},
        "{folder}/two.data: classes=3, but {folder}/net.cfg:34: [yolo] has classes=2",
    ),
    "names": (
        {"two.names": (None, "red\n")},
        "{folder}/two.names: holds 1 names, but {folder}/net.cfg:34: [yolo] has classes=2",
    ),
    "wrong filters": (
        {"net.cfg": ("filters=14", "filters=15")},
        None,
    ),
    "batch": (
        {"net.cfg": ("batch=4", "batch=0")},
        "{folder}/net.cfg:2: [net]: batch must be at least 1, got 0",
    ),
    "subdivisions": (
        {"net.cfg": ("subdivisions=2", "subdivisions=8")},
        "{folder}/net.cfg:3: [net]: subdivisions=8 is more than batch=4: a mini-batch would have "
        "no image",
    ),
    "no loss": (
        {"net.cfg": ("[yolo]", "[avgpool]\n[empty]")},
        None,
    ),
    "backup": (
        {"two.data": ("/backup", "/train.txt/backup")},
        "{folder}/train.txt/backup: weights cannot be written there: Not a directory (backup= of "
        "the .data file, or -out, names the folder)",
    ),
    "pictures": ({"train.txt": (None, "none.png\n")}, None),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_line(folder, capsys, recwarn, case):
    write_cfg(folder / "net.cfg")
    changes, expected = ERRORS[case]
    for name, (old, new) in changes.items():
        text = (folder / name).read_text()
        (folder / name).write_text(new if old is None else text.replace(old, new))
    assert run("detector", "train", folder / "two.data", folder / "net.cfg") == 1
    lines = capsys.readouterr().err.splitlines()
    if expected is not None:
        assert lines == [f"darknet-py: {expected.format(folder=folder)}"]
    assert "unexpected" not in lines[-1]


def test_missing_files_are_one_line(folder, capsys):
    cfg = write_cfg(folder / "net.cfg")
    data = folder / "two.data"
    assert refused(capsys, "detector", "train", "none.data", cfg).startswith("none.data: cannot")
    assert refused(capsys, "detector", "train", data, "none.cfg").startswith("none.cfg: cannot")
    line = refused(capsys, "detector", "train", data, cfg, "none.weights")
    assert line.startswith("none.weights: cannot be opened")
    assert "-save_minutes must be 0 or more" in refused(
        capsys, "detector", "train", data, cfg, "-amp", "-save_minutes", "-1"
    )


def test_seed_says_what_comes_out(folder):
    cfg = write_cfg(folder / "net.cfg", max_batches=2)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert train(folder / "two.data", cfg, "-seed", seed, "-out", name) == 0
    a, b, c = ((folder / name / "net_final.weights").read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize("text", [DETECTOR, DETECTOR + "iou_loss=ciou\n"])
def test_half_precision(folder, text):
    cfg = write_cfg(folder / "net.cfg", text, max_batches=2)
    assert train(folder / "two.data", cfg, "-amp") == 0

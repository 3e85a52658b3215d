"""The commands that score, on small networks; and against the C program where it has them."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from darknet_py.cli import main
from darknet_py.image import save_image
from darknet_py.network import Network
from darknet_py.textgenerate import Perplexity
from darknet_py.weights import save_weights

DARKNET = Path("/usr/bin/darknet")
live = pytest.mark.skipif(not DARKNET.exists(), reason="needs Debian's darknet")

NET = "[net]\nbatch=1\nsubdivisions=1\nheight={size}\nwidth={size}\nchannels=3\n"
NET += "learning_rate=0.001\nmomentum=0.9\ndecay=0.0005\n"
DETECTOR = NET.format(size=64) + (
    "[convolutional]\nfilters=8\nsize=3\nstride=4\npad=1\nactivation=leaky\n"
    "[convolutional]\nfilters=14\nsize=3\nstride=2\npad=1\nactivation=linear\n"
    "[yolo]\nclasses=2\nnum=2\nmask=0,1\nanchors=12,13,24,30\n"
)
CLASSIFIER = NET.format(size=64) + (
    "[convolutional]\nfilters=8\nsize=3\nstride=4\npad=1\nactivation=leaky\n"
    "[convolutional]\nfilters=4\nsize=1\nstride=1\nactivation=linear\n"
    "[avgpool]\n[softmax]\n[cost]\ntype=sse\n"
)
RNN = "[net]\nsubdivisions=1\ninputs=256\nbatch=1\ntime_steps=1\nlearning_rate=0.1\n" + (
    "[rnn]\noutput=32\nactivation=tanh\n"
    "[connected]\noutput=256\nactivation=linear\n[softmax]\n[cost]\ntype=sse\n"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Pictures with labels, three networks with weights, and their .data files."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(1)
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "labels").mkdir()
    names = []
    for i in range(6):
        picture = random.integers(0, 256, (70 + 5 * i, 90, 3)).astype(np.uint8)
        picture[20:50, 20 + i : 60] = (250, 20, 40 * i)
        name = f"{('dog', 'cat')[i % 2]}_{i}"
        names.append(str(tmp_path / "JPEGImages" / f"{name}.png"))
        save_image(picture, names[-1])
        lines = [f"{i % 2} 0.5 0.5 0.4 0.{i + 2}\n", "1 0.25 0.25 0.25 0.3\n"]
        (tmp_path / "labels" / f"{name}.txt").write_text("".join(lines))
    (tmp_path / "list.txt").write_text("\n".join(names) + "\n")
    (tmp_path / "names.txt").write_text("dog\ncat\n")
    (tmp_path / "labels.txt").write_text("dog_\ncat_\nowl_\nbee_\n")
    (tmp_path / "d.data").write_text(
        "classes=2\nvalid=list.txt\ntrain=list.txt\nnames=names.txt\nresults=results\n"
    )
    (tmp_path / "c.data").write_text(
        "classes=4\nvalid=list.txt\ntest=list.txt\nnames=labels.txt\nlabels=labels.txt\ntop=2\n"
    )
    for name, cfg in (("d", DETECTOR), ("c", CLASSIFIER), ("r", RNN)):
        (tmp_path / f"{name}.cfg").write_text(cfg)
        torch.manual_seed(2)
        network = Network.from_cfg(f"{name}.cfg", "pjreddie")
        with torch.no_grad():
            for _, array, tensor in network.arrays():
                tensor.copy_(torch.randn_like(tensor) * (0.3 if "weights" in array else 0.5))
        save_weights(network, f"{name}.weights")
    return tmp_path


def c(*words, stdin=None):
    line = [str(DARKNET), *words]
    return subprocess.run(line, capture_output=True, text=True, errors="replace", input=stdin)


def numbers(text):
    return [float(word) for word in re.findall(r"-?\d+\.\d+", text)]


def same_but_rounding(ours, theirs, tolerance=2e-3):
    """The same lines, and numbers equal to rounding."""
    strip = [re.sub(r"-?\d+\.\d+", "#", text) for text in (ours, theirs)]
    assert strip[0] == strip[1]
    assert numbers(ours) == pytest.approx(numbers(theirs), rel=tolerance, abs=tolerance)


def test_map_prints_and_writes_the_figures(folder, capsys):
    pytest.importorskip("faster_coco_eval")
    line = ["detector", "map", "d.data", "d.cfg", "d.weights", "-quiet", "-coco"]
    assert main([*line, "-iou_thresh", "0.1", "-out", "map.json"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("\n calculation mAP (mean average precision)...\n Detection layer: 2 - ")
    assert "unique_truth_count = 12" in out and "IoU threshold = 10 %, used Area-Under" in out
    assert "VOC2007" in out and "Average Recall     (AR)" in out
    assert err == "Total Detection Time: 0 Seconds\n"
    found = json.loads((folder / "map.json").read_text())
    assert found["images"] == 6 and [c["name"] for c in found["classes"]] == ["dog", "cat"]
    assert f"mean average precision (mAP@0.10) = {found['mean_average_precision']:f}" in out
    assert set(found["coco"]["classes"]) == {"dog", "cat"}


def test_a_picture_without_labels_is_warned_of(folder, capsys):
    (folder / "labels" / "dog_0.txt").unlink()
    assert main(["detector", "map", "d.data", "d.cfg", "d.weights", "-quiet"]) == 0
    out, err = capsys.readouterr()
    assert "unique_truth_count = 10" in out
    assert "dog_0.png: has no label file" in err


def test_valid_needs_a_list(folder, capsys):
    (folder / "e.data").write_text("names=names.txt\n")
    assert main(["detector", "valid", "e.data", "d.cfg", "d.weights"]) == 1
    text = "darknet-py: e.data: has no line valid=... that names a list of pictures\n"
    assert capsys.readouterr().err.endswith(text)


@live
@pytest.mark.parametrize("kind", ["voc", "coco"])
def test_valid_writes_cs_files(folder, kind):
    files = {}
    for who in ("c", "ours"):
        (folder / "results").mkdir(exist_ok=True)
        with (folder / "d.data").open("a") as data:
            data.write(f"eval={kind}\n" if who == "c" else "")
        if who == "c":
            c("detector", "valid", "d.data", "d.cfg", "d.weights")
        else:
            line = ["detector", "valid", "d.data", "d.cfg", "d.weights", "-quiet"]
            assert main([*line, "-dialect", "pjreddie"]) == 0
        paths = sorted((folder / "results").iterdir())
        files[who] = {path.name: path.read_text() for path in paths}
        for path in paths:
            path.unlink()
    assert files["c"].keys() == files["ours"].keys()
    assert any(files["c"].values())
    for name, text in files["c"].items():
        rows = [
            np.array([numbers(line) for line in lines.splitlines() if numbers(line)])
            for lines in (files["ours"][name], text)
        ]
        assert rows[0].shape == rows[1].shape
        # the lines stand in order of score, which rounding changes where scores are nearly equal
        nearest = [np.abs(rows[0] - row).max(1).min() for row in rows[1]]
        assert max(nearest) < 2e-3


@live
@pytest.mark.parametrize("command", ["valid", "validfull", "valid10", "validmulti", "label", "csv"])
def test_the_classifiers_commands_print_cs_lines(folder, capsys, command):
    done = c("classifier", command, "c.data", "c.cfg", "c.weights")
    line = ["classifier", command, "c.data", "c.cfg", "c.weights", "-quiet"]
    assert main([*line, "-dialect", "pjreddie"]) == 0
    same_but_rounding(capsys.readouterr().out, done.stdout, 2e-5)


def test_valid_of_alexeyab(folder, capsys):
    line = ["classifier", "valid", "c.data", "c.cfg", "c.weights", "-quiet", "-out", "v.json"]
    assert main([*line, "-dialect", "alexeyab"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(" TOP calculation...\n\n0: top 1: ")
    found = json.loads((folder / "v.json").read_text())
    assert out.endswith(f"5: top 1: {found['top_1']:f}, top 2: {found['top_2']:f}")


@live
def test_test_and_fout_print_every_probability(folder, capsys):
    for words in (["test"], ["fout"]):
        last = ["list.txt"] if words == ["fout"] else []
        done = c("classifier", *words, "c.data", "c.cfg", "c.weights", *last)
        line = ["classifier", *words, "c.data", "c.cfg", "c.weights", *last]
        assert main([*line, "-dialect", "pjreddie", "-quiet"]) == 0
        ours, theirs = capsys.readouterr().out.splitlines(), done.stdout.splitlines()
        assert len(ours) == 6  # C's `test` leaves the last batch out
        same_but_rounding("\n".join(ours[: len(theirs)]), "\n".join(theirs), 1e-4)


def test_recall_prints_a_line_for_each_picture(folder, capsys):
    line = ["detector", "recall", "d.data", "d.cfg", "d.weights", "-quiet", "-out", "r.json"]
    assert main(line) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6 and lines[-1].startswith("    5 ")
    found = json.loads((folder / "r.json").read_text())
    assert f"{100 * found['recall']:.2f}%" in lines[-1] and found["total"] == 12


def test_calc_anchors_writes_its_files(folder, capsys):
    line = ["detector", "calc_anchors", "d.data", "-num_of_clusters", "2", "-seed", "3"]
    assert main([*line, "-width", "64", "-height", "32"]) == 0
    out = capsys.readouterr().out
    anchors = (folder / "anchors.txt").read_text()
    assert f"\nSaving anchors to the file: anchors.txt \nanchors = {anchors}\n" in out
    assert (folder / "counters_per_class.txt").read_text() == "counters_per_class = 3, 9"
    assert (folder / "cloud.png").exists() and " avg IoU = " in out
    assert main(line) == 1
    error = "darknet-py: -width and -height must be given: those of the network\n"
    assert capsys.readouterr().err == error


@live
def test_rnn_valid_prints_cs_figures(folder, capsys, monkeypatch):
    text = "To be, or not to be\n>>that is.\n"
    for command in ("valid", "validtactic"):
        done = c("rnn", command, "r.cfg", "r.weights", stdin=text)
        monkeypatch.setattr("darknet_py.cli.rnn._read_input", text.encode)
        assert main(["rnn", command, "r.cfg", "r.weights", "-quiet"]) == 0
        ours = capsys.readouterr().out
        assert ours.count("\n") == done.stdout.count("\n")
        assert numbers(ours) == pytest.approx(numbers(done.stdout), rel=1e-3)


@live
def test_a_cold_network_writes_what_c_writes(folder, capfdbinary):
    words = ["rnn", "generate", "r.cfg", "r.weights", "-temp", "0.0001", "-len", "30"]
    done = subprocess.run([DARKNET, *words, "-seed", "abc"], capture_output=True)
    assert main([*words, "-seed", "abc", "-quiet"]) == 0
    assert capfdbinary.readouterr().out == done.stdout


def test_the_seed_decides_what_is_written(folder, capfdbinary):
    texts = []
    for seed in ("1", "1", "2"):
        line = ["rnn", "generate", "r.cfg", "r.weights", "-quiet", "-len", "20", "-srand", seed]
        assert main(line) == 0
        texts.append(capfdbinary.readouterr().out)
    assert texts[0] == texts[1] != texts[2]


def test_nightmare_changes_the_picture(folder, capsys):
    picture = str(next((folder / "JPEGImages").iterdir()))
    line = ["nightmare", "c.cfg", "c.weights", picture, "1", "-iters", "2", "-quiet"]
    for more in ([], ["-reconstruct"]):
        assert main([*line, "-rounds", "2", "-rotate", "0.1", "-zoom", "0.9", *more]) == 0
    out, err = capsys.readouterr()
    name = f"{Path(picture).stem}_c_1_000001"
    assert f"1 {name}\n" in out and "mag: " in out and "Iteration: 0, 1, done\n" in err
    assert (folder / f"{name}.jpg").exists()


@live
def test_cifar_prints_cs_accuracy(folder, capsys):
    (folder / "f.cfg").write_text(CLASSIFIER.replace("64", "32").replace("filters=4", "filters=10"))
    network = Network.from_cfg("f.cfg", "pjreddie")
    save_weights(network, "f.weights")
    data = folder / "data/cifar/cifar-10-batches-bin"
    data.mkdir(parents=True)
    records = np.random.default_rng(0).integers(0, 256, (10000, 3073)).astype(np.uint8)
    records[:, 0] %= 10
    records.tofile(data / "test_batch.bin")
    done = c("cifar", "test", "f.cfg", "f.weights")
    assert main(["cifar", "test", "f.cfg", "f.weights", "-quiet"]) == 0
    ours = capsys.readouterr().out
    assert ours.split(",")[0] == done.stdout.split(",")[0]
    assert ours.endswith("10000 images\n")


def test_regressor_and_tag(folder, capsys):
    picture = str(next((folder / "JPEGImages").iterdir()))
    assert main(["regressor", "test", "c.cfg", "c.weights", picture, "-quiet"]) == 0
    assert re.fullmatch(
        r"Predicted: 0\.\d{6}\n.*Predicted in .* seconds\.\n", capsys.readouterr().out
    )
    line = ["tag", "test", "c.cfg", "c.weights", picture, "-quiet", "-names", "labels.txt"]
    assert main(line) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and lines[2].endswith("_")


def test_segmenter_and_super_write_pictures(folder, capsys):
    (folder / "s.cfg").write_text(
        NET.format(size=32) + "[convolutional]\nfilters=3\nsize=3\npad=1\nactivation=logistic\n"
    )
    save_weights(Network.from_cfg("s.cfg", "pjreddie"), "s.weights")
    picture = str(next((folder / "JPEGImages").iterdir()))
    assert main(["segmenter", "test", "d.data", "s.cfg", "s.weights", picture, "-quiet"]) == 0
    assert (folder / "orig.jpg").exists() and (folder / "pred.jpg").exists()
    assert main(["super", "test", "s.cfg", "s.weights", picture, "-quiet"]) == 0
    assert (folder / "out.jpg").exists()
    assert re.search(r"^90 \d+\n", capsys.readouterr().out, re.MULTILINE)


def test_validcrop_of_a_few_pictures(folder, capsys):
    assert main(["classifier", "validcrop", "c.data", "c.cfg", "c.weights", "-quiet"]) == 0
    pattern = r"1: top 1: 0\.\d{6}, top 2: \d\.\d{6}, \d+\.\d{6} seconds, 6 images\n"
    assert re.fullmatch(pattern, capsys.readouterr().out)


def test_vec_forgets_between_lines(folder, capfd, monkeypatch):
    monkeypatch.setattr("darknet_py.cli.rnn._read_input", lambda: b"to be\nor not\nto be\n")
    assert main(["rnn", "vec", "r.cfg", "r.weights", "-quiet"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == lines[2] != lines[1]
    assert lines[0].startswith("tobe,") and len(lines[0].split(",")) == 33


def test_an_impossible_character():
    figures = Perplexity()
    figures.add(0.5)
    assert figures.bits_per_character == 1 and figures.per_character == 2
    figures.add(0)
    assert figures.per_word == np.inf

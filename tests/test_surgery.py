"""The small weight tools, live against the C program and on networks that it cannot take."""

import math
import re
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import assert_close, build, ramp

from darknet_py.cli import main
from darknet_py.errors import DarknetError
from darknet_py.network import Network
from darknet_py.surgery import average, denormalize, load_shifted, normalize, rescale, reset
from darknet_py.weight_views import (
    count_operations,
    draw_filters,
    draw_maps,
    filter_rows,
    statistics,
)
from darknet_py.weights import load_weights, save_weights

DARKNET = Path("/usr/bin/darknet")
CFGS = Path("/usr/share/darknet/cfg")
live = pytest.mark.skipif(not DARKNET.exists(), reason="needs Debian's darknet")
TOOLS = ["denormalize", "normalize", "rescale", "reset", "rgbgr"]
NET = "[net]\nchannels=3\nheight=8\nwidth=10\n"
MIXED = f"""{NET}
[convolutional]
filters=4
size=3
pad=1
batch_normalize=1
activation=leaky

[convolutional]
filters=6
groups=2
size=3
stride=2
batch_normalize=1

[batchnorm]

[local]
filters=2
size=3
stride=1
activation=relu

[connected]
output=7
batch_normalize=1

[connected]
output=5

[rnn]
output=3
batch_normalize=1

[lstm]
output=4
batch_normalize=1
"""
SMALL = f"{NET}[convolutional]\nfilters=5\nsize=1\n[convolutional]\nfilters=2\nsize=3\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    Path("mixed.cfg").write_text(MIXED)
    Path("small.cfg").write_text(SMALL)


def model(name, seed=1):
    """A cfg, ours or Debian's, and the file of random weights that is written for it."""
    cfg = Path(f"{name}.cfg") if Path(f"{name}.cfg").exists() else CFGS / f"{name}.cfg"
    network = Network.from_cfg(cfg, "pjreddie", initialize=False)
    generator = torch.Generator().manual_seed(seed)
    for _, array, tensor in network.arrays():
        torch.nn.init.normal_(tensor, std=0.1, generator=generator)
        if array.rpartition(".")[2] == "rolling_variance":
            tensor.data.abs_()
    network.seen = 12345 * seed
    save_weights(network, f"{name}{seed}.weights")
    return str(cfg), f"{name}{seed}.weights"


def both(capfd, *words, status=0):
    """The same words for C and for us: the same on stdout, stderr and in `out`, which is left."""
    Path("out").unlink(missing_ok=True)
    done = subprocess.run([DARKNET, *map(str, words)], capture_output=True, text=True, check=True)
    theirs = Path("out").read_bytes() if Path("out").exists() else None
    Path("out").unlink(missing_ok=True)
    capfd.readouterr()
    assert main([*map(str, words), "-dialect", "pjreddie"]) == status
    out, err = capfd.readouterr()
    assert out == done.stdout
    assert lines(err) == lines(done.stderr)
    ours = Path("out").read_bytes() if Path("out").exists() else None
    assert ours == theirs
    return out


def lines(err):
    """Without what is said of single keys, which C puts between a layer's number and its line."""
    keys = ("Using default", "Unused field", "warning: ")
    kept = (line for line in err.splitlines() if not any(key in line for key in keys))
    return [re.sub(r"^ *\d+ ", "", line) for line in kept]


@live
@pytest.mark.filterwarnings("ignore::darknet_py.DarknetWarning")
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", ["mixed", "small", "cifar", "tiny", "rnn", "yolov3-tiny"])
def test_files_are_those_of_c(name, tool, capfd):
    both(capfd, tool, *model(name), "out")


@live
@pytest.mark.parametrize("count", [0, 1, 3, 99])
def test_partial_is_that_of_c(count, capfd):
    cfg, weights = model("mixed")
    both(capfd, "partial", cfg, weights, "out", count)


@live
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", ["small", "cifar"])
def test_average_is_that_of_c(name, count, capfd):
    files = [model(name, seed)[1] for seed in range(1, count + 1)]
    both(capfd, "average", model(name)[0], "out", *files)


@live
def test_average_of_the_rest_is_the_first_file(capfd):
    # without groups, which make C write past its arrays
    Path("rest.cfg").write_text(MIXED.replace("groups=2\n", ""))
    files = [model("rest", seed)[1] for seed in (1, 2)]
    both(capfd, "average", "rest.cfg", "out", *files)


@live
@pytest.mark.filterwarnings("ignore::darknet_py.DarknetWarning")
@pytest.mark.parametrize("name", ["mixed", "cifar", "yolov1-tiny"])
def test_statistics_are_those_of_c(name, capfd):
    both(capfd, "statistics", *model(name))


@live
@pytest.mark.parametrize("layer", [0, 3])
def test_printed_filters_are_those_of_c(layer, capfd):
    out = both(capfd, "print", *model("mixed"), layer)
    assert len(out.splitlines()) == (4, 0, 0, 2)[layer]


@live
@pytest.mark.filterwarnings("ignore::darknet_py.DarknetWarning")
@pytest.mark.parametrize("name", ["mixed", "tiny", "gru", "rnn", "resnext50", "yolov1-tiny"])
def test_operations_are_those_of_c(name, capfd):
    cfg = f"{name}.cfg" if name == "mixed" else CFGS / f"{name}.cfg"
    both(capfd, "ops", cfg)


@live
def test_speed_prints_the_lines_of_c(capfd):
    cfg, _ = model("small")
    done = subprocess.run([DARKNET, "speed", cfg, "3"], capture_output=True, text=True, check=True)
    assert main(["speed", cfg, "3"]) == 0
    ours, theirs = capfd.readouterr().out.splitlines(), done.stdout.splitlines()
    assert len(ours) == 6
    for mine, its in zip(ours, theirs, strict=True):
        assert mine.rstrip("0123456789. secvalHzBnSod/") == its.rstrip("0123456789. secvalHzBnSod/")
    assert ours[1].startswith("3 evals, ") and ours[2] == theirs[2]


@live
def test_oneoff2_is_that_of_c(capfd):
    text = NET + "[convolutional]\nfilters=3\nsize=3\npad=1\n" * 3
    Path("same.cfg").write_text(text)
    cfg, weights = model("same")
    both(capfd, "oneoff2", cfg, weights, "out", 1)
    first, second = np.fromfile("out", "<f4")[5:].reshape(3, -1)[:2]
    assert np.array_equal(first, second)


ONEOFF = f"{NET}[convolutional]\nfilters=2\nsize=3\n[convolutional]\nfilters=%d\n[softmax]\n"


@live
def test_oneoff_is_that_of_c(capfd):
    Path("from.cfg").write_text(ONEOFF % 11921)
    Path("to.cfg").write_text(ONEOFF % (3 * 11926))
    _, weights = model("from")
    done = subprocess.run(
        [DARKNET, "oneoff", "to.cfg", weights, "theirs"], capture_output=True, text=True, check=True
    )
    assert main(["oneoff", "to.cfg", weights, "ours"]) == 0
    out, err = capfd.readouterr()
    assert out == done.stdout == "35778\n"
    assert lines(err) == lines(done.stderr.replace("theirs", "ours"))
    ours, theirs = (np.fromfile(name, "<f4") for name in ("ours", "theirs"))
    start = 5 + 2 + 2 * 27 + 3 * 11926  # header, first layer, biases
    assert np.array_equal(ours[:start], theirs[:start])
    mine, its = (values[start:].reshape(3, 11926, 2) for values in (ours, theirs))
    assert np.array_equal(mine[:, 5:], its[:, 5:])
    assert np.abs(its[:, :5]).max() < 0.5 > np.abs(mine[:, :5]).max()  # random in both


def test_oneoff_needs_a_large_layer():
    network = build("[convolutional]\nfilters=9\n[softmax]", dialect="alexeyab")
    expected = (
        r"^oneoff needs a \[convolutional\] of at least 9377 filters as the last layer but one, "
        r"layer 0 is a \[convolutional\] of 9$"
    )
    with pytest.raises(DarknetError, match=expected):
        load_shifted(network, "any")


@live
def test_filters_are_drawn_as_c_does(capfd):
    cfg, weights = model("mixed")
    subprocess.run([DARKNET, "visualize", cfg, weights], capture_output=True, check=True)
    theirs = {path.name: cv2.imread(str(path)) for path in Path().glob("Layer *.jpg")}
    assert main(["visualize", cfg, weights, "-dialect", "pjreddie"]) == 0
    assert capfd.readouterr().out == "Layer 0.jpg\nLayer 1.jpg\n"
    assert sorted(theirs) == ["Layer 0.jpg", "Layer 1.jpg"]
    for name, picture in theirs.items():
        ours = cv2.imread(name)
        assert ours.shape == picture.shape
        # two JPEG writers at quality 80
        assert np.abs(ours.astype(int) - picture).mean() < 2.5, name


def test_filters_reach_from_black_to_white():
    network = build("[convolutional]\nfilters=4\nsize=2\n[convolutional]\nfilters=3\nsize=2")
    coloured, grey = (draw_filters(layer) for layer in network)
    assert coloured.shape == (4 * 3 - 1, 2, 3) and grey.shape == (3 * 3 - 1, 4 * 3 - 1, 1)
    weights = network[1].weights.detach().numpy()
    for n in range(3):
        for c in range(4):
            least, most = weights[n].min(), weights[n].max()
            expected = (weights[n, c] - least) / (most - least)
            assert_close(grey[3 * n : 3 * n + 2, 3 * c : 3 * c + 2, 0], expected)
    assert not grey[2].any() and not coloured[2].any()


def test_maps_stand_in_a_grid():
    picture = draw_maps(ramp(5, 3, 4).numpy())
    assert picture.shape == (3 * 4 - 1, 2 * 5 - 1, 1)
    assert picture.min() == 0 and picture.max() == 1
    assert not picture[8:, 5:].any()


def test_visualize_draws_maps_of_a_picture(capfd):
    cfg, weights = model("small")
    cv2.imwrite("dog.png", np.arange(300, dtype=np.uint8).repeat(3).reshape(15, 20, 3))
    Path("folder").mkdir()
    assert main(["visualize", cfg, weights, "dog.png", "-out", "folder", "-layer", "0"]) == 0
    assert sorted(p.name for p in Path("folder").iterdir()) == [
        "Layer 0 Output.jpg",
        "Layer 0.jpg",
    ]
    assert main(["visualize", cfg, "-layer", "7", "-quiet"]) == 1
    err = capfd.readouterr().err
    assert err.endswith("darknet-py: small.cfg: there is no [convolutional] layer at 7\n")


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_denormalized_networks_answer_the_same(dialect):
    body = MIXED.partition("[batchnorm]")[0].removeprefix(NET) + (
        "[avgpool]\n[connected]\noutput=7\nbatch_normalize=1\n[gru]\noutput=3\nbatch_normalize=1\n"
    )
    network, changed = (build(body, (3, 8, 10), dialect) for _ in range(2))
    x = ramp(2, 3, 8, 10)
    expected = network.run(x)[0]
    reset(changed)
    torch.testing.assert_close(changed.run(x)[0], expected, rtol=1e-3, atol=1e-4)
    denormalize(changed)
    changed.reset_state()
    torch.testing.assert_close(changed.run(x)[0], expected, rtol=1e-3, atol=1e-4)
    names = {name.rpartition(".")[2] for _, name, _ in changed.arrays()}
    assert names == {"biases", "weights"}
    save_weights(changed, "out.weights")
    again = build(body.replace("batch_normalize=1", ""), (3, 8, 10), dialect)
    load_weights(again, "out.weights")
    changed.reset_state()
    assert_close(again.run(x)[0], changed.run(x)[0])


def test_deconvolutions_are_folded():
    body = "[deconvolutional]\nfilters=4\nsize=2\nstride=2\nbatch_normalize=1\nactivation=linear"
    network = build(body)
    x = ramp(2, 3, 5, 7)
    expected = network.run(x)[0]
    denormalize(network)
    torch.testing.assert_close(network.run(x)[0], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dialect, lstm", [("pjreddie", False), ("alexeyab", True)])
def test_only_alexeyab_reaches_into_an_lstm(dialect, lstm):
    body = "[lstm]\noutput=3\nbatch_normalize=1\n[gru]\noutput=2\nbatch_normalize=1"
    network = build(body, (5,), dialect)
    lines = list(statistics(network))
    assert ("LSTM Layer 0" in lines) == lstm
    assert lines[lines.index("GRU Layer 1") + 1] == "Input Z"
    reset(network)
    assert (network[0].parts["wf"].normalizer.scales == 1).all() == lstm
    normalize(network)
    assert (network[0].parts["wf"].normalizer.rolling_variance == 0).all() == lstm
    assert (network[1].parts["uz"].normalizer.rolling_variance == 0).all()
    denormalize(network)
    assert network[0].parts["wf"].normalizer is not None
    assert network[1].parts["uz"].normalizer is None


def test_shared_filters_are_changed_once():
    body = (
        "[convolutional]\nfilters=3\nsize=3\npad=1\nbatch_normalize=1\nactivation=linear\n"
        "[convolutional]\nfilters=3\nsize=3\npad=1\nbatch_normalize=1\nshare_index=0\n"
        "activation=linear"
    )
    network = build(body)
    x = ramp(1, 3, 5, 7)
    expected = network.run(x)[0]
    reset(network)
    torch.testing.assert_close(network.run(x)[0], expected, rtol=1e-3, atol=1e-4)
    average(network, [network])
    torch.testing.assert_close(network.run(x)[0], expected, rtol=1e-3, atol=1e-4)


def test_rescaled_networks_take_images_around_zero():
    body = "[convolutional]\nfilters=4\nsize=3\nactivation=linear"
    network, changed = build(body), build(body)
    rescale(changed)
    x = ramp(2, 3, 5, 7)
    # PARITY: C adds the doubled weights, so that -1 to 1 with the factor 2 is x + 0.5
    torch.testing.assert_close(changed.run(x / 2 + 0.5)[0], network.run(x)[0])


def test_alexeyab_counts_groups_in_full():
    body = "[convolutional]\nfilters=4\n[convolutional]\nfilters=6\ngroups=2\nsize=3\npad=1"
    counts = [count_operations(build(body, dialect=name)) for name in ("pjreddie", "alexeyab")]
    places = 2 * 5 * 7
    assert counts == [places * (4 * 3 + 6 * 2 * 9), places * (4 * 3 + 6 * 4 * 9)]


def test_filters_with_groups_have_their_own_channels():
    network = build("[convolutional]\nfilters=4\n[convolutional]\nfilters=6\ngroups=2\nsize=3")
    rows = list(filter_rows(network, 1))
    assert len(rows) == 6 and {len(row) for row in rows} == {2 * 9}
    assert math.isclose(rows[0][0], network[1].weights.view(-1)[0].item())


def test_what_cannot_be_done_is_one_line(capsys):
    cfg, weights = model("mixed")
    for words, expected in (
        (["print", cfg, weights, "9"], "there is no layer 9: the cfg has 0 to 7"),
        (["print", cfg, weights, "2"], "layer 2 is a [batchnorm] and has no filters"),
        (["print", cfg, weights, "x"], "N must be a number of layers, got 'x'"),
        (["partial", cfg, weights, "out", "-1"], "N must be a number of layers, got '-1'"),
        (["oneoff2", cfg, weights, "out", "8"], "there is no layer 8: the cfg has 0 to 7"),
        (["rgbgr", cfg, weights, "no/out"], "no/out: cannot be written: No such file or directory"),
    ):
        assert main([*words, "-quiet"]) == 1, words
        out, err = capsys.readouterr()
        assert (out, err) == ("", f"darknet-py: {expected}\n")

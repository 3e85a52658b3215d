import json
import subprocess
import sys

import pytest
import torch
from helpers import ROOT, build, ramp

from darknet_py.cli import main
from darknet_py.lower import prepare
from darknet_py.profiling import profile

BODY = """[convolutional]
filters=4
size=3
pad=1
activation=leaky
[convolutional]
filters=4
size=3
pad=1
activation=linear
[shortcut]
from=-2
activation=leaky
[maxpool]
size=2
[route]
layers=-1,-4
[avgpool]
"""


@pytest.fixture
def cfg(tmp_path):
    path = tmp_path / "small.cfg"
    path.write_text(
        "[net]\nchannels=3\nheight=12\nwidth=10\n" + BODY.replace("layers=-1,-4", "layers=-1")
    )
    return path


def test_every_layer_that_runs_has_its_time():
    network = build(BODY.replace("size=2\n", "size=2\nstride=1\npadding=1\n"), (3, 12, 10))
    found = profile(network, prepare(network), ramp(2, 3, 12, 10), seconds=0.1)
    assert [index for share in found.shares for index in share.layers] == list(range(6))
    assert all(share.milliseconds > 0 for share in found.shares if "in place" not in share.kind)
    assert found.operations == 2 * sum(layer.operations for layer in network)
    assert (found.batch, found.dtype) == (2, "float32")
    assert found.peak >= max(found.matmul, found.convolution) > 0
    assert found.fastest <= found.milliseconds
    assert sum(share.milliseconds for share in found.kinds()) == pytest.approx(found.measured)


def test_fused_layers_stand_in_one_line():
    network = build(BODY, (3, 12, 10))
    lowered = prepare(network)
    if not lowered.place.fused:
        pytest.skip("PyTorch has no fused convolutions here")
    body = BODY.split("[maxpool]")[0].replace("from=-2\nactivation=leaky", "from=-2")
    network = build(body, (3, 12, 10))
    found = profile(network, prepare(network), ramp(1, 3, 12, 10), seconds=0.1)
    kinds = [(share.layers, share.kind) for share in found.shares]
    assert kinds == [((0,), "conv 3x3 leaky"), ((1, 2), "conv 3x3 linear + shortcut")]


def test_the_clocks_change_no_output():
    network = build(BODY.split("[route]")[0], (3, 12, 10))
    lowered, x = prepare(network), ramp(1, 3, 12, 10)
    before = lowered(x)
    profile(network, lowered, x, seconds=0.05)
    assert all(torch.equal(*pair) for pair in zip(lowered(x), before, strict=True))


def test_command(cfg, tmp_path, capsys, monkeypatch):
    out = tmp_path / "profile.json"
    assert main(["speed", str(cfg), "-profile", "-out", str(out), "-quiet", "-batch", "2"]) == 0
    text = capsys.readouterr().out
    assert "conv 3x3 leaky" in text and "% of peak" in text and "a batch of 2" in text
    data = json.loads(out.read_text())
    assert data["batch"] == 2
    assert data["layers"][0]["kind"] == "conv 3x3 leaky"
    assert sum(layer["share"] for layer in data["layers"]) == pytest.approx(1)


def test_times_or_weights(cfg, tmp_path, capsys):
    from darknet_py.network import Network
    from darknet_py.weights import save_weights

    weights = tmp_path / "small.weights"
    save_weights(Network.from_cfg(cfg), weights)
    for words in (["3"], [str(weights), "3"], [str(weights), "3", "-half"]):
        assert main(["speed", str(cfg), *words, "-quiet"]) == 0
        assert "3 evals, " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-out", "x.json"], "-out is for -profile"),
        (["-batch", "0"], "-batch and -threads must be at least 1"),
        (["-profile", "-compile"], "-profile shows the layers; after -compile there are none"),
    ],
)
def test_flags_that_do_not_fit(cfg, words, message, capsys):
    assert main(["speed", str(cfg), "-quiet", *words]) == 1
    assert capsys.readouterr().err == f"darknet-py: {message}\n"


def test_threads(cfg):
    run = [sys.executable, "-m", "darknet_py", "speed", cfg, "-profile", "-threads", "1", "-quiet"]
    done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "1 threads" in done.stdout

"""A tree or map that a cfg names travels inside a converted model."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import ramp

from darknet_py import Network, load_weights, save_weights
from darknet_py.convert import Options, convert, convert_network
from darknet_py.detector import Detector
from darknet_py.errors import WeightsError
from darknet_py.metadata import Metadata
from darknet_py.named import read_named
from darknet_py.runtime.detector import ModelDetector

TREE = "a -1\nb -1\nc 0\nd 0\né 2\n"
CFG = """[net]
width=6
height=4
channels=3
[convolutional]
filters=20
size=1
batch_normalize=1
activation=linear
[region]
anchors=0.5,1.5, 2,3
num=2
classes=5
softmax=1
tree=data/mine.tree
map=data/mine.map
"""


@pytest.fixture
def network(tmp_path, monkeypatch):
    """A network whose tree and map go away once it is read."""
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    (home / "data" / "mine.tree").write_text(TREE, encoding="utf-8")
    (home / "data" / "mine.map").write_text("1\n4\n")
    (home / "a.cfg").write_text(CFG)
    monkeypatch.chdir(tmp_path)
    return Network.from_cfg(home / "a.cfg", "pjreddie")


def write(network, to, path, **options):
    """Convert, and take away the files that the cfg names."""
    convert_network(network, to, path, options=Options(**options))
    for file in (path.parent / "home" / "data").iterdir():
        file.unlink()
    return path


@pytest.mark.parametrize(
    ("to", "name"), [("safetensors", "a.safetensors"), ("torch", "a.pt"), ("onnx", "a.onnx")]
)
def test_the_network_loads_without_them_and_goes_back(network, tmp_path, to, name):
    pytest.importorskip(to, reason=f"needs the package {to}")
    save_weights(network, tmp_path / "a.weights")
    path = write(network, to, tmp_path / name, keep_batchnorm=True)
    back = convert(path, None, "weights", tmp_path / "back.weights")
    assert back.read_bytes() == (tmp_path / "a.weights").read_bytes()
    onward = convert(path, None, "torch", tmp_path / "onward.pt")
    texts = read_named(onward)[1]
    assert Metadata.from_dict(texts).files == (
        ("data/mine.tree", TREE),
        ("data/mine.map", "1\n4\n"),
    )
    if to == "safetensors":
        twin = Network.from_safetensors(path)
        x = ramp(2, 3, 4, 6)
        assert torch.equal(twin.run(x)[0], network.run(x)[0])
        assert twin.heads[0].tree == network.heads[0].tree


def test_a_state_dict_of_torchs_own_carries_them(network, tmp_path):
    pytest.importorskip("safetensors", reason="needs the package safetensors")
    torch.save(network.state_dict(), tmp_path / "a.pt")
    write(network, "safetensors", tmp_path / "a.safetensors")
    twin = Network.from_safetensors(tmp_path / "a.safetensors")
    load_weights(twin, tmp_path / "a.pt")
    texts = read_named(tmp_path / "a.pt")[1]
    assert dict(json.loads(texts["darknet_files"]))["data/mine.tree"] == TREE


@pytest.mark.parametrize(("to", "name"), [("onnx", "a.onnx"), ("openvino", "a.xml")])
@pytest.mark.parametrize("head", ["boxes", "raw"])
def test_a_run_without_torch_needs_no_file(network, tmp_path, to, name, head):
    for package in ("onnx", "onnxruntime", to):
        pytest.importorskip(package, reason=f"needs the package {package}")
    ours = Detector(network, thresh=0.001, nms=0.0)
    path = write(network, to, tmp_path / name, head=head)
    theirs = ModelDetector.load(path, thresh=0.001, nms=0.0)
    picture = (np.arange(4 * 6 * 3, dtype=np.uint8) * 3).reshape(4, 6, 3)
    expected, found = ours.detect(picture), theirs.detect(picture)
    assert expected and len(found) == len(expected)
    for a, b in zip(expected, found, strict=True):
        assert a.class_id == b.class_id and abs(a.probability - b.probability) < 1e-3
    code = f"from darknet_py.runtime import open_model; open_model({str(path)!r})"
    code += "; import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_that_was_never_there_is_not_carried(network, tmp_path):
    pytest.importorskip("safetensors", reason="needs the package safetensors")
    (tmp_path / "home" / "data" / "mine.map").unlink()
    path = write(network, "safetensors", tmp_path / "a.safetensors")
    assert json.loads(read_named(path)[1]["darknet_files"]) == [["data/mine.tree", TREE]]


def test_damage_is_one_line(network, tmp_path):
    state = network.state_dict()
    state["_extra_state"] = {**state["_extra_state"], "darknet_files": "[1]"}
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=r"a\.pt: its metadata darknet_files is damaged$"):
        convert(tmp_path / "a.pt", None, "weights", tmp_path / "a.weights")

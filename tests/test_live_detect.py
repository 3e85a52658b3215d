"""Live against the C program: the same words on the same weights print the same answers."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import SHARED

from darknet_py.cli import main
from darknet_py.network import Network
from darknet_py.weights import save_weights

DARKNET = Path("/usr/bin/darknet")
CFGS = Path("/usr/share/darknet/cfg")
PICTURES = Path("/usr/share/darknet/data")
pytestmark = [
    pytest.mark.skipif(not DARKNET.exists(), reason="needs Debian's darknet"),
    pytest.mark.filterwarnings("ignore::darknet_py.DarknetWarning"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("live")


def model(name, folder):
    """The cfg that Debian brings, and random weights whose signals neither die nor explode."""
    cfg, path = CFGS / f"{name}.cfg", folder / f"{name}.weights"
    if not path.exists():
        network = Network.from_cfg(cfg, "pjreddie", initialize=False)
        calibrate(network, np.random.RandomState(7))
        save_weights(network, path)
    return [str(cfg), str(path)]


@torch.no_grad()
def calibrate(network, random):
    """Random weights; batch norm, or else the weights, scaled so that outputs vary by about 1."""

    def normal(*shape, scale=1.0):
        return torch.from_numpy((random.standard_normal(shape) * scale).astype(np.float32))

    image = network.image
    outputs = {-1: normal(1, image.channels, image.height, image.width, scale=0.25) + 0.5}
    for index, layer in enumerate(network):
        arrays = dict(layer.arrays())
        for name, tensor in arrays.items():
            scale = (len(tensor) / tensor.numel()) ** 0.5 if name == "weights" else 0.2
            tensor.copy_(normal(*tensor.shape, scale=scale))
            if name in ("scales", "rolling_variance"):
                tensor.fill_(1)
        inputs = [outputs[source] for source in layer.sources]
        if arrays:
            spread = layer(*inputs).std()
            if "rolling_variance" in arrays:
                arrays["rolling_variance"].mul_(spread**2)
            else:
                arrays["weights"].div_(spread)
        outputs[index] = layer(*inputs)


def answers(text):
    """The printed lines without those that tell the time."""
    return [line for line in text.splitlines() if ": Predicted in " not in line]


def compare(words, folder, monkeypatch, capfd):
    """What C and darknet-py print for `words`, on stdout and stderr: the answers."""
    monkeypatch.chdir(folder)
    chatter = ("Using default", "Unused field", ": Predicted in ")
    printed = subprocess.run(
        [DARKNET, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert main(words) == 0
    out, err = capfd.readouterr()
    expected = answers(printed.stdout)
    assert answers(out) == expected
    talk = [line for line in printed.stderr.splitlines() if not any(s in line for s in chatter)]
    shown = [line for line in answers(err) if "warning" not in line]
    assert shown == talk
    return expected


@pytest.mark.parametrize("name", ["resnet18", "densenet201"])
def test_classify(name, folder, monkeypatch, capfd):
    picture = str(PICTURES / "dog.jpg")
    lines = compare(["classify", *model(name, folder), picture], folder, monkeypatch, capfd)
    assert len(lines) == 5


@pytest.mark.skipif(not (SHARED / "models").is_dir(), reason="needs tiny.weights")
def test_classifier_predict_with_the_real_weights(folder, monkeypatch, capfd):
    data = str(CFGS / "imagenet1k.data")
    weights = str(SHARED / "models" / "tiny" / "tiny.weights")
    for picture in (PICTURES / "eagle.jpg", PICTURES / "scream.jpg"):
        words = ["classifier", "predict", data, str(CFGS / "tiny.cfg"), weights, str(picture)]
        lines = compare([*words, "-t", "7"], folder, monkeypatch, capfd)
        assert len(lines) == 7


@pytest.mark.parametrize("name, thresh", [("yolov2-tiny", 0.05), ("yolov3-tiny", 0.74)])
def test_detect(name, thresh, folder, monkeypatch, capfd):
    picture = str(PICTURES / "dog.jpg")
    words = ["detect", *model(name, folder), picture, "-thresh", str(thresh), "-out", "found"]
    lines = compare(words, folder, monkeypatch, capfd)
    assert 20 < len(lines) < 200
    assert (folder / "found.jpg").stat().st_size > 10000


def test_detector_test(folder, monkeypatch, capfd):
    picture = str(PICTURES / "person.jpg")
    words = ["detector", "test", str(CFGS / "voc.data"), *model("yolov2-tiny-voc", folder), picture]
    lines = compare([*words, "-thresh", "0.1", "-out", "found"], folder, monkeypatch, capfd)
    assert len(lines) >= 10

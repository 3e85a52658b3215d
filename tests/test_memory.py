"""Memory: weights that are given up once they are prepared, and read again."""

import copy
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from helpers import ROOT, build

from darknet_py import Classifier, Detector, load_weights, save_weights
from darknet_py.errors import WeightsError
from darknet_py.filling import LARGE, give_up, is_given_up, take_memory
from darknet_py.inputs import forget, run_batch
from darknet_py.lower import prepare
from darknet_py.network import Network
from darknet_py.rereading import load_again

BODY = """[convolutional]
batch_normalize=1
filters=6
size=3
stride=2
pad=1
activation=leaky

[convolutional]
filters=6
size=1
activation=mish

[convolutional]
share_index=1
filters=6
size=1
activation=linear

[route]
layers=-1

[convolutional]
filters=7
activation=linear

[yolo]
mask=0
anchors=10,14
classes=2
num=1
"""
SIDES = "[net]\nchannels=3\nheight=32\nwidth=48\n\n"


@pytest.fixture
def files(tmp_path):
    """A cfg, weights, and the heads' outputs for `x`."""
    cfg, weights = tmp_path / "find.cfg", tmp_path / "find.weights"
    cfg.write_text(SIDES + BODY)
    network = build(BODY, (3, 32, 48), "alexeyab")
    save_weights(network, weights)
    x = np.random.default_rng(0).random((2, 3, 32, 48), np.float32)
    with torch.inference_mode():
        expected = [y.clone() for y in network.run(torch.from_numpy(x), [5])]
    return str(cfg), str(weights), x, expected


def given_up(network):
    return [name for name, array in network.named_parameters() if is_given_up(array)]


def same(actual, expected):
    for a, b in zip(actual, expected, strict=True):  # a prepared network's mish is 1.3e-6 off
        torch.testing.assert_close(torch.as_tensor(a), b, rtol=1e-4, atol=1e-5)


def test_a_detector_holds_its_weights_once(files):
    cfg, weights, x, expected = files
    detector = Detector.load(cfg, weights, dialect="alexeyab")
    same(detector.run(x), expected)
    # Layer 1 lends its arrays to layer 2.
    assert given_up(detector.layout) == ["layers.0.weights", "layers.4.weights"]
    same(detector.run(x[:1]), [y[:1] for y in expected])
    whole = Network.from_cfg(cfg, "alexeyab")
    load_weights(whole, weights)
    network = detector.network
    assert given_up(network) == []
    for (_, name, a), (_, _, b) in zip(network.arrays(), whole.arrays(), strict=True):
        assert torch.equal(a, b), name
    same(detector.run(x), expected)
    same(network.run(torch.from_numpy(x), [5]), expected)
    with torch.no_grad():
        network[4].biases += 1
    assert not np.allclose(detector.run(x)[0], expected[0])
    assert given_up(network) == []


def test_weights_that_were_given_up_are_read_again_for_16_bits_and_copies(files):
    cfg, weights, x, expected = files
    detector = Detector.load(cfg, weights, dialect="alexeyab")
    detector.run(x)
    twin = copy.deepcopy(detector)
    same(twin.run(x), expected)
    detector.half = True
    assert np.allclose(detector.run(x)[0], expected[0], atol=0.1)
    detector.half = False
    same(detector.run(x), expected)


def test_threads_share_a_detector(files):
    cfg, weights, x, expected = files
    detector = Detector.load(cfg, weights, dialect="alexeyab")
    with ThreadPoolExecutor(4) as pool:
        for outputs in pool.map(lambda _: detector.run(x), range(12)):
            same(outputs, expected)


def test_a_network_of_the_callers_is_left_alone(files):
    cfg, weights, x, expected = files
    network = Network.from_cfg(cfg, "alexeyab")
    load_weights(network, weights)
    same(Detector(network).run(x), expected)
    assert given_up(network) == []


@pytest.mark.parametrize(
    "spoil, message",
    [
        (os.remove, "cannot be read again: No such file or directory"),
        (lambda path: os.truncate(path, 20), "has changed since it was loaded: load it again"),
    ],
)
def test_a_file_that_is_gone(files, spoil, message):
    cfg, weights, x, expected = files
    detector = Detector.load(cfg, weights, dialect="alexeyab")
    detector.run(x)
    spoil(weights)
    same(detector.run(x), expected)
    with pytest.raises(WeightsError) as caught:
        _ = detector.network
    assert str(caught.value) == f"{weights}: {message}"


@pytest.mark.filterwarnings("ignore:.*ends before layer")
def test_weights_that_no_file_holds_are_kept(files, tmp_path):
    cfg, _, x, _ = files
    network = Network.from_cfg(cfg, "alexeyab")
    part = tmp_path / "part.weights"
    save_weights(network, part, cutoff=3)
    assert load_again(network, part) is None
    detector = Detector.load(cfg, part, dialect="alexeyab")
    detector.run(x)
    assert given_up(detector.layout) == []


def test_a_classifier_holds_its_weights_once(tmp_path):
    body = "[convolutional]\nfilters=5\nsize=3\npad=1\nactivation=relu\n\n[avgpool]\n\n[softmax]\n"
    (tmp_path / "score.cfg").write_text(SIDES + body)
    save_weights(build(body, (3, 32, 48)), tmp_path / "score.weights")
    classifier = Classifier.load(tmp_path / "score.cfg", tmp_path / "score.weights")
    x = np.random.default_rng(0).random((1, 3, 32, 48), np.float32)
    before = classifier.run(x)
    assert given_up(classifier.layout) == ["layers.0.weights"]
    assert classifier.run(x[:, :, :24]).shape == before.shape  # another size: prepared anew
    assert np.allclose(classifier.run(x), before)
    assert given_up(classifier.network) == []


def test_preparing_can_consume_a_network(files):
    cfg, weights, x, expected = files
    network = Network.from_cfg(cfg, "alexeyab")
    load_weights(network, weights)
    shapes = [array.shape for array in network.parameters()]
    lowered = prepare(network, consume=True)
    assert given_up(network) == ["layers.0.weights", "layers.4.weights"]
    assert [array.shape for array in network.parameters()] == shapes
    same(lowered(torch.from_numpy(x)), expected)


def test_changes_that_pytorch_does_not_count(files):
    cfg, weights, x, expected = files
    network = Network.from_cfg(cfg, "alexeyab")
    load_weights(network, weights)
    same(run_batch(network, x, [5], False), expected)
    network[4].biases.data += 1
    forget(network)
    assert not np.allclose(run_batch(network, x, [5], False)[0], expected[0])


def test_large_arrays_have_pages_of_their_own():
    array = take_memory(torch.empty(LARGE // 8, 2, device="meta"), "cpu")
    assert array.shape == (LARGE // 8, 2)
    assert array.dtype == torch.float32
    array.fill_(3)
    assert copy.deepcopy(array).sum() == 3 * LARGE // 4
    give_up(array)
    assert is_given_up(array)
    assert array.shape == (LARGE // 8, 2)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_peak_is_the_weights_and_what_is_alive(tmp_path):
    """Of 75 MB of weights one copy, and the largest layer twice while it is packed."""
    layer = "[convolutional]\nbatch_normalize=1\nfilters=512\nsize=3\npad=1\nactivation=leaky\n\n"
    (tmp_path / "deep.cfg").write_text("[net]\nchannels=512\nheight=4\nwidth=4\n\n" + 8 * layer)
    script = tmp_path / "peak.py"
    script.write_text(PEAK)
    run = [sys.executable, script, tmp_path]
    done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT)
    assert float(done.stdout) < 75.5 + 2 * 9.4 + 15


PEAK = """
import sys, numpy as np, torch
from darknet_py.inputs import run_batch
from darknet_py.network import Network
from darknet_py.operations import onednn
from darknet_py.rereading import load_again
from darknet_py.weights import save_weights

def read(name):
    return next(int(l.split()[1]) / 1000 for l in open("/proc/self/status") if l.startswith(name))

cfg, weights = sys.argv[1] + "/deep.cfg", sys.argv[1] + "/deep.weights"
network = Network.from_cfg(cfg)
save_weights(network, weights)
del network
x = np.zeros((1, 512, 4, 4), np.float32)
torch.nn.functional.conv2d(torch.from_numpy(x), torch.zeros(4, 512, 3, 3))
onednn.can_fuse(torch.float32)
before = read("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
network = Network.from_cfg(cfg, initialize=False)
file = load_again(network, weights)
for _ in range(3):
    run_batch(network, x, None, False, file)
print(read("VmHWM") - before)
"""

"""The table of layers: equal to what C prints, line for line."""

import subprocess
from pathlib import Path

import pytest
from helpers import build

from darknet_py.network import Network
from darknet_py.table import average_outputs, operations, parameters, summary, table, weights_bytes

DARKNET = Path("/usr/bin/darknet")
CFGS = Path("/usr/share/darknet/cfg")
BODY = """
[convolutional]
batch_normalize=1
filters=4
size=3
pad=1
activation=leaky

[maxpool]
size=2
stride=2

[convolutional]
filters=18
activation=linear

[yolo]
mask=0,1,2
anchors=1,2, 3,4, 5,6
num=3
classes=1
"""


@pytest.mark.skipif(not DARKNET.exists(), reason="needs Debian's darknet")
@pytest.mark.filterwarnings("ignore::darknet_py.DarknetWarning")
@pytest.mark.parametrize(
    "name",
    ["tiny", "yolov3-tiny", "yolov2-tiny", "yolov1-tiny", "resnet18", "densenet201", "rnn", "gru",
     "go"],
)  # fmt: skip
def test_lines_equal_those_of_c(name):
    cfg = CFGS / f"{name}.cfg"
    printed = subprocess.run([DARKNET, "ops", cfg], capture_output=True, text=True, check=False)
    chatter = ("Using default", "Unused field")
    expected = [line for line in printed.stderr.splitlines() if not any(s in line for s in chatter)]
    assert list(table(Network.from_cfg(cfg, "pjreddie", initialize=False))) == expected


def test_alexeyab_format_and_totals():
    network = build(BODY, (3, 32, 64), "alexeyab")
    lines = list(table(network))
    assert lines[:4] == [
        "   layer   filters  size/strd(dil)      input                output",
        "   0 conv      4       3 x 3/ 1     64 x  32 x   3 ->   64 x  32 x   4 0.000 BF",
        "   1 max                2x 2/ 2     64 x  32 x   4 ->   32 x  16 x   4 0.000 BF",
        "   2 conv     18       1 x 1/ 1     32 x  16 x   4 ->   32 x  16 x  18 0.000 BF",
    ]
    assert lines[-2:] == ["Total BFLOPS 0.001 ", "avg_outputs = 7168 "]


def test_totals_in_plain_words():
    network = build(BODY, (3, 32, 64), "pjreddie")
    convolutions = 2 * (3 * 4 * 9 * 64 * 32 + 4 * 18 * 32 * 16)
    assert operations(network) == convolutions
    assert average_outputs(network) == (4 * 64 * 32 + 4 * 32 * 16 + 2 * 18 * 32 * 16) // 4
    floats = 4 * 4 + 3 * 4 * 9 + 18 + 4 * 18
    assert parameters(network) == floats
    assert weights_bytes(network) == 20 + 4 * floats
    assert summary(network) == [
        "dialect pjreddie, input 64 x 32 x 3, 4 layers",
        f"{convolutions / 1e9:.3f} BFLOPs for one image",
        "214 parameters",
        "876 bytes in a whole weights file",
    ]

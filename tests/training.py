"""What the tests of training share: a few pictures with marked rectangles, and small networks."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from helpers import ROOT

from darknet_py.cli import main
from darknet_py.image import save_image

NET = """[net]
batch=4
subdivisions=2
width=16
height=16
channels=3
momentum=0.9
decay=0.0005
learning_rate=0.002
burn_in=4
max_batches={max_batches}
policy=steps
steps=20
scales=.1
{more}
"""
CONVOLUTIONS = """
[convolutional]
batch_normalize=1
filters=6
size=3
stride=2
pad=1
activation=leaky

[dropout]
probability=.3

[convolutional]
filters={filters}
size=1
stride=1
activation=linear
"""
DETECTOR = (
    NET
    + CONVOLUTIONS.format(filters=14)
    + """
[yolo]
mask=0,1
anchors=4,4, 9,9
classes=2
num=2
jitter=.2
ignore_thresh=.7
truth_thresh=1
"""
)
CLASSIFIER = NET + CONVOLUTIONS.format(filters=2) + "\n[avgpool]\n\n[softmax]\n"
TEXT = """[net]
batch=2
subdivisions=1
time_steps=3
inputs=128
max_batches={max_batches}
learning_rate=0.01
{more}

[rnn]
output=8
hidden=8
activation=tanh

[connected]
output=128
activation=linear

[softmax]
"""


def lay_out(folder: Path, count: int = 12) -> Path:
    """Write pictures, labels, lists and names; the .data file."""
    random = np.random.default_rng(3)
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    names = []
    for number in range(count):
        kind = number % 2
        picture = random.integers(0, 60, (20, 24, 3)).astype(np.uint8)
        left, top = random.integers(0, 10, 2)
        picture[top : top + 8, left : left + 8, kind] = 255
        name = f"{('red', 'green')[kind]}_{number}"
        save_image(picture, folder / "images" / f"{name}.png")
        label = f"{kind} {(left + 4) / 24} {(top + 4) / 20} {8 / 24} {8 / 20}\n"
        for place in ("images", "labels"):
            (folder / place / f"{name}.txt").write_text(label)
        names.append(str(folder / "images" / f"{name}.png"))
    (folder / "train.txt").write_text("\n".join(names) + "\n")
    (folder / "valid.txt").write_text("\n".join(names[:4]) + "\n")
    (folder / "two.names").write_text("red\ngreen\n")
    data = folder / "two.data"
    data.write_text(
        f"classes=2\ntrain={folder}/train.txt\nvalid={folder}/valid.txt\n"
        f"names={folder}/two.names\nlabels={folder}/two.names\n"
        f"backup={folder}/backup\nsavelast=5\ntop=1\n"
    )
    return data


def write_cfg(path: Path, text: str = DETECTOR, max_batches: int = 12, more: str = "") -> Path:
    """Write a cfg."""
    path.write_text(text.format(max_batches=max_batches, more=more))
    return path


def train(*words: object) -> int:
    """Run a train command in this process, with no threads; the exit status."""
    command = ("detector", "train") if str(words[0]).endswith(".data") else ()
    return main([*command, *map(str, words), "-workers", "0", "-quiet", "-no_chart"])


def command(*words: object) -> list[str]:
    """The same as a line for subprocess."""
    line = [sys.executable, "-m", "darknet_py", "detector", "train", *map(str, words)]
    return [*line, "-quiet", "-no_chart", "-workers", "1"]


def environment() -> dict[str, str]:
    """Of such a process."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

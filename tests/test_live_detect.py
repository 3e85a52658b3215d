"""Detector against the installed C program: the lines that both print, in order."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers import SHARED, golden_generator

from darknet_py.detector import Detector
from darknet_py.image import load_image

DARKNET = shutil.which(os.environ.get("DARKNET", "darknet"))
DATA = Path("/usr/share/darknet")
GOLDEN = SHARED / "golden" / "pjreddie"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(DARKNET is None, reason="no darknet on the PATH"),
    pytest.mark.skipif(not (DATA / "cfg").is_dir(), reason=f"{DATA} is missing"),
    pytest.mark.skipif(not GOLDEN.is_dir(), reason="needs the golden data"),
]


@pytest.mark.parametrize(
    "name, names, thresh",
    [("yolov3-tiny", "coco", 0.6), ("yolov2-tiny", "coco", 0.05), ("yolov1-tiny", "voc", 0.1)],
)
def test_the_printed_lines_are_c_s(name, names, thresh, tmp_path):
    cfg, weights = GOLDEN / "cfg" / f"{name}.cfg", tmp_path / "x.weights"
    golden_generator().write_weights(json.loads((GOLDEN / f"{name}.json").read_text()), weights)
    names = DATA / "data" / f"{names}.names"
    (tmp_path / "x.data").write_text(f"names={names}\n")
    image = SHARED / "images" / "decoded" / "dog.png"
    files = [tmp_path / "x.data", cfg, weights, image]
    options = ["-thresh", thresh, "-out", tmp_path / "out"]
    done = subprocess.run(
        list(map(str, [DARKNET, "detector", "test", *files, *options])),
        cwd=DATA,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    expected = [line for line in done.stdout.splitlines() if line.endswith("%")]
    detector = Detector.load(
        cfg, weights, names, dialect="pjreddie", device="cpu", thresh=float(np.float32(thresh))
    )
    (found,) = detector.find([load_image(image)])
    actual = [
        f"{detector.names[k]}: {float(found.scores[i, k]) * 100:.0f}%"
        for i, k in np.argwhere(found.scores > 0)
    ]
    assert len(expected) > 10
    assert actual == expected

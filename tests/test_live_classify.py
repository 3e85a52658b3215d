"""Classifier against the installed C program: the lines that both print."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers import SHARED

from darknet_py.classifier import Classifier

DARKNET = shutil.which(os.environ.get("DARKNET", "darknet"))
DATA = Path("/usr/share/darknet")
TINY = SHARED / "models" / "tiny"

pytestmark = [
    pytest.mark.skipif(DARKNET is None, reason="no darknet on the PATH"),
    pytest.mark.skipif(not (DATA / "cfg").is_dir(), reason=f"{DATA} is missing"),
    pytest.mark.skipif(not TINY.is_dir(), reason="shared/models is missing"),
]


@pytest.fixture(scope="module")
def classifier():
    names = DATA / "data" / "imagenet.shortnames.list"
    return Classifier.load(
        TINY / "tiny.cfg", TINY / "tiny.weights", names, dialect="pjreddie", device="cpu"
    )


def run_c(image, *options):
    model = [TINY / "tiny.cfg", TINY / "tiny.weights", image]
    command = [DARKNET, "classifier", "predict", DATA / "cfg" / "imagenet1k.data", *model, *options]
    # the program looks for its data in the folder it is started in
    done = subprocess.run(
        list(map(str, command)), cwd=DATA, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("image", ["dog", "eagle", "giraffe", "horses", "kite", "person"])
def test_the_printed_lines_are_c_s(classifier, image):
    path = SHARED / "images" / f"{image}.jpg"
    found = [f"{a.probability * 100:5.2f}%: {a.name}" for a in classifier.classify(path)]
    assert found == run_c(path)


def test_forty_classes(classifier):
    path = SHARED / "images" / "kite.jpg"
    found = [f"{a.probability * 100:5.2f}%: {a.name}" for a in classifier.classify(path, top=40)]
    assert found == run_c(path, "-t", "40")

"""The guide's code runs: every Python block of docs/migration.md, on a small detector."""

import re

import cv2
import numpy as np
import pytest
import torch
from helpers import ROOT, build

from darknet_py.cfg import format_cfg
from darknet_py.weights import save_weights

TEXT = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)
BODY = (
    "[convolutional]\nfilters=14\nsize=3\nstride=8\npad=1\nactivation=linear\n"
    "[yolo]\nclasses=2\nnum=2\nanchors=10,14,23,27\n"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    network = build(BODY, (3, 48, 64))
    with torch.no_grad():
        network[0].weights *= 0.1
    for name in ("yolov3", "yolov4"):
        (tmp_path / f"{name}.cfg").write_text(format_cfg(network.sections))
        save_weights(network, tmp_path / f"{name}.weights")
    (tmp_path / "coco.names").write_text("cat\ndog\n")
    (tmp_path / "coco.data").write_text("classes=2\nnames=coco.names\n")
    pixels = np.random.default_rng(5).integers(0, 256, (37, 53, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "dog.jpg"), pixels)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_code_runs(number, folder, capsys):
    names = {}
    exec(compile(BLOCKS[number], f"migration.md, block {number}", "exec"), names)
    found = names.get("boxes", names.get("found", names.get("detections")))
    assert capsys.readouterr().out or len(found)


def test_links_lead_to_headings():
    headings = re.findall(r"^## (.*)$", TEXT, re.M)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#(.*?)\)", TEXT)) <= anchors

"""The benchmark's harness works; what it measures is not asserted."""

import json
import os
import subprocess
import sys

import pytest
import torch
from helpers import ROOT

from darknet_py.network import Network

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def modules(monkeypatch):
    """The benchmark's modules, by name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import networks
    import report

    return {"networks": networks, "report": report}


def test_quick_run_with_two_rivals(tmp_path):
    run = [sys.executable, BENCHMARKS / "run.py", "--quick", "--only", "tiny", "--rivals", "ours",
           "torch eager", "--threads", "1", "--passes", "2", "--no-install",
           "--out", tmp_path]  # fmt: skip
    environment = os.environ | {"DARKNET_PY_BENCH": str(tmp_path / "work")}
    done = subprocess.run(run, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    data = json.loads((tmp_path / "results.json").read_text())
    (cell,) = data["cells"].values()
    assert set(cell["rivals"]) == {"ours", "torch eager"}
    assert cell["passes"] == 2
    for one in cell["rivals"].values():
        assert 0 < one["min"] <= one["low"] <= one["median"] <= one["high"]
        assert one["difference"] < 1e-3
    assert data["machine"]["CPU"]
    text = (tmp_path / "results.md").read_text()
    assert "| network | ours | torch eager | ratio |" in text
    assert "| tiny | " in text


def test_cfg_of_another_size_and_batch(modules, tmp_path):
    text = "# x\n[net]\nwidth = 8\nheight=8 \nbatch=64\nchannels=3\n[maxpool]\nsize=2\nbatch=2\n"
    fixed = modules["networks"]._fixed(text, 6, 8)
    assert [line for line in fixed.splitlines() if line] == [
        "[net]", "batch=8", "subdivisions=1", "width=6", "height=6", "channels=3",
        "[maxpool]", "size=2", "batch=2",
    ]  # fmt: skip


def test_calibrated_weights_are_the_same_each_time_and_keep_signals_alive(modules):
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    found = []
    for _ in range(2):
        network = Network.from_cfg(ROOT / "cfg" / "yolov4-tiny.cfg", initialize=False)
        network.resize(64, 64)
        modules["networks"].calibrate(network, picture)
        with torch.inference_mode():
            found.append(network.run(picture, [-1])[0])
        with torch.inference_mode():
            spreads = [output.std().item() for output in network(picture)[:-1]]
        assert 0.05 < min(spreads) < max(spreads) < 20
    assert torch.equal(*found)


def test_of_two_passes_each_column_keeps_its_faster_one(modules):
    before = {"ours": {"median": 2.0}, "OpenVINO": {"median": 3.0}, "C (Debian)": {"median": 9.0}}
    now = {"ours": {"median": 2.5}, "OpenVINO": {"median": 2.9}, "OpenCV 4.14": {"cannot": "so"}}
    faster = modules["report"].faster
    assert faster(before, now) == before | {"OpenVINO": {"median": 2.9}}
    assert faster({"ours": {"cannot": "so"}}, now)["ours"] == {"median": 2.5}


def test_a_rival_that_cannot_run_says_why(modules):
    fine = {"median": 2.0, "min": 1.5, "low": 1.75, "high": 2.5, "runs": 3}
    cell = {"network": "tiny", "batch": 1, "threads": 2}
    cell["rivals"] = {"ours": fine, "onnxruntime": fine | {"median": 3.0}, "C (Debian)": {
        "cannot": "the cfg is of AlexeyAB's fork"}}  # fmt: skip
    text = modules["report"].text({"cells": {"": cell}, "sections": {}})
    assert "| tiny | **2** (1.5; 1.75-2.5) | cannot run | 3 (1.5; 1.75-2.5) | 1.50 |" in text
    assert "| C (Debian) | tiny | the cfg is of AlexeyAB's fork |" in text

"""The train commands in two processes, ended on the way and gone on with."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from training import DETECTOR, command, environment, lay_out, train, write_cfg

from darknet_py.datasets.text import Text
from darknet_py.errors import DataError
from darknet_py.loader import Loader

ITERATIONS = 40


@pytest.fixture
def run(tmp_path):
    """Pictures and a cfg without chance in its layers, and with changing sizes."""
    text = DETECTOR.replace("[dropout]\nprobability=.3\n", "").replace(
        "truth_thresh=1", "truth_thresh=1\nrandom=1"
    )
    return lay_out(tmp_path), write_cfg(tmp_path / "net.cfg", text, max_batches=ITERATIONS)


def start(run, folder, *flags):
    """The command in two processes, as -gpus starts them."""
    line = json.dumps(command(*run, "-out", folder, "-dialect", "alexeyab", "-syncbn", *flags))
    code = f"import sys; from darknet_py.launch import start; sys.exit(start(2, {line}))"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(),
        cwd=folder.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path):
    end = time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert path.exists()


def arrays(folder):
    data = (folder / "net_final.weights").read_bytes()
    return np.frombuffer(data[20:], np.float32)


def test_two_processes_interrupted_and_resumed_learn_what_one_does(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    two, one = tmp_path / "two", tmp_path / "one"
    with start(run, two) as first:
        wait_for(two / "net_last.state")
        first.send_signal(signal.SIGINT)
        _, errors = first.communicate()
    assert first.returncode == 130, errors
    assert errors.count("stopped at iteration") == 1, errors
    assert errors.count("ending after this iteration") == 1
    assert torch.load(two / "net_last.state", weights_only=True)["iteration"] < ITERATIONS
    with start(run, two, "-resume") as second:
        output, errors = second.communicate()
    assert second.returncode == 0, errors
    assert output.count("Done: ") == 1
    assert train(*run, "-out", one, "-dialect", "alexeyab") == 0
    # Two processes sum in another order; in 40 iterations that grows in single small weights.
    difference = np.linalg.norm(arrays(two) - arrays(one))
    assert difference < 2e-4 * np.linalg.norm(arrays(one))


@pytest.mark.slow
def test_two_processes_that_are_killed_go_on_exactly(run, tmp_path):
    with start(run, tmp_path / "whole") as whole:
        _, errors = whole.communicate()
    assert whole.returncode == 0, errors
    with start(run, tmp_path / "killed") as first:
        wait_for(tmp_path / "killed" / "net_last.state")
        first.kill()  # the others notice
    with start(run, tmp_path / "killed", "-resume") as second:
        _, errors = second.communicate()
    assert second.returncode == 0, errors
    np.testing.assert_array_equal(arrays(tmp_path / "killed"), arrays(tmp_path / "whole"))


def test_bad_weights_are_told_once(run, tmp_path):
    (tmp_path / "short.weights").write_bytes(b"\0" * 24)
    with start(run, tmp_path / "out", tmp_path / "short.weights") as done:
        _, errors = done.communicate()
    assert done.returncode == 1
    assert len([line for line in errors.splitlines() if "short.weights" in line]) == 1
    assert "Traceback" not in errors


def test_gpus_that_are_not_there_are_told_in_one_line(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert train(*run, "-gpus", "0,1") == 1
    assert capsys.readouterr().err == (
        "darknet-py: -gpus 0,1: there is no GPU 1, this machine has 1 (torchrun "
        "--nproc-per-node 2 trains in 2 processes without)\n"
    )
    assert not (tmp_path / "backup").exists()


def test_text_is_not_divided():
    with pytest.raises(DataError) as caught:
        Loader(Text(None), [0], share=(0, 2))
    assert str(caught.value) == "a text is learned from in one process, not in several"
    assert os.environ.get("RANK") is None


def test_a_negative_limit_of_the_gradients_is_refused(run, capsys):
    assert train(*run, "-max_norm", "-1") == 2
    assert "-max_norm takes a length from 0 on, got -1" in capsys.readouterr().err

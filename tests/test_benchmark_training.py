"""The training benchmark's harness works; what it measures is not asserted."""

import argparse
import sys

import pytest
from helpers import ROOT

BENCHMARKS = ROOT / "benchmarks"
CFG = """[net]
batch=128
width=8
height=8
channels=3
random=1
[convolutional]
batch_normalize=1
filters=4
size=3
pad=1
activation=leaky
[convolutional]
filters=3
size=1
activation=linear
[avgpool]
[softmax]
"""


@pytest.fixture(autouse=True)
def find_modules(monkeypatch):
    """The benchmark's modules can be imported."""
    monkeypatch.syspath_prepend(BENCHMARKS)


def test_a_step_is_timed_in_both_ways_and_written_as_a_table(monkeypatch, tmp_path):
    import steps
    import training_report

    (tmp_path / "small.cfg").write_text(CFG)
    monkeypatch.setattr(steps.networks, "find_cfg", lambda row: tmp_path / f"{row.cfg}.cfg")
    monkeypatch.setattr(steps, "ROWS", (steps.Row("small", "small", 4, 2, False),))
    monkeypatch.setattr(steps, "ROUNDS", 1)
    args = argparse.Namespace(networks=None, threads=[1], c=False, seconds=0.01, limit=1.0)
    (row,) = steps.run(args, tmp_path / "work")
    assert list(row) == ["network", "batch", "ours, 1 thread", "torch, 1 thread"]
    assert row["ours, 1 thread"] > 0
    assert row["torch, 1 thread"] > 0
    facts = {"CPU": "x", "CPUs": "1", "torch": "2", "darknet-py": "abc", "load before": "0.1"}
    section = {"date": "2020-02-02", "machine": facts, "rows": [row]}
    text = training_report.text({"steps": section})
    assert "| network | batch | ours, 1 thread | torch, 1 thread |" in text
    assert "`steps` measured on 2020-02-02: CPU x, " in text


@pytest.mark.parametrize(
    "line",
    [
        "1, 0.002: 2.5, 2.6 avg, 0.1 rate, 0.250000 seconds, 128 images",
        "\n 1: 2.5, 2.6 avg loss, 0.000001 rate, 0.250000 seconds, 16 images, 0.1 hours left",
    ],
)
def test_logs_of_both_dialects_are_read(tmp_path, line):
    import training_runs

    log = tmp_path / "train.log"
    log.write_text(
        f"net\nLoaded: 0.500000 seconds\nv3 (iou loss) 7: 1\n{line}\nLoaded: 0.75 seconds"
    )
    run = training_runs.read_log(log, 3.0)
    assert (run.seconds, run.steps, run.losses) == (3.0, [0.25], [2.5])
    assert run.waited == [0.5, 0.75]


def test_a_cfg_is_edited_in_all_sections_of_a_name():
    from training_runs import edit

    text = "[net]\nbatch = 4\nsteps=3,9\n[yolo]\njitter=.3\n# end\n[route]\n[yolo]\nmask=1\n"
    edited = text.replace("batch = 4", "batch=8").replace("jitter=.3\n", "jitter=0.1\n")
    edited = edited.replace("mask=1", "jitter=0.1\nmask=1")
    assert edit(text, {"net.batch": 8, "yolo.jitter": 0.1}) == edited


def test_a_schedule_is_made_shorter():
    from training_runs import with_iterations

    text = "[net]\nmax_batches = 400\nsteps=300,360\nburn_in=50\n"
    assert with_iterations(text, 40) == {
        "net.max_batches": 40,
        "net.steps": "30,36",
        "net.burn_in": 5,
    }


def test_a_trainer_that_crashes_or_is_not_there_says_so(tmp_path):
    import training_runs

    with pytest.raises(training_runs.Failed, match=r"^not installed$"):
        training_runs.train_in_c("no-such-program", [], tmp_path, 1)
    words = ["-c", "print('out of luck'); raise SystemExit(3)"]
    with pytest.raises(training_runs.Failed, match=r"^it ends with status 3: out of luck$"):
        training_runs.train_in_c(sys.executable, words, tmp_path, 10)

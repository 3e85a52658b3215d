"""Training in two processes: what one would have learned, and how it ends."""

import os
import subprocess
import sys

import numpy as np
import parallel_script
import pytest
import torch
from helpers import ROOT, build, ramp

from darknet_py.batchnorm import BatchNormalizer
from darknet_py.dialect import ALEXEYAB, PJREDDIE
from darknet_py.errors import DarknetError, TrainError
from darknet_py.group import ALONE, Group, join
from darknet_py.launch import launch, read_gpus, start
from darknet_py.parallel import ParallelLearner

SCRIPT = str(ROOT / "tests" / "parallel_script.py")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What the two processes of a torchrun got."""
    folder = tmp_path_factory.mktemp("parallel")
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*run, SCRIPT, "all", str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return [dict(np.load(folder / f"{rank}.npz")) for rank in (0, 1)]


def part(outcome, name):
    start = f"{name}: "
    return {key.removeprefix(start): v for key, v in outcome.items() if key.startswith(start)}


@pytest.mark.parametrize("name", parallel_script.CASES)
def test_two_processes_learn_what_one_does(outcomes, name):
    arrays, losses = parallel_script.alone(name)
    got = part(outcomes[0], name)
    np.testing.assert_allclose(got.pop("losses"), losses, rtol=1e-5)
    assert got.keys() == arrays.keys()
    for key, expected in arrays.items():
        if name == "own norm" and "rolling" in key:
            continue  # an average of both here, one after the other there
        np.testing.assert_allclose(got[key], expected, rtol=1e-4, atol=1e-6, err_msg=key)


def test_both_processes_have_the_same_bits(outcomes):
    for key, value in outcomes[0].items():
        np.testing.assert_array_equal(value, outcomes[1][key], err_msg=key)


def test_one_process_that_is_short_of_memory_changes_nothing(outcomes):
    expected = part(outcomes[0], "plain")
    for key, value in part(outcomes[0], "memory").items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-4, atol=1e-6, err_msg=key)


def test_the_first_process_remembers_enough_for_all_to_go_on(outcomes):
    assert outcomes[0]["resumed"]


def test_processes_agree(outcomes):
    assert outcomes[0]["any"].tolist() == [1, 0]


def run_script(task, tmp_path):
    command = f"[sys.executable, {SCRIPT!r}, {task!r}, {str(tmp_path)!r}]"
    code = f"import sys; from darknet_py.launch import start; sys.exit(start(2, {command}))"
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_nan_in_one_process_ends_all_with_one_line(tmp_path):
    done = run_script("nan", tmp_path)
    assert done.returncode == 1
    line, *others = done.stderr.splitlines()
    assert not others
    assert line.startswith("darknet-py: ")
    assert "nan" in line


def test_a_process_that_is_killed_ends_all_with_one_line(tmp_path):
    done = run_script("gone", tmp_path)
    assert done.returncode in (1, 9)
    expected = "darknet-py: another process of this training has gone, so it ends"
    assert done.stderr.splitlines() == [expected]


class _Two:
    """Two processes of which both have the same mini-batch: what passes between them."""

    def add_up(self, tensor):
        return tensor.mul_(2)

    def gather(self, tensor):
        return torch.stack((tensor, tensor))


@pytest.mark.parametrize("dialect", [ALEXEYAB, PJREDDIE], ids=lambda d: d.name)
@pytest.mark.parametrize("has_biases", [True, False])
def test_batch_norm_of_two_equal_mini_batches(dialect, has_biases):
    results = []
    for together in (True, False):
        normalizer = BatchNormalizer(3, dialect).train()
        with torch.no_grad():
            normalizer.scales.copy_(ramp(3) + 2)
            normalizer.rolling_mean.fill_(0.5)
            normalizer.rolling_variance.fill_(2)
        biases = ramp(3, start=1).requires_grad_() if has_biases else None
        x, weights = ramp(2, 3, 5, 7), ramp(2, 3, 5, 7, start=9)
        x.requires_grad_()
        if together:
            normalizer.processes = _Two()
        both = x if together else torch.cat((x, x))
        out = normalizer(both, biases)
        (out * (weights if together else torch.cat((weights, weights)))).sum().backward()
        factor = 2 if together else 1  # the update adds up the processes' parts
        learned = [normalizer.scales.grad] + ([biases.grad] if has_biases else [])
        results.append([out[:2], x.grad * factor, *(g * factor for g in learned),
                        normalizer.rolling_mean, normalizer.rolling_variance])  # fmt: skip
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=2e-5)


def test_finite_differences_agree_with_the_gradient_across_processes():
    normalizer = BatchNormalizer(2, ALEXEYAB).train()
    with torch.no_grad():
        normalizer.scales.copy_(torch.tensor([0.7, 1.3]))
        normalizer.rolling_mean.zero_()
        normalizer.rolling_variance.fill_(1)
    normalizer.processes = _Two()
    weights = ramp(3, 2, 4, 5, start=3)
    x = ramp(3, 2, 4, 5).requires_grad_()
    (normalizer(x, None) * weights).sum().backward()

    def loss(values):
        with torch.no_grad():
            return 2 * (normalizer(values, None) * weights).sum().double()

    for place in [(0, 0, 0, 0), (1, 1, 2, 3), (2, 0, 3, 4)]:
        moved = torch.zeros_like(x)
        moved[place] = 1e-2
        slope = (loss(x.detach() + moved) - loss(x.detach() - moved)) / 2e-2
        # Both processes move, so each has half of what the sum of their losses changes by.
        assert abs(float(slope) / 2 - float(x.grad[place])) < 2e-3


def test_alone_everything_is_what_it_is():
    tensor = ramp(3)
    assert ALONE.add_up(tensor) is tensor
    assert ALONE.gather(tensor).shape == (1, 3)
    assert (ALONE.agree("x"), ALONE.total(2.5), ALONE.any(True)) == ("x", 2.5, True)
    with join("cpu") as group:
        assert (group.share, group.device, group.is_first) == ((0, 1), "cpu", True)


def test_batches_that_cannot_be_divided():
    network = build("batch=3\n[connected]\noutput=2\n[softmax]\n[cost]\n", (4,), "alexeyab")
    text = (
        "test.cfg: batch=3 with subdivisions=1 cannot be divided over 2 processes: mini-batches "
        "have 3 images"
    )
    with pytest.raises(TrainError) as caught:
        ParallelLearner(network, Group(0, 2))
    assert str(caught.value) == text


def test_sequences_are_trained_by_one_process():
    body = "batch=4\ntime_steps=2\n[connected]\noutput=2\n[softmax]\n[cost]\n"
    with pytest.raises(TrainError) as caught:
        ParallelLearner(build(body, (4,), "alexeyab"), Group(0, 2))
    expected = "test.cfg: a network with time_steps=2 is trained in one process, not in 2"
    assert str(caught.value) == expected


@pytest.mark.skipif(torch.cuda.device_count() > 7, reason="so many GPUs there are")
def test_gpus_that_are_not_there():
    with pytest.raises(DarknetError) as caught:
        launch(read_gpus("0,7"), ["true"])
    count = torch.cuda.device_count()
    assert str(caught.value) == (
        f"-gpus 0,7: there is no GPU 7, this machine has {count} "
        "(torchrun --nproc-per-node 2 trains in 2 processes without)"
    )


def test_gpus_of_a_line():
    assert read_gpus("0,1, 3") == (0, 1, 3)
    assert read_gpus(None) == read_gpus("-1") == ()
    with pytest.raises(DarknetError, match=r"^-gpus 1,1: a GPU is named twice$"):
        read_gpus("1,1")


def test_the_status_of_what_was_started():
    code = "import os, sys; sys.exit(3 if os.environ['RANK'] == '1' else 0)"
    assert start(2, [sys.executable, "-c", code]) == 3
    assert start(2, [sys.executable, "-c", "pass"]) == 0


@pytest.mark.parametrize("dialect", [ALEXEYAB, PJREDDIE], ids=lambda d: d.name)
def test_batch_norm_across_processes_takes_16_bits(dialect):
    results = []
    for kind in (torch.float32, torch.bfloat16):
        normalizer = BatchNormalizer(3, dialect).train()
        normalizer.processes = _Two()
        with torch.no_grad():
            for _, array in normalizer.arrays():
                array.fill_(1)
        x = ramp(2, 3, 5, 7).to(torch.bfloat16).to(kind).requires_grad_()
        normalizer(x, torch.zeros(3)).square().sum().backward()
        assert x.grad.dtype == kind
        results.append(normalizer.rolling_mean)
    torch.testing.assert_close(*results)

"""The training loop: C's averages, smaller mini-batches when memory runs out, named images."""

from dataclasses import replace

import pytest
import torch
from helpers import build, ramp

from darknet_py.datasets import Dataset
from darknet_py.datasets.base import Form
from darknet_py.errors import DarknetWarning, TrainError
from darknet_py.group import Group
from darknet_py.learning import Learner
from darknet_py.multiscale import MultiScale
from darknet_py.train import Rows, load, train

BODY = """[convolutional]
filters=3
size=3
activation=leaky

[avgpool]

[softmax]
"""


def batches(count=100, size=4):
    for _ in range(count):
        truth = torch.zeros(size, 3)
        truth[:, 1] = 1
        names = tuple(f"{i}.png" for i in range(size))
        yield Rows(ramp(size, 2, 4, 5).numpy(), truth.numpy(), names)


def test_losses_average_as_in_c():
    found = list(train(Learner(build(BODY, (2, 4, 5))), batches(5)))
    assert [p.iteration for p in found] == [1, 2, 3, 4, 5]
    average = found[0].loss
    for progress in found:
        average = 0.9 * average + 0.1 * progress.loss
        assert progress.average == pytest.approx(average)
    assert found[-1].loss < found[0].loss
    assert found[-1].images == 20


def test_memory_that_runs_out_makes_mini_batches_smaller(monkeypatch):
    learner, learn, sizes = Learner(build(BODY, (2, 4, 5))), Learner.learn, []

    def limited(self, inputs, truth):
        sizes.append(len(inputs))
        if len(inputs) > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return learn(self, inputs, truth)

    monkeypatch.setattr(Learner, "learn", limited)
    with pytest.warns(DarknetWarning, match="mini-batches are learned in [24] parts"):
        found = next(train(learner, batches()))
    assert sizes == [4, 2, 1, 1, 1, 1]
    plain = Learner(build(BODY, (2, 4, 5)))
    monkeypatch.setattr(Learner, "learn", learn)
    assert found.loss == pytest.approx(next(train(plain, batches())).loss)
    assert learner.seen == 4


def test_nan_names_the_images():
    learner = Learner(build(BODY, (2, 4, 5)))
    with torch.no_grad():
        learner.network[0].weights.fill_(float("inf"))
    with pytest.raises(TrainError, match=r"images: 0.png, 1.png, 2.png, 3.png"):
        next(train(learner, batches()))


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_sizes_change_every_ten_iterations(dialect):
    body = "[convolutional]\nfilters=18\nsize=1\nactivation=linear\n[yolo]\nclasses=1\nnum=3\n"
    body += "anchors=1,2,3,4,5,6\nmask=0,1,2\nrandom=1\n"
    network = build(body, (3, 416, 416), dialect)
    sizes = MultiScale(network)
    found = [sizes(i) for i in range(200)]
    assert found == [sizes(i) for i in range(200)]
    assert all(found[i] == found[i // 10 * 10] for i in range(200))
    if dialect == "pjreddie":
        assert set(found) == {(608, 608)}  # all of them are the last 200 of max_batches=0
    else:
        assert found[0] == (608, 608)
        assert all(h % 32 == 0 for h, _ in found)


def test_small_pictures_come_in_larger_mini_batches():
    """C: detector.c, `(int)(dim_b * 0.8)` where that is more than the cfg's."""
    body = "[convolutional]\nfilters=18\nsize=1\nactivation=linear\n[yolo]\nclasses=1\nnum=3\n"
    body += "anchors=1,2,3,4,5,6\nmask=0,1,2\nrandom=1\n"
    sizes = MultiScale(build(body, (3, 416, 416), "alexeyab"))
    assert sizes.images((320, 320), 16) == 16
    sizes.options = replace(sizes.options, dynamic_minibatch=True)
    assert sizes.largest == (608, 608)
    assert sizes.images((608, 608), 16) == 16
    assert sizes.images((320, 320), 16) == int(16 * 608 * 608 // (320 * 320) * 0.8) == 45
    assert sizes.images((576, 576), 16) == 17  # four fifths of it would be fewer


class Places(Dataset):
    """Rows that know their place alone."""

    truths, length = 1, 100

    def row(self, iteration, place, image, truth):
        image[:] = 0
        return f"{place}.png"


def test_all_processes_load_as_many_pictures_at_a_size():
    body = "[convolutional]\nfilters=18\nsize=1\nactivation=linear\n[yolo]\nclasses=1\nnum=3\n"
    body = "dynamic_minibatch=1\nmax_batches=400\n" + body
    body += "anchors=1,2,3,4,5,6\nmask=0,1,2\nrandom=1\n"
    learner = Learner(build(body, (3, 64, 64), "alexeyab"))
    learner.iteration, paths = 100, []
    for rank in (0, 1):
        learner.group = Group(rank, 2)
        with load(learner, Places(Form(16, 1, 3, 64, 64)), 3, workers=0) as loader:
            batch = next(loader)
        count = MultiScale(learner.network, 3).images(batch.inputs.shape[2:], 8)
        paths.append(batch.paths)
        assert len(batch.inputs) == count > 8
    assert not set(paths[0]) & set(paths[1])

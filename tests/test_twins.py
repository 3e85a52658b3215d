"""Filters alike: which layers are looked at, and what becomes of one of a pair."""

import numpy as np
import torch
from helpers import build

from darknet_py.schedule import ScheduleOptions
from darknet_py.twins import is_time_to_part, part_twins

CONVOLUTION = "[convolutional]\nfilters=3\nsize=3\npad=1\nbatch_normalize=1\nactivation={}\n"
HEAD = "[convolutional]\nfilters=18\nsize=1\nactivation=linear\n[yolo]\nclasses=1\nnum=3\n"


def network(*activations, end=""):
    made = build("".join(map(CONVOLUTION.format, activations)) + end, (3, 5, 7), "alexeyab")
    made.requires_grad_(False)
    with torch.no_grad():
        for layer in made:
            if hasattr(layer, "weights"):  # the last two filters alike, the first another
                filters = layer.weights.flatten(1)
                layer.weights.copy_(torch.randn(layer.weights.shape, generator=seeded()))
                filters[-1] = filters[-2] * 2
    return made


def seeded():
    return torch.Generator().manual_seed(4)


def test_one_of_two_starts_anew():
    made = network("leaky", "leaky", "linear")
    before = [layer.weights.clone() for layer in made]
    assert part_twins(made, np.random.default_rng(0)) == [1]
    changed = (made[1].weights != before[1]).flatten(1).any(1)
    assert changed.tolist() == [False, True, False]
    assert float(made[1].weights[1].abs().max()) <= (2 / 27) ** 0.5
    assert float(made[1].biases[1]) == 0 and float(made[1].normalizer.scales[1]) == 1
    assert float(made[1].biases[0]) != 0
    for index in (0, 2):
        assert torch.equal(made[index].weights, before[index])
    assert part_twins(made, np.random.default_rng(0)) in ([], [1])


def test_layers_before_a_yolo_stay():
    made = network("leaky", "leaky", "leaky", "leaky", end=HEAD)
    assert part_twins(made, np.random.default_rng(0)) == [1]


def test_every_so_many_iterations_of_three_quarters():
    options = ScheduleOptions(weights_reject_freq=10, max_batches=40)
    assert [i for i in range(1, 41) if is_time_to_part(options, i)] == [10, 20]
    assert not is_time_to_part(ScheduleOptions(max_batches=40), 10)


def test_filters_of_groups_are_shorter():
    made = build(
        CONVOLUTION.format("leaky") + CONVOLUTION.format("leaky") + "groups=3\n",
        (3, 5, 7),
        "alexeyab",
    ).requires_grad_(False)
    filters = made[1].weights.flatten(1)
    filters[:] = torch.eye(3, 9)
    assert part_twins(made, np.random.default_rng(0)) == []
    filters[2] = filters[0]
    assert part_twins(made, np.random.default_rng(0)) == [1]
    assert float(made[1].weights[0].abs().max()) <= (2 / 9) ** 0.5

"""Attacked images: what is changed in them, when, and that the network learns nothing from it."""

from dataclasses import replace

import numpy as np
import torch
from helpers import assert_close, build, ramp

from darknet_py.adversarial import Attack
from darknet_py.augment import AugmentOptions
from darknet_py.learning import Learner

BODY = """[convolutional]
filters=4
size=3
pad=1
batch_normalize=1
activation=leaky

[connected]
output=3
activation=linear

[softmax]
"""
TRUTH = torch.eye(3)[[1, 2, 0, 1]]


def attacked(**options):
    """A learner of an attacked network in the middle of its training."""
    learner = Learner(build(BODY, (3, 5, 7), "alexeyab"))
    learner.options = replace(learner.options, max_batches=100, burn_in=10)
    chosen = AugmentOptions(adversarial_lr=0.5, **options)
    learner.attack = Attack(learner.network, chosen, 10, 100)
    learner.iteration = 40
    return learner


def images():
    return ramp(4, 3, 5, 7) / 4 + 0.5


def test_half_of_the_mini_batches_after_the_burn_in_are_attacked():
    attack, random = attacked().attack, np.random.default_rng(1)
    assert not any(attack.is_due(iteration, random) for iteration in range(11))
    due = [attack.is_due(11, random) for _ in range(100)]
    assert 30 < sum(due) < 70
    attack.rate = 0.0
    assert not any(attack.is_due(11, random) for _ in range(20))


def test_the_network_learns_nothing_from_being_asked():
    learner, seen = attacked(), []
    x, normalizer = images(), learner.network[0].normalizer
    before = [tensor.clone() for tensor in normalizer.buffers()]

    def passes(x, truth):
        seen.append((truth.any(), normalizer.training))
        return learner.forward(x, truth, adversarial=True)

    changed = learner.attack(x, TRUTH, 40, passes)
    assert seen == [(False, False)] and normalizer.training
    assert all(map(torch.equal, normalizer.buffers(), before))
    assert all(parameter.grad is None for parameter in learner.network.parameters())
    assert (changed != x).any() and changed.min() >= 0 and changed.max() <= 1


def test_the_step_is_in_proportion_to_the_iteration():
    learner = attacked()
    gradient = ramp(4, 3, 5, 7) / 8

    def passes(x, truth):
        return [x * 1], [gradient], None

    x = images()
    assert_close(learner.attack(x, TRUTH, 40, passes), (x - 0.2 * gradient).clamp(0, 1))
    pairs = Attack(learner.network, AugmentOptions(adversarial_lr=0.5, contrastive=True), 10, 100)
    changed = pairs(x, TRUTH, 40, passes)
    assert torch.equal(changed[1::2], x[1::2]) and (changed[::2] != x[::2]).any()


def test_an_attacked_mini_batch_is_learned_from():
    learner, given = attacked(), []
    learner.attack.is_due = lambda iteration, random: True
    forward = learner.forward
    learner.forward = lambda x, *rest, **marks: (
        given.append((x, marks)) or forward(x, *rest, **marks)
    )
    learner.learn(images(), TRUTH)
    (first, marks), (second, none) = given
    assert marks == {"adversarial": True} and none == {}
    assert_close(first, images())
    assert (second != first).any()
    assert all(p.grad is not None for p in learner.network.parameters())


def test_attention_changes_nothing():
    """C shows the gradient in a window."""
    x = images()

    def passes(x, truth):
        return [x * 1], [ramp(4, 3, 5, 7)], None

    plain, watched = (attacked(attention=attention).attack for attention in (False, True))
    assert torch.equal(plain(x, TRUTH, 40, passes), watched(x, TRUTH, 40, passes))

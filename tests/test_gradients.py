"""Gradients that in C are not the derivative of what is computed, and layers that learn oddly."""

import math

import numpy as np
import pytest
import torch
from helpers import assert_close, build, ramp

from darknet_py.activations import ACTIVATIONS
from darknet_py.deform import apply_maps, average_groups, hand_on, make_maps
from darknet_py.excitation import excite, find_strength, mark_objects
from darknet_py.layers.base import Shape, Step
from darknet_py.learning import Learner


def gradient(name, x):
    x = x.clone().requires_grad_()
    out = ACTIVATIONS[name](x)
    return torch.autograd.grad(out, x, torch.ones_like(out))[0], out.detach()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("revleaky", lambda y: torch.where(y > 0, 1.0, 10.0)),
        ("normalize_channels", lambda y: torch.where(y > 0, y, 1.0)),
        ("normalize_channels_softmax", lambda y: y * (1 - y)),
        ("normalize_channels_softmax_maxval", lambda y: y * (1 - y)),
        (
            "gelu",
            lambda y: (
                0.5 * torch.tanh(0.0356774 * y**3 + 0.797885 * y)
                + (0.0535161 * y**3 + 0.398942 * y)
                / torch.cosh(0.0356774 * y**3 + 0.797885 * y) ** 2
                + 0.5
            ),
        ),
    ],
)
def test_gradients_of_the_output(name, expected):
    found, out = gradient(name, ramp(2, 3, 4, 5) * 2)
    assert_close(found, expected(out))


def test_softmax_hands_gradients_of_later_layers_down():
    network = build("[softmax]\n\n[cost]\n", (4,)).train()
    x = ramp(2, 4).requires_grad_()
    output = network[0](x)
    assert_close(torch.autograd.grad(output, x, ramp(2, 4, start=3))[0], ramp(2, 4, start=3))


def test_normalization_takes_the_norms_for_constants():
    network = build("[normalization]\n", (6, 2, 3)).train()
    x = ramp(2, 6, 2, 3, start=1).requires_grad_()
    output = network[0](x)
    found = torch.autograd.grad(output.sum(), x)[0]
    assert_close(found, (output / x).detach())


def test_a_reorg_drops_what_later_readers_gave():
    body = (
        "[convolutional]\nfilters=4\nsize=1\nactivation=linear\n[reorg]\nstride=2\n"
        "[avgpool]\n[route]\nlayers=0\n[avgpool]\n[route]\nlayers=2,4\n[softmax]\n"
    )
    network = build(body, (2, 4, 4))
    learner = Learner(network)
    truth = torch.zeros(1, 20)
    truth[0, 3] = 1
    learner.learn(ramp(1, 2, 4, 4), truth)
    delta = learner.deltas[6].values.flatten()[:16]  # those of the reorg's branch alone
    expected = -delta.sum() / 4
    assert float(network[0].biases.grad.sum()) == pytest.approx(float(expected * 4), abs=1e-5)


def test_shortcut_weights_know_no_decay_and_short_steps():
    body = (
        "[convolutional]\nfilters=2\nsize=1\nactivation=linear\n"
        "[shortcut]\nfrom=-1\nweights_type=per_feature\nactivation=linear\n[avgpool]\n[cost]\n"
    )
    network = build(body.replace("[shortcut]\nfrom=-1", "[convolutional]\nfilters=2\nsize=1\n"
                                 "activation=linear\n[shortcut]\nfrom=-2"), (2, 3, 3))  # fmt: skip
    learner = Learner(network)
    groups = [g for g in learner.optimizer.groups if g.rule.gradient_limit]
    assert [g.rule.decays for g in groups] == [False]
    (weights,) = groups[0].arrays
    before = weights.detach().clone()
    learner.learn(ramp(1, 2, 3, 3), torch.full((1, 2), 1e4))
    learner.optimizer.update(0.5, 1, 1)
    assert_close((weights - before).abs(), torch.full_like(before, 0.5))


def test_up_to_train_only_bn_rolling_values_alone_move():
    body = (
        "[convolutional]\nfilters=3\nsize=1\nbatch_normalize=1\nactivation=leaky\n"
        "train_only_bn=1\n[avgpool]\n[softmax]\n"
    )
    network = build(body, (2, 3, 3), "alexeyab")
    before = {name: tensor.clone() for _, name, tensor in network.arrays()}
    learner = Learner(network)
    learner.learn(ramp(2, 2, 3, 3), torch.eye(3)[:2])
    learner.update()
    moved = {n for _, n, t in network.arrays() if not torch.equal(t, before[n])}
    assert moved == {"rolling_mean", "rolling_variance"}


def test_clip_limits_weights():
    body = "[convolutional]\nfilters=3\nsize=1\nactivation=linear\nclip=.2\n[avgpool]\n[softmax]\n"
    network = build(body, (2, 3, 3), "alexeyab")
    learner = Learner(network)
    learner.learn(ramp(2, 2, 3, 3), torch.eye(3)[:2])
    learner.update()
    assert float(network[0].weights.detach().abs().max()) == pytest.approx(0.2)


def make_step(iteration):
    image, random = Shape(3, 8, 8), np.random.default_rng(0)
    return Step(1, iteration, 1, image, [], random, max_batches=100, burn_in=10)


def test_excitation_fades():
    assert find_strength(1, make_step(25)) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert find_strength(1, make_step(51)) == 0
    assert find_strength(40, make_step(5)) == 0
    assert find_strength(40, make_step(25)) == pytest.approx(0.5)


def test_objects_are_marked_one_column_too_far_in_rows_of_six_values():
    truth = torch.zeros(1, 12)
    truth[0, :4] = torch.tensor([0.5, 0.5, 0.5, 0.5])
    marked = mark_objects(truth, 6, 4, 8)[0, 0]
    expected = torch.zeros(4, 8)
    expected[1:3, 2:7] = 1
    assert torch.equal(marked, expected)
    x = ramp(1, 3, 4, 8)
    found = excite(x, marked[None, None], 0.5)
    assert_close(found, x + 0.5 * expected * x.mean(1, keepdim=True))


def test_a_quarter_turn_and_back():
    weights = ramp(8, 2, 3, 3)
    there = apply_maps(weights, make_maps("rotate", 3, 0, back=False))
    assert_close(there[2:4], torch.rot90(weights[2:4], -1, (2, 3)))
    assert_close(apply_maps(there, make_maps("rotate", 3, 0, back=True)), weights)


@pytest.mark.parametrize("kind", ["sway", "stretch", "stretch_sway"])
def test_deformed_shares_follow_the_first(kind):
    weights = ramp(8, 2, 5, 5)
    maps = make_maps(kind, 5, 15, back=False)
    found = apply_maps(hand_on(weights), maps)
    assert_close(found[:1], weights[:1])
    if kind == "sway":
        assert_close(found[6:], weights[:2].flip(3))
    assert_close(average_groups(weights)[:2], weights.view(4, 2, 2, 5, 5).mean(0))

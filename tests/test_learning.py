"""Learning: C's update in numpy, gradients against finite differences, frozen layers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import assert_close, build, ramp

from darknet_py.errors import TrainError
from darknet_py.learning import Learner
from darknet_py.optimizer import Optimizer

BODY = """[convolutional]
filters=4
size=3
pad=1
batch_normalize={bn}
activation={activation}

[connected]
output=3
activation=linear

[softmax]
"""


def small(activation="leaky", bn=0, dialect="pjreddie", body=BODY):
    return build(body.format(activation=activation, bn=bn), (2, 4, 5), dialect)


def configure(network, **options):
    """A learner whose [net] has these keys."""
    learner = Learner(network)
    learner.options = replace(learner.options, **options)
    learner.optimizer = Optimizer(network, learner.options)
    return learner


def truth(batch):
    rows = torch.zeros(batch, 3)
    rows[:, 1] = 1
    return rows


def test_the_update_is_that_of_c():
    network, images = small(), ramp(2, 2, 4, 5)
    learner = configure(network, momentum=0.5, decay=0.1, learning_rate=0.2)
    layer, kept = network[0], {}
    for _ in range(3):
        before = {n: t.detach().numpy().copy() for n, t in layer.arrays()}
        learner.learn(images, truth(2))
        step = {n: -t.grad.numpy().copy() for n, t in layer.arrays()}
        learner.update()
        for name, old in before.items():
            pile = kept.get(name, 0) + step[name]
            if name == "weights":
                pile = pile - 0.1 * 2 * old
            kept[name] = 0.5 * pile
            assert_close(dict(layer.arrays())[name], old + 0.2 / 2 * pile)


@pytest.mark.parametrize("subdivisions", [1, 2])
def test_gradients_longer_than_the_limit_are_scaled_down_together(subdivisions):
    images, network = ramp(2, 2, 4, 5), small()
    learner = configure(network, momentum=0.0, decay=0.0, learning_rate=0.2, loss_scale=8.0)
    before = [a.detach().clone() for a in network.parameters()]
    for _ in range(subdivisions):
        learner.learn(images, truth(2))
    gradients = [a.grad.clone() / (8 * 2 * subdivisions) for a in network.parameters()]
    norm = sum(float(g.square().sum()) for g in gradients) ** 0.5
    learner.optimizer.max_norm = norm / 3
    learner.update()
    for array, old, gradient in zip(network.parameters(), before, gradients, strict=True):
        assert_close(array, old.numpy() - 0.2 * gradient.numpy() / 3)
    learner.learn(images, truth(2))
    learner.optimizer.max_norm = 1e9
    given = network[0].weights.grad.clone()
    old = network[0].weights.detach().clone()
    learner.update()
    assert_close(network[0].weights, (old - 0.2 / 16 * given).numpy())


def test_adam_is_that_of_c():
    network, images = small(), ramp(2, 2, 4, 5)
    learner = configure(network, adam=True, decay=0.1, learning_rate=0.2, eps=1e-3)
    layer, m, v = network[0], 0.0, 0.0
    for t in (1, 2, 3):
        old = layer.biases.detach().numpy().copy()
        learner.learn(images, truth(2))
        step = -layer.biases.grad.numpy() - 0.1 * 2 * old
        learner.update()
        m, v = 0.9 * m + 0.1 * step, 0.999 * v + 0.001 * step**2
        ratio = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-3)
        assert_close(layer.biases, (old + 0.2 * ratio).astype(np.float32))


@pytest.mark.parametrize("activation", ["leaky", "mish", "swish", "logistic", "tanh", "elu"])
@pytest.mark.parametrize("bn", [0, 1])
def test_gradients_are_those_of_the_cost(activation, bn):
    network, images = small(activation, bn, dialect="alexeyab").double(), ramp(3, 2, 4, 5).double()
    learner = Learner(network)
    learner.learn(images, truth(3).double())
    weights = network[0].weights
    gradient, place = weights.grad.clone(), (1, 0, 2, 1)
    costs = []
    for change in (1e-5, -2e-5):
        with torch.no_grad():
            weights[place] += change
        costs.append(learner.learn(images, truth(3).double()).cost)
    assert float(gradient[place]) == pytest.approx((costs[0] - costs[1]) / 2e-5, rel=1e-4)


def test_layers_up_to_stopbackward_stay():
    body = BODY.replace("[connected]", "[convolutional]\nfilters=4\nsize=1\nactivation=linear\n\n"
                        "[connected]\nstopbackward=1")  # fmt: skip
    network = small(body=body, dialect="alexeyab")
    before = [t.clone() for _, _, t in network.arrays()]
    learner = configure(network, learning_rate=0.1, decay=0.0)
    learner.learn(ramp(2, 2, 4, 5), truth(2))
    learner.update()
    assert all(torch.equal(a, b) for a, (_, _, b) in zip(before, network.arrays(), strict=True))


def test_subdivisions_add_up():
    one, two = small(), small()
    images = ramp(4, 2, 4, 5)
    for network, parts in ((one, 1), (two, 2)):
        learner = configure(network, learning_rate=0.1)
        for part in images.chunk(parts):
            learner.learn(part, truth(len(part)))
        learner.update()
    for (_, _, a), (_, _, b) in zip(one.arrays(), two.arrays(), strict=True):
        assert_close(a, b)


def test_nan_names_the_first_bad_layer():
    network = small()
    learner = Learner(network)
    with torch.no_grad():
        network[1].weights[0, 0] = float("nan")
    with pytest.raises(TrainError) as error:
        learner.learn(ramp(2, 2, 4, 5), truth(2))
    assert str(error.value) == "the loss is nan: weights of layer 1 [connected] is not finite"


@pytest.mark.parametrize("dialect, learns", [("pjreddie", False), ("alexeyab", True)])
def test_a_batchnorm_layer_learns_in_alexeyab_alone(dialect, learns):
    """C: pjreddie's [batchnorm] has no update function."""
    body = "[batchnorm]\n[connected]\noutput=3\nactivation=linear\n[softmax]\n"
    network = build(body, (2, 4, 5), dialect)
    learner = Learner(network)
    scales, rolling = (x.clone() for x in list(network[0].normalizer.state_dict().values())[:2])
    learner.learn(ramp(2, 2, 4, 5), truth(2))
    learner.optimizer.update(0.1, 2, 1)
    assert torch.equal(network[0].normalizer.scales, scales) != learns
    assert not torch.equal(network[0].normalizer.rolling_mean, rolling)


def test_of_larger_mini_batches_the_cfgs_images_count():
    learner = configure(small(dialect="alexeyab"), dynamic_minibatch=True)
    learner.learn(ramp(5, 2, 4, 5), truth(5))
    learner.update()
    assert learner.seen == learner.network.seen == learner.batch * learner.subdivisions
    learner.options = replace(learner.options, dynamic_minibatch=False)
    before = learner.seen
    learner.learn(ramp(5, 2, 4, 5), truth(5))
    learner.update()
    assert learner.seen == before + 5

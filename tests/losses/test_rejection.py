"""The filter for bad labels, step for step as C's."""

import numpy as np
import pytest
import torch

from darknet_py.losses.rejection import LabelRejection


def deltas(seed=0):
    random = np.random.default_rng(seed)
    values = random.normal(0, 0.1, (2, 3, 8, 3, 4))
    values[random.random(values.shape) < 0.5] = 0
    values[0, 1, 2, 1, 1], values[1, 2, 0, 2, 3] = 3.0, -4.0
    return torch.from_numpy(values.astype(np.float32))


def test_the_largest_go_by_sigmas_late_in_the_training():
    rejection = LabelRejection(100, sigmas=2)
    delta = deltas()
    rejection.reject(delta, 75)
    assert torch.equal(delta, deltas())
    largest = average = deviation = 0.0
    for iteration in (76, 90, 99):
        delta, size = deltas(), deltas().abs().double()
        given = size[size > 0]
        rejection.reject(delta, iteration)
        largest = (largest or float(given.max())) * 0.99 + 0.01 * float(given.max())
        average = average * 0.99 + 0.01 * float(given.mean())
        final = average + 2 * deviation
        bound = max(final, largest - (iteration - 75) / 75 * abs(largest - final))
        signed = deltas().double()
        spread = float((signed[signed != 0] - average).square().mean().sqrt())
        deviation = deviation * 0.99 + 0.01 * spread
        expected = deltas()
        expected[expected.abs() > bound] = 0
        assert torch.equal(delta, expected)
    assert rejection.deviation == pytest.approx(deviation)
    assert int((delta == 0).sum()) > int((deltas() == 0).sum())


def test_a_share_of_the_largest_goes():
    rejection = LabelRejection(100, percentage=0.5)
    delta = deltas()
    rejection.reject(delta, 80)
    assert rejection.threshold == pytest.approx(4.0 - 0.01)
    rejection.reject(delta, 81)  # -4 goes: its 8 entries are more than half a percent
    assert delta[1, 2, 0, 2, 3] == 0
    assert rejection.threshold == pytest.approx(4.0)


def test_the_smallest_go_beyond_the_equidistant_point():
    rejection = LabelRejection(100, equidistant_point=50)
    delta = deltas()
    rejection.reject(delta, 60)  # nothing averaged yet
    assert torch.equal(delta, deltas())
    average = rejection.average
    rejection.reject(delta, 70)
    expected = deltas()
    expected[expected.abs() < average * 20 / 50 * 1.4] = 0
    assert torch.equal(delta, expected)


def test_a_checkpoint_keeps_the_averages():
    first, second = LabelRejection(100, sigmas=2), LabelRejection(100, sigmas=2)
    first.reject(deltas(), 80)
    second.restore(first.state())
    one, other = deltas(1), deltas(1)
    first.reject(one, 81)
    second.reject(other, 81)
    assert torch.equal(one, other)

"""[iseg]'s loss against C's loops."""

import numpy as np
import pytest
import torch
from helpers import assert_close, build
from losing import lose

CLASSES, IDS, SIDES = 3, 4, (3, 5)


def naive(out, objects):
    """forward_iseg_layer for one image `(channels, pixels)`; objects are (class, mask)."""
    delta = -out
    delta[CLASSES:] *= 0.1
    means = []
    for number, mask in objects:
        for k in np.flatnonzero(mask):
            delta[number, k] = mask[k] - out[number, k]
        means.append(out[CLASSES:, mask != 0].mean(1) if mask.any() else None)
    for i, (_, mask) in enumerate(objects):
        for k in np.flatnonzero(mask):
            for j, mean in enumerate(means):
                if mean is not None:
                    push = np.where(mean - out[CLASSES:, k] < 0, -0.1, 0.1)
                    delta[CLASSES:, k] += push if i == j else -push
    delta[CLASSES:] *= 0.01
    return delta


def test_is_cs_loops():
    layer = build(f"[iseg]\nclasses={CLASSES}\nids={IDS}\n", (7, *SIDES), "pjreddie")[0]
    random = np.random.default_rng(1)
    x = torch.from_numpy(random.normal(0, 1, (2, 7, *SIDES))).float()
    truth = np.zeros((2, 90, 16), np.float32)
    truth[:, :, 0] = -1
    for image in range(2):
        for i in range(4 - image):
            truth[image, i, 0] = random.integers(CLASSES)
            truth[image, i, 1:] = random.random(15) < 0.4
    truth[0, 2, 1:] = 0  # an object out of sight
    delta, output = lose(layer, x, torch.from_numpy(truth), (40, 24))
    expected = []
    for out, rows in zip(output.double().flatten(2).numpy(), truth, strict=True):
        listed = [(int(r[0]), r[1:]) for r in rows if r[0] >= 0]
        expected.append(naive(out, listed))
    assert_close(delta.values.flatten(2), np.stack(expected))
    assert float(delta.cost) == pytest.approx(sum((e**2).sum() for e in expected), rel=1e-5)

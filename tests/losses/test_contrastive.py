"""[contrastive]'s loss against C's loops."""

import math

import numpy as np
import pytest
import torch
from helpers import assert_close, build
from losing import step_of

SHAPE = (4, 2, 3)
BODY = """[yolo]
mask=0,1
num=2
classes=1
anchors=10,14,20,30

[route]
layers=-1

[contrastive]
"""


def naive(z, labels, classes, temperature, most):
    """blas.c's gradients of objects' embeddings, with P_constrastive_f_det."""
    count, unit = len(z), z / np.linalg.norm(z, axis=1, keepdims=True)
    pairs = [
        (i, j) for i in range(count) for j in range(count) if i != j and classes[i] == classes[j]
    ]
    similar = {(i, j): float(unit[i] @ unit[j]) for i, j in pairs}
    chance = {}
    for i, j in pairs:
        rest = sum(math.exp(s / temperature) for (a, b), s in similar.items() if a != i and b == j)
        p = math.exp(similar[i, j] / temperature) / rest if rest else 0.9999
        chance[i, j] = 0.9999 if p > 1 else p
    steps = np.zeros_like(z)
    for i in range(count):
        same = [j for j in range(count) if labels[j] == labels[i]]
        if len(same) == 1:
            continue
        scale = 1 / ((len(same) - 1) * temperature * np.linalg.norm(z[i]))
        for j in same:
            if (i, j) in similar:
                pull = similar[i, j] * z[i] - z[j]
                steps[i] -= scale * pull * (1 - chance[i, j])
        counted, done = 0, False
        for j in same:
            for k in range(count):
                if done or j == i or labels[k] == labels[i] or classes[k] != classes[j]:
                    continue
                counted += 1
                if (i, k) in similar:
                    steps[i] -= scale * (z[k] - similar[i, k] * z[i]) * chance[i, k]
                    done = counted >= most
    return steps


@pytest.mark.parametrize("temperature, most", [(1.0, 3), (0.2, 1), (0.5, 10)])
def test_objects_are_drawn_to_their_track_and_pushed_from_others(temperature, most):
    extra = f"yolo_layer=-2\ntemperature={temperature}\ncontrastive_neg_max={most}\n"
    layer = build(BODY.replace("classes=1", "classes=3") + extra, (16, 2, 3), "alexeyab")[2]
    layer.resize(layer.in_shape)
    size = layer.embedding_size
    x = torch.from_numpy(np.random.default_rng(3).normal(0, 1, (2, 16, 2, 3))).float()
    tracks, classes = torch.full((2, 12), -1), torch.full((2, 12), -1)
    marked = [(0, 1, 5, 0), (0, 4, 5, 0), (0, 9, 6, 0), (1, 2, 5, 0), (1, 3, 7, 1), (1, 7, 6, 1)]
    marked += [(1, 11, 7, 1), (0, 6, 6, 0)]
    for image, box, track, number in marked:
        tracks[image, box], classes[image, box] = track, number
    step = step_of(layer, (32, 32), 2, marks={0: (tracks, classes)})
    delta = layer.delta([x], x, torch.zeros(2, 6), step)
    vectors = x.view(2, 2, size, 6).movedim(2, 3).reshape(24, size)
    used = tracks.flatten() >= 0
    expected = np.zeros((24, size))
    z = vectors[used].double().numpy()
    labels, numbers = tracks.flatten()[used].tolist(), classes.flatten()[used].tolist()
    expected[used.numpy()] = naive(z, labels, numbers, temperature, most)
    actual = delta.values.view(2, 2, size, 6).movedim(2, 3).reshape(24, size)
    assert_close(actual / np.abs(expected).max(), expected / np.abs(expected).max())
    assert float(delta.cost) == pytest.approx((expected**2).sum(), rel=1e-5)


def test_without_objects_nothing_is_learned():
    layer = build(
        BODY.replace("classes=1", "classes=3") + "yolo_layer=-2\n", (16, 2, 3), "alexeyab"
    )[2]
    nothing = torch.full((1, 12), -1)
    step = step_of(layer, (32, 32), 1, marks={0: (nothing, nothing)})
    x = torch.ones(1, 16, 2, 3)
    delta = layer.delta([x], x, torch.zeros(1, 6), step)
    assert delta.values.abs().sum() == 0
    assert delta.figures == {"accuracy": -1.0}


def test_images_are_drawn_to_their_class():
    layer = build(
        "[contrastive]\nclasses=3\ntemperature=.5\nmax_delta=.4\n", (5, 1, 1), "alexeyab"
    )[0]
    z = torch.from_numpy(np.random.default_rng(0).normal(0, 1, (4, 5)))
    labels = [0, 0, 1, 0]
    truth = torch.eye(3)[labels]
    delta = layer.delta([z.view(4, 5, 1, 1).float()], z, truth, step_of(layer, (1, 1), 4))
    unit = z / z.norm(dim=1, keepdim=True)
    heat = (unit @ unit.T / 0.5).exp().fill_diagonal_(0)
    expected = torch.zeros(4, 5, dtype=torch.float64)
    for i, j in np.ndindex(4, 4):
        if i == j or labels[i] != labels[j]:
            continue
        scale = 1 / ((labels.count(labels[i]) - 1) * 0.5 * z[i].norm())
        chance = heat[i] / (heat.sum(0) - heat[i])
        similar = unit[i] @ unit.T
        expected[i] -= scale * (similar[j] * z[i] - z[j]) * (1 - chance[j])
        for k in {0, 1, 2, 3} - {i, j}:
            expected[i] -= scale * (z[k] - similar[k] * z[i]) * chance[k]
    assert (expected.abs() > 0.4).any()
    assert_close(delta.values.flatten(1), expected.clamp(-0.4, 0.4))

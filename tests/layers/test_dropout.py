import numpy as np
import pytest
import torch
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError
from darknet_py.layers.base import Shape, Step


def test_leaves_everything_as_it_is():
    x = ramp(2, 3, 5, 7)
    (actual,) = build("[dropout]\nprobability=.9")(x)
    assert torch.equal(actual, x)


def test_default_probability_depends_on_the_dialect():
    assert build("[dropout]", dialect="pjreddie")[0].options.probability == 0.5
    assert build("[dropout]", dialect="alexeyab")[0].options.probability == 0.2


def test_probability_of_one_is_refused():
    with pytest.raises(CfgError) as caught:
        build("[dropout]\nprobability=1")
    assert str(caught.value) == (
        "test.cfg:6: [dropout]: probability must be from 0 to below 1, got 1"
    )


@pytest.mark.parametrize(
    "keys, expected",
    [
        ("", "dropout    p = 0.200         105  ->    105"),
        ("dropblock=1", "dropblock    p = 0.200   l.dropblock_size_abs = 7     105  ->    105"),
        (
            "dropblock=1\ndropblock_size_abs=9",
            "dropblock    p = 0.200   l.dropblock_size_abs = 5     105  ->    105",
        ),
        (
            "dropblock=1\ndropblock_size_rel=.5",
            "dropblock    p = 0.200   l.dropblock_size_rel = 0.50     105  ->    105",
        ),
    ],
)
def test_rows_of_alexeyab(keys, expected):
    assert build(f"[dropout]\n{keys}", dialect="alexeyab")[0].row() == expected


def test_row_of_pjreddie():
    assert build("[dropout]", dialect="pjreddie")[0].row() == (
        "dropout       p = 0.50                105  ->   105"
    )


def step(iteration=90):
    image, random = Shape(3, 8, 8), np.random.default_rng(0)
    return Step(1, iteration, 2, image, [], random, max_batches=100)


def test_training_drops_and_scales():
    layer = build("[dropout]\nprobability=.25\n", (200,))[0].train()
    layer.begin(step(), torch.empty(0))
    found = layer(torch.ones(50, 200))
    assert found.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert float((found == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    layer.begin(step(), torch.empty(0))
    assert not torch.equal(layer(torch.ones(50, 200)), torch.ones(50, 200))


def test_dropblock_drops_one_square_of_a_map():
    body = "[dropout]\nprobability=.9\ndropblock=1\ndropblock_size_abs=3\n"
    layer = build(body, (40, 8, 9), "alexeyab")[0].train()
    layer.begin(step(), torch.empty(0))
    found = layer(torch.ones(2, 40, 8, 9))
    zeros = (found == 0).sum((2, 3))
    assert set(zeros.unique().tolist()) <= {0, 9}
    assert zeros.sum() > 9
    assert_close(found.sum((1, 2, 3)), torch.full((2,), 40.0 * 72))

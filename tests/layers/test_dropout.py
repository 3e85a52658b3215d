import pytest
import torch
from helpers import build, ramp

from darknet_py.errors import CfgError


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

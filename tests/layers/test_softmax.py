import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError, DarknetWarning

TREE = "animal -1\nthing -1\ndog 0\ncat 0\nbird 0\npug 2\nbeagle 2\n"


def softmax(x, sizes, temperature=1.0):
    """blas.c:softmax over consecutive groups, loop for loop; 0 past the last."""
    out = np.zeros_like(x)
    for sample, result in zip(x, out, strict=True):
        start = 0
        for size in sizes:
            values = sample[start : start + size] / temperature
            powers = np.exp(values - values.max())
            result[start : start + size] = powers / powers.sum()
            start += size
    return out


@pytest.mark.parametrize("name", ["softmax", "soft"])
@pytest.mark.parametrize("groups, temperature", [(1, 1), (3, 1), (5, 0.25), (1, 4)])
def test_matches_the_c_loops(name, groups, temperature):
    x = ramp(2, 3, 5, 7)
    network = build(f"[{name}]\ngroups={groups}\ntemperature={temperature}")
    (actual,) = network(x)
    expected = softmax(x.numpy().reshape(2, -1), [105 // groups] * groups, temperature)
    assert_close(actual, expected)
    assert str(network[0].out_shape) == "105"


@pytest.mark.parametrize("inputs", [7, 9])
def test_each_group_of_a_tree_sums_to_one(tmp_path, inputs):
    (tmp_path / "small.tree").write_text(TREE)
    x = ramp(2, inputs)
    network = build(f"[softmax]\ntree={tmp_path / 'small.tree'}\ntemperature=.5", shape=(inputs,))
    assert_close(network(x)[0], softmax(x.numpy(), [2, 3, 2], 0.5))


def test_large_scores_do_not_overflow():
    x = ramp(2, 4) * 1e4
    assert_close(build("[softmax]", shape=(4,))(x)[0], softmax(x.numpy(), [4]))


def test_spatial_is_ignored_with_a_warning():
    x = ramp(2, 3, 5, 7)
    with pytest.warns(DarknetWarning, match=r"^test\.cfg:6: \[softmax\]: spatial is ignored"):
        network = build("[softmax]\nspatial=1")
    assert_close(network(x)[0], softmax(x.numpy().reshape(2, -1), [105]))


def test_errors(tmp_path):
    with pytest.raises(CfgError) as caught:
        build("[softmax]\ngroups=2")
    assert str(caught.value) == "test.cfg:6: [softmax]: groups=2 must divide the 105 inputs"
    tree = tmp_path / "small.tree"
    tree.write_text(TREE)
    with pytest.raises(CfgError) as caught:
        build(f"[softmax]\ntree={tree}", shape=(6,))
    assert str(caught.value) == (
        f"test.cfg:6: [softmax]: the tree {tree} has 7 classes, but the layer before gives 6 values"
    )


def test_row():
    assert build("[softmax]", shape=(1000,))[0].row() == (
        "softmax                                        1000"
    )


def test_a_tree_that_is_not_there():
    with pytest.raises(CfgError) as caught:
        build("[softmax]\ntree=data/none.tree", shape=(6,))
    assert str(caught.value) == (
        "test.cfg:6: [softmax]: tree='data/none.tree' is no file here, beside the cfg or one "
        "folder up"
    )

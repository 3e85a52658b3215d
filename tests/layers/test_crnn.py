import numpy as np
import pytest
from helpers import assert_close, build, ramp
from recurrent import arrays, calm, convolution, leaky

from darknet_py.errors import CfgError

PJREDDIE = "[crnn]\nactivation=leaky\noutput_filters=4\nhidden_filters=2\n"
ALEXEYAB = "[crnn]\nactivation=leaky\noutput=4\nhidden=2\nsize=3\npad=1\n"


def naive(layer, steps, dialect, hidden, shortcut, groups=1):
    """crnn_layer.c:forward_crnn_layer, a step at a time."""
    a = arrays(layer)
    batch, _, height, width = steps[0].shape
    state = np.zeros((batch, hidden, height, width))
    outputs = []
    for x in steps:
        new = leaky(convolution(a, "input_layer", x, dialect, groups))
        new = new + leaky(convolution(a, "self_layer", state, dialect, groups))
        state = new + state if shortcut else new
        outputs.append(leaky(convolution(a, "output_layer", state, dialect, groups)))
    return outputs


@pytest.mark.parametrize("shortcut", [0, 1])
@pytest.mark.parametrize("batch_normalize", [0, 1])
def test_alexeyab_matches_the_c_loops(batch_normalize, shortcut):
    body = f"{ALEXEYAB}batch_normalize={batch_normalize}\nshortcut={shortcut}"
    network = calm(build(body, shape=(3, 4, 5), dialect="alexeyab"))
    steps = [ramp(2, 3, 4, 5, start=step) for step in range(3)]
    expected = naive(network[0], [x.numpy() for x in steps], "alexeyab", 2, shortcut)
    for x, want in zip(steps, expected, strict=True):
        assert_close(network(x)[0], want)


def test_size_and_groups():
    body = "[crnn]\nactivation=leaky\noutput=4\nhidden=6\nsize=5\npadding=2\ngroups=2"
    network = build(body, shape=(8, 4, 5), dialect="alexeyab")
    x = ramp(2, 8, 4, 5)
    (expected,) = naive(network[0], [x.numpy()], "alexeyab", 6, 0, groups=2)
    assert_close(network(x)[0], expected)


@pytest.mark.parametrize("shortcut", [0, 1])
def test_pjreddie_takes_width_for_height(shortcut):
    network = calm(build(f"{PJREDDIE}shortcut={shortcut}", shape=(3, 4, 5), dialect="pjreddie"))
    steps = [ramp(2, 3, 4, 5, start=step) for step in range(3)]
    turned = [x.numpy().reshape(2, 3, 5, 4) for x in steps]
    for x, want in zip(steps, naive(network[0], turned, "pjreddie", 2, shortcut), strict=True):
        assert_close(network(x)[0], want)
    assert str(network[0].out_shape) == "4 x 5 x 4"


def test_defaults():
    pjreddie = build("[crnn]", dialect="pjreddie")[0]
    assert (pjreddie.hidden, pjreddie.filters, pjreddie.options.activation) == (1, 1, "logistic")
    alexeyab = build("[crnn]\npad=1", dialect="alexeyab")[0]
    assert (alexeyab.hidden, alexeyab.filters, alexeyab.options.size) == (1, 1, 3)


def test_another_image_size_starts_from_zero():
    network = build(ALEXEYAB, shape=(3, 4, 5), dialect="alexeyab")
    x = ramp(2, 3, 4, 5)
    first = network(x)[0]
    network.resize(6, 7)
    assert network(ramp(2, 3, 6, 7))[0].shape == (2, 4, 6, 7)
    network.resize(4, 5)
    assert_close(network(x)[0], first)


def test_rows():
    assert build(PJREDDIE, shape=(3, 4, 5), dialect="pjreddie")[0].row() == (
        "CRNN Layer: 5 x 4 x 3 image, 4 filters\n"
        "\t\tconv      2  3 x 3 / 1     4 x   5 x   3   ->     4 x   5 x   2  0.000 BFLOPs\n"
        "\t\tconv      2  3 x 3 / 1     4 x   5 x   2   ->     4 x   5 x   2  0.000 BFLOPs\n"
        "\t\tconv      4  3 x 3 / 1     4 x   5 x   2   ->     4 x   5 x   4  0.000 BFLOPs"
    )
    assert build(ALEXEYAB, shape=(3, 4, 5), dialect="alexeyab")[0].row() == (
        "CRNN Layer: 4 x 5 x 3 image, 4 filters\n"
        "conv      2       3 x 3/ 1      5 x   4 x   3 ->    5 x   4 x   2 0.000 BF\n"
        "conv      2       3 x 3/ 1      5 x   4 x   2 ->    5 x   4 x   2 0.000 BF\n"
        "conv      4       3 x 3/ 1      5 x   4 x   2 ->    5 x   4 x   4 0.000 BF"
    )


def test_operations():
    assert build(PJREDDIE, dialect="pjreddie")[0].operations == 0
    alexeyab = build(ALEXEYAB, shape=(3, 4, 5), dialect="alexeyab")[0]
    assert alexeyab.operations == 2 * 9 * (3 * 2 + 2 * 2 + 2 * 4) * 4 * 5


def test_a_shrinking_state_is_an_error():
    message = (
        r"^test\.cfg:5: \[crnn\]: the state must be as wide and high as the input: "
        r"give stride=1, an odd size and pad=1$"
    )
    with pytest.raises(CfgError, match=message):
        build("[crnn]\nhidden=2\noutput=4\nsize=3", dialect="alexeyab")


def test_a_vector_before_it_is_an_error():
    message = (
        r"^test\.cfg:5: \[crnn\]: the layer before must give an image \(width, height, channels\)$"
    )
    with pytest.raises(CfgError, match=message):
        build("[crnn]", shape=(6,))

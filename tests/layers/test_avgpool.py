import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


def test_is_the_mean_of_each_channel_at_any_size():
    network = build("[avgpool]", shape=(3, 5, 7))
    x = ramp(2, 3, 5, 7)
    assert_close(network(x)[0], x.double().numpy().mean((2, 3), keepdims=True))
    network.resize(4, 6)
    x = ramp(2, 3, 4, 6)
    assert_close(network(x)[0], x.double().numpy().mean((2, 3), keepdims=True))
    assert str(network[0].out_shape) == "1 x 1 x 3"


def test_rows_of_both_dialects():
    assert build("[avg]", (16, 5, 7), "pjreddie")[0].row() == (
        "avg                        7 x   5 x  16   ->    16"
    )
    assert build("[avg]", (16, 5, 7), "alexeyab")[0].row() == (
        "avg                             7 x   5 x  16 ->     16"
    )


def test_needs_an_image():
    with pytest.raises(CfgError) as error:
        build("[avgpool]", shape=(6,))
    assert str(error.value) == (
        "test.cfg:5: [avgpool]: the layer before must give an image (width, height, channels)"
    )

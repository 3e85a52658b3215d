import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError

CONV = "[convolutional]\nfilters={}\nsize=1\nactivation=linear\n"


def test_multiplies_value_by_value():
    x = ramp(2, 3, 5, 7)
    network = build(CONV.format(4) + CONV.format(4) + "[sam]\nfrom=-2\nactivation=relu\n")
    scaled, factors, actual = (output.detach().numpy() for output in network(x))
    assert_close(actual, (scaled * factors).clip(min=0))
    assert network[2].row() == "scale Layer: 0"


def test_sizes_must_agree():
    with pytest.raises(CfgError) as caught:
        build(CONV.format(4) + CONV.format(2) + "[sam]\nfrom=-2\n")
    assert str(caught.value) == (
        "test.cfg:14: [sam]: both layers must have one size, got 7 x 5 x 2 and 7 x 5 x 4"
    )

import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_deals_out_the_channels_of_each_group(groups):
    x = ramp(2, 6, 5, 7)
    network = build(f"[shuffle]\ngroups={groups}", shape=(6, 5, 7))
    expected = np.empty_like(x.numpy())
    for group in range(groups):
        for channel in range(6 // groups):
            expected[:, channel * groups + group] = x.numpy()[:, group * (6 // groups) + channel]
    assert_close(network(x)[0], expected)
    assert network[0].out_shape == network.image


def test_reads_in_both_dialects():
    assert build("[shuffle]").dialect.name == "pjreddie"
    assert build("[shuffle]", dialect="alexeyab")[0].options.groups == 1


def test_groups_must_divide_the_channels():
    with pytest.raises(CfgError) as caught:
        build("[shuffle]\ngroups=4", shape=(6, 5, 7))
    assert str(caught.value) == "test.cfg:6: [shuffle]: groups=4 must divide the 6 channels"

"""Every layer of every golden equals C's: a fast subset always, all of them with `-m golden`."""

import pytest
from golden import GOLDEN, goldens, replay

SMALL = 6_000_000
"""Bytes of weights up to which a golden runs in every test run."""

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"{GOLDEN} is not here")


@pytest.mark.parametrize("golden", [g for g in goldens() if g.size <= SMALL], ids=lambda g: g.name)
def test_small_network_and_prepared_network_equal_c_layer_by_layer(golden):
    replay(golden, prepared=True)


@pytest.mark.golden
@pytest.mark.parametrize("golden", [g for g in goldens() if g.size > SMALL], ids=lambda g: g.name)
def test_network_and_prepared_network_equal_c_layer_by_layer(golden):
    replay(golden, prepared=True)

"""Every layer of every golden equals C's: a fast subset always, all of them with `-m golden`."""

import pytest
from golden import GOLDEN, goldens, replay, replay_lowered

SMALL = 6_000_000
"""Bytes of weights up to which a golden runs in every test run."""

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"{GOLDEN} is not here")


@pytest.mark.parametrize("golden", [g for g in goldens() if g.size <= SMALL], ids=lambda g: g.name)
def test_small_network_equals_c_layer_by_layer(golden):
    replay(golden)


@pytest.mark.golden
@pytest.mark.parametrize("golden", [g for g in goldens() if g.size > SMALL], ids=lambda g: g.name)
def test_network_equals_c_layer_by_layer(golden):
    replay(golden)


@pytest.mark.parametrize("golden", [g for g in goldens() if g.size <= SMALL], ids=lambda g: g.name)
def test_small_prepared_network_equals_c_layer_by_layer(golden):
    replay_lowered(golden)


@pytest.mark.golden
@pytest.mark.parametrize("golden", [g for g in goldens() if g.size > SMALL], ids=lambda g: g.name)
def test_prepared_network_equals_c_layer_by_layer(golden):
    replay_lowered(golden)

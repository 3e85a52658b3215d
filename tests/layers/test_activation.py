import numpy as np
import pytest
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError


def test_activates_every_value():
    x = ramp(2, 3, 5, 7)
    (actual,) = build("[activation]\nactivation=leaky")(x)
    values = x.numpy()
    assert_close(actual, np.where(values > 0, values, np.float32(0.1) * values))


def test_default_is_linear():
    x = ramp(2, 9)
    assert_close(build("[activation]", shape=(9,))(x)[0], x)


def test_unknown_name():
    with pytest.raises(CfgError) as caught:
        build("[activation]\nactivation=leeky")
    assert str(caught.value) == (
        "test.cfg:6: [activation]: unknown activation 'leeky'; did you mean leaky?"
    )


def test_row():
    assert build("[activation]")[0].row() == "Activation Layer: 105 inputs"

import numpy as np
from helpers import assert_close, build, ramp


def test_matches_c():
    x = ramp(2, 3, 5, 7) * 20
    network = build("[logistic]")
    assert_close(network(x)[0], 1 / (1 + np.exp(-x.numpy())))
    assert network[0].out_shape == network.image


def test_row():
    assert build("[logistic]")[0].row() == ("logistic x entropy                              105")

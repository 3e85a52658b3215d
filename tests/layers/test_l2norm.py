import numpy as np
from helpers import assert_close, build, ramp


def test_matches_the_c_loops():
    x = ramp(2, 3, 5, 7)
    expected = x.numpy().copy()
    for i in range(5):
        for j in range(7):  # blas.c:l2normalize_cpu
            for sample in expected:
                sample[:, i, j] /= np.sqrt((sample[:, i, j] ** 2).sum())
    network = build("[l2norm]")
    assert_close(network(x)[0], expected)
    assert network[0].out_shape == network.image


def test_a_vector_without_channels_stays():
    network = build("[gru]\noutput=4\n[l2norm]\n[connected]\noutput=3\n[l2norm]", (5,), "pjreddie")
    state, same, connected, scaled = network(ramp(2, 5))
    assert_close(same, state)
    assert_close(scaled, connected / connected.norm(dim=1, keepdim=True))


def test_row():
    assert build("[l2norm]")[0].row() == ("l2norm                                          105")

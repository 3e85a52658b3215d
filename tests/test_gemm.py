import numpy as np
import pytest
import torch
from helpers import assert_close, ramp
from torch.nn import functional as F

from darknet_py.gemm import convolve_in_order


@pytest.mark.parametrize(
    "stride, padding, dilation, groups", [((1, 1), 1, 1, 1), ((2, 1), 2, 2, 3)]
)
def test_is_a_convolution(stride, padding, dilation, groups):
    x, weights, biases = ramp(2, 6, 7, 8), ramp(9, 6 // groups, 3, 3), ramp(9)
    settings = (stride, padding, dilation, groups)
    expected = F.conv2d(x, weights, biases, *settings)
    assert_close(convolve_in_order(x, weights, biases, *settings), expected)


def test_rounds_as_one_running_sum():
    weights = torch.tensor([1e8, 1.0, -1e8, 1.0]).view(1, 4, 1, 1)
    total = np.float32(0)
    for weight in weights.numpy().ravel():
        total += weight
    x = torch.ones(1, 4, 1, 1)
    result = convolve_in_order(x, weights, None, (1, 1), 0, 1, 1)
    assert float(result) == float(total) == 1.0

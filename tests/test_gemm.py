import numpy as np
import pytest
import torch
from helpers import assert_close, ramp
from torch.nn import functional as F

from darknet_py.gemm import convolve_in_order, multiply_in_order


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


def test_fused_rounds_product_and_sum_as_one():
    small = np.float32(1 + 2**-12)
    weights = torch.tensor([-1.0, float(small)]).view(1, 2, 1, 1)
    x = torch.tensor([1.0, float(small)]).view(1, 2, 1, 1)
    geometry = ((1, 1), 0, 1, 1)
    assert float(convolve_in_order(x, weights, None, *geometry)) == small * small - np.float32(1)
    fused = convolve_in_order(x, weights, None, *geometry, fused=True)
    assert float(fused) == float(small) ** 2 - 1 == 2**-11 + 2**-24


@pytest.mark.parametrize("fused", [False, True])
def test_gradients_are_those_of_pytorch(fused):
    values = [ramp(2, 6, 5, 7), ramp(4, 3, 3, 3), ramp(4)]
    ours, theirs = ([x.clone().requires_grad_() for x in values] for _ in range(2))
    geometry = ((2, 1), 1, 1, 2)
    convolve_in_order(*ours, *geometry, fused=fused).square().mean().backward()
    F.conv2d(*theirs, *geometry).square().mean().backward()
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a.grad, b.grad)


def test_a_matrix_is_multiplied_input_by_input():
    x, weights, biases = ramp(2, 5), ramp(3, 5), ramp(3)
    assert_close(multiply_in_order(x, weights, biases), F.linear(x, weights, biases))
    row = torch.tensor([[1e8, 1.0, -1e8, 1.0]])
    assert float(multiply_in_order(torch.ones(1, 4), row, None)) == 1.0

"""Batch norm of few channels against PyTorch's own in 64 bits."""

import pytest
import torch
from torch.nn import functional as F

from darknet_py import narrow_norm
from darknet_py.batchnorm import BatchNormalizer
from darknet_py.dialect import ALEXEYAB, PJREDDIE

SHAPES = [(3, 1, 20, 20), (2, 3, 24, 24), (2, 4, 32, 32), (4, 8, 17, 16), (2, 24, 40, 40),
          (3, 50, 26, 26), (1, 100, 32, 32)]  # fmt: skip


def draw(*shape):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator) * 3 + 2
    return x.contiguous(memory_format=torch.channels_last)


def normalizer(channels, dialect):
    generator = torch.Generator().manual_seed(1)
    made = BatchNormalizer(channels, dialect)
    with torch.no_grad():
        made.scales.copy_(torch.rand(channels, generator=generator) + 0.5)
        made.rolling_mean.fill_(0.5)
        made.rolling_variance.fill_(2.0)
    return made.train()


def learn(made, x, of_y):
    """What comes out, and the gradients of input, scales and biases."""
    x = x.detach().clone().requires_grad_()
    biases = torch.linspace(-1, 1, x.shape[1], dtype=x.dtype).requires_grad_()
    y = made(x, biases)
    y.backward(of_y)
    return [y, x.grad, made.scales.grad, biases.grad, made.rolling_mean, made.rolling_variance]


@pytest.mark.parametrize("dialect", [ALEXEYAB, PJREDDIE], ids=["alexeyab", "pjreddie"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_few_channels_learn_what_64_bits_give(shape, dialect):
    x, of_y = draw(*shape), draw(*reversed(shape)).reshape(shape)
    assert narrow_norm.pixels_in_a_row(x) > 1
    wide = normalizer(shape[1], dialect).double()
    expected = learn(wide, x.double(), of_y.double())
    for got, want in zip(learn(normalizer(shape[1], dialect), x, of_y), expected, strict=True):
        torch.testing.assert_close(got.double(), want, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(2, 8, 64, 64),  # not channels last
        draw(2, 64, 64, 64),  # wide enough
        draw(2, 8, 16, 16),  # too small
        draw(2, 8, 64, 64).half(),
        draw(2, 8, 64, 64).to("meta"),
        torch.zeros(4096, 8),
    ],
    ids=["contiguous", "wide", "small", "half", "meta", "vectors"],
)
def test_everything_else_is_left_to_pytorch(x):
    assert narrow_norm.pixels_in_a_row(x) == 1


def test_a_frozen_input_gets_no_gradient():
    made, x = normalizer(8, ALEXEYAB), draw(2, 8, 32, 32)
    made(x, None).sum().backward()
    assert x.grad is None
    assert made.scales.grad is not None


def test_what_comes_out_may_be_written_to():
    made, x = normalizer(8, ALEXEYAB), draw(2, 8, 32, 32).requires_grad_()
    y = F.leaky_relu(made(x, None), 0.1, inplace=True)
    assert y.is_contiguous(memory_format=torch.channels_last)
    y.backward(torch.ones_like(y))
    assert x.grad is not None and bool(x.grad.any())

"""What tests of our own kernels share: maps, convolutions, small networks."""

import pytest
import torch
from helpers import build
from torch.nn import functional as F

from darknet_py import kernels, lower
from darknet_py.activations import ACTIVATIONS
from darknet_py.lower import prepare, program
from darknet_py.operations import Place, native, native_convolution
from darknet_py.operations.native import find_library
from darknet_py.operations.native_convolution import NativeConvolution

needs = pytest.mark.skipif(find_library(torch.float32) is None, reason="no C++ compiler")


short = pytest.param(
    torch.bfloat16,
    marks=pytest.mark.skipif(find_library(torch.bfloat16) is None, reason="no bfloat16 here"),
)
LINEAR, LEAKY = ACTIVATIONS["linear"], ACTIVATIONS["leaky"]


TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 0.06}
"""Of the output's deviation."""


CONV = "[convolutional]\nbatch_normalize=1\nfilters={}\nsize={}\npad=1\nstride={}\nactivation={}\n"


HEADS = """[convolutional]
filters=14
size=1
activation=linear
[yolo]
mask=0,1
anchors=3,4, 5,6
classes=2
num=2
scale_x_y={}
new_coords={}
"""


MANY = (
    CONV.format(16, 3, 1, "mish") + "[maxpool]\nsize=2\nstride=2\n" + CONV.format(16, 1, 1, "swish")
    + "[shortcut]\nfrom=-2\nactivation=leaky\n[maxpool]\nsize=5\nstride=1\n[upsample]\nstride=2\n"
    + "[route]\nlayers=-1,0\n" + CONV.format(8, 1, 1, "leaky")
    + CONV.format(8, 3, 2, "relu6")
    + "[avgpool]\n" + CONV.format(8, 1, 1, "logistic") + "[scale_channels]\nfrom=-3\n"
    + "[route]\nlayers=-1,-1\n[maxpool]\nsize=3\nstride=2\npadding=2\n"
    + CONV.format(5, 1, 1, "linear")
)  # fmt: skip


def random_map(*shape, dtype=torch.float32, seed=0):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def make(weights, geometry, kind, dtype=torch.float32, activation=LEAKY):
    place = Place(torch.device("cpu"), dtype, True, True)
    biases = torch.linspace(-1, 1, len(weights))
    return NativeConvolution(weights, biases, geometry, activation, place, kind)


def expect(x, weights, geometry, activation=LEAKY):
    padding, stride, dilation, groups = geometry
    biases = torch.linspace(-1, 1, len(weights))
    x, weights, biases = x.double(), weights.double(), biases.double()
    return activation(F.conv2d(x, weights, biases, stride, padding, dilation, groups))


def assert_near(found, expected, tolerance=None):
    spread = max(float(expected.square().mean().sqrt()), 1.0)
    off = (found.double() - expected).abs().max() / spread
    assert found.shape == expected.shape and float(off) < (tolerance or TOLERANCE[found.dtype])


def run_many(**options):
    network = build(MANY, (3, 12, 10), "alexeyab")
    return network, prepare(network, **options)


def swap_library(monkeypatch, found):
    """Have `found` used in place of this processor's kernels, until the test ends."""
    monkeypatch.setattr(kernels, "library", lambda: found)
    monkeypatch.setattr(native, "find_library", native.find_library.__wrapped__)
    for module in (lower, program, native_convolution):
        monkeypatch.setattr(module, "find_library", native.find_library)

"""Kernels of our own, one by one: what they compute."""

import pytest
import torch
from kernel_cases import LEAKY, LINEAR, assert_near, expect, make, needs, random_map, short

from darknet_py.activations import ACTIVATIONS
from darknet_py.kernels.call import DENSE, DEPTHWISE, PICTURE, WINDOWS, WINOGRAD
from darknet_py.operations import Slot, native_convolution
from darknet_py.operations.activation import NUMBERS
from darknet_py.operations.addition import Addition
from darknet_py.operations.native import find_pitch

DENSE_CASES = [  # channels, filters, size, stride, padding, dilation, height, width, batch
    (3, 16, 3, 1, 1, 1, 9, 11, 2),
    (3, 5, 7, 2, 3, 1, 20, 13, 1),
    (1, 1, 1, 1, 0, 1, 1, 1, 1),
    (8, 40, 1, 1, 0, 1, 13, 13, 1),
    (64, 255, 1, 1, 0, 1, 5, 5, 3),
    (1030, 33, 1, 1, 0, 1, 4, 3, 1),
    (600, 17, 3, 2, 1, 1, 7, 8, 1),
    (70, 48, 3, 1, 2, 2, 10, 9, 1),
    (31, 31, 5, 1, 0, 1, 9, 9, 2),
    (512, 96, 1, 2, 0, 1, 8, 8, 1),
    (16, 16, 2, 2, 0, 1, 8, 6, 1),
    (256, 300, 3, 1, 1, 1, 13, 13, 1),
    (3, 40, 3, 1, 1, 1, 70, 130, 2),
    (4, 17, 5, 2, 0, 1, 11, 64, 1),
    (1, 3, 3, 1, 2, 1, 4, 5, 1),
    (3, 8, 3, 1, 2, 2, 9, 9, 1),
    (7, 9, 9, 1, 4, 1, 12, 30, 1),
]


@needs
@pytest.mark.parametrize("dtype", [torch.float32, short])
@pytest.mark.parametrize("case", DENSE_CASES)
def test_dense_convolutions(case, dtype):
    channels, filters, size, stride, padding, dilation, height, width, batch = case
    x = random_map(batch, channels, height, width, dtype=dtype)
    weights = random_map(filters, channels, size, size, seed=1) / (channels * size**2) ** 0.5
    geometry = ([padding] * 2, [stride] * 2, [dilation] * 2, 1)
    assert_near(make(weights, geometry, DENSE, dtype)(x), expect(x, weights, geometry))


NARROW_CASES = [  # channels, filters, batch, activation
    (8, 4, 1, "leaky"),
    (4, 8, 2, "swish"),
    (8, 8, 1, "mish"),
    (32, 8, 1, "relu"),
    (6, 2, 1, "linear"),
    (64, 1, 1, "leaky"),
    (2, 1, 1, "logistic"),
    (3, 8, 1, "leaky"),
    (8, 5, 1, "leaky"),
]


@needs
@pytest.mark.parametrize("dtype", [torch.float32, short])
@pytest.mark.parametrize("width", [64, 65])
@pytest.mark.parametrize("case", NARROW_CASES)
def test_few_filters_for_many_pixels(case, width, dtype):
    channels, filters, batch, name = case
    x = random_map(batch, channels, 65, width, dtype=dtype)
    weights = random_map(filters, channels, 1, 1, seed=1) / channels**0.5
    geometry, activation = ([0, 0], [1, 1], [1, 1], 1), ACTIVATIONS[name]
    operation = make(weights, geometry, DENSE, dtype, activation)
    expected = expect(x, weights, geometry, activation)
    assert_near(operation(x), expected)
    slot = Slot({}, 0, filters + 8, 8, filters + 8, operation.place)
    assert_near(operation(x, out=slot), expected)
    other = random_map(*expected.shape, dtype=dtype, seed=2)
    operation.followed_by(Addition(LEAKY))
    assert_near(operation(x, other), LEAKY(expected + other.double()))


WINDOWS_CASES = [  # channels, filters, size, stride, padding, height, width, batch, activation
    (32, 64, 3, 2, 1, 20, 44, 2, "leaky"),
    (32, 40, 3, 2, 1, 21, 43, 1, "mish"),
    (6, 17, 3, 2, 0, 9, 64, 1, "linear"),
    (7, 16, 3, 2, 1, 9, 64, 1, "relu"),
    (20, 36, 5, 3, 2, 2, 70, 1, "logistic"),
    (16, 33, 3, 1, 3, 1, 14, 2, "leaky"),
    (64, 100, 2, 2, 0, 6, 28, 1, "swish"),
    (8, 9, 3, 2, 1, 12, 12, 1, "leaky"),
]


@needs
@pytest.mark.parametrize("dtype", [torch.float32, short])
@pytest.mark.parametrize("beside", [0, 9, 10])  # an odd pitch does not fit pairs
@pytest.mark.parametrize("case", WINDOWS_CASES)
def test_windows_are_read_where_they_are(case, beside, dtype):
    channels, filters, size, stride, padding, height, width, batch, name = case
    whole = random_map(batch, channels + beside, height, width, dtype=dtype)
    x = whole[:, beside // 4 : beside // 4 + channels]
    weights = random_map(filters, channels, size, size, seed=1) / (channels * size**2) ** 0.5
    geometry = ([padding] * 2, [stride] * 2, [1, 1], 1)
    operation = make(weights, geometry, WINDOWS, dtype, ACTIVATIONS[name])
    expected = expect(x, weights, geometry, ACTIVATIONS[name])
    assert_near(operation(x), expected)
    other = random_map(*expected.shape, dtype=dtype, seed=3)
    assert operation.followed_by(Addition(ACTIVATIONS["relu"])) is operation
    assert_near(operation(x, other), (expected + other.double()).relu())


@needs
@pytest.mark.parametrize("dtype", [torch.float32, short])
@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize(
    "channels, filters, height, width, batch",
    [
        (16, 16, 5, 7, 2),
        (36, 40, 13, 13, 1),
        (200, 70, 8, 9, 1),
        (3, 5, 1, 2, 1),
        (64, 33, 26, 3, 3),
    ],
)
def test_convolutions_after_winograd(
    channels, filters, height, width, batch, held, dtype, monkeypatch
):
    if dtype == torch.float32:  # of 16 bits the transformed weights are always held
        monkeypatch.setattr(native_convolution, "_holds", lambda *_: held)
    x = random_map(batch, channels, height, width, dtype=dtype)
    weights = random_map(filters, channels, 3, 3, seed=1) / (channels * 9) ** 0.5
    geometry = ([1, 1], [1, 1], [1, 1], 1)
    operation = make(weights, geometry, WINOGRAD, dtype)
    assert bool(operation._call.expanded) == (held or dtype != torch.float32)
    assert_near(operation(x), expect(x, weights, geometry))


DEPTHWISE_CASES = [  # channels, size, stride, padding, height, width, batch, activation
    (8, 3, 1, 1, 9, 30, 2, "leaky"),
    (8, 3, 1, 0, 7, 13, 1, "mish"),
    (4, 3, 1, 1, 9, 30, 2, "swish"),
    (40, 3, 2, 1, 17, 33, 1, "swish"),
    (136, 5, 1, 2, 12, 12, 1, "relu6"),
    (19, 5, 2, 2, 40, 41, 1, "linear"),
    (70, 7, 1, 3, 9, 10, 1, "mish"),
    (33, 3, 1, 0, 3, 3, 3, "leaky"),
    (16, 3, 1, 1, 200, 100, 1, "relu"),
]


@needs
@pytest.mark.parametrize("dtype", [torch.float32, short])
@pytest.mark.parametrize("case", DEPTHWISE_CASES)
def test_depthwise_convolutions(case, dtype):
    channels, size, stride, padding, height, width, batch, name = case
    x = random_map(batch, channels, height, width, dtype=dtype)
    weights = random_map(channels, 1, size, size, seed=1) / size
    geometry = ([padding] * 2, [stride] * 2, [1, 1], channels)
    activation = ACTIVATIONS[name]
    operation = make(weights, geometry, DEPTHWISE, dtype, activation)
    assert_near(operation(x), expect(x, weights, geometry, activation))
    other = random_map(*operation(x).shape, dtype=dtype, seed=2)
    operation.followed_by(Addition(LEAKY))
    expected = LEAKY(expect(x, weights, geometry, activation) + other.double())
    assert_near(operation(x, other), expected)


PICTURE_CASES = [  # channels, filters, size, stride, padding, height, width, batch, activation
    (3, 16, 3, 1, 1, 40, 44, 2, "leaky"),
    (3, 40, 3, 2, 1, 33, 71, 1, "swish"),
    (3, 70, 7, 2, 3, 64, 64, 1, "relu"),
    (1, 33, 5, 1, 2, 30, 30, 2, "linear"),
    (4, 8, 3, 1, 0, 5, 9, 1, "mish"),
    (7, 48, 2, 2, 0, 40, 80, 1, "leaky"),
]


@needs
@pytest.mark.parametrize("dtype", [torch.float32, short])
@pytest.mark.parametrize("planes", [True, False])
@pytest.mark.parametrize("case", PICTURE_CASES)
def test_convolutions_of_pictures(case, planes, dtype):
    channels, filters, size, stride, padding, height, width, batch, name = case
    x = random_map(batch, channels, height, width)
    x = x.contiguous() if planes else x
    weights = random_map(filters, channels, size, size, seed=1) / size
    geometry = ([padding] * 2, [stride] * 2, [1, 1], 1)
    operation = make(weights, geometry, PICTURE, dtype, ACTIVATIONS[name])
    found = operation(x)
    assert found.dtype == dtype
    assert_near(found, expect(x, weights, geometry, ACTIVATIONS[name]))


@needs
@pytest.mark.parametrize("dtype", [torch.float32, short])
@pytest.mark.parametrize("name", sorted(n for n, f in ACTIVATIONS.items() if f in NUMBERS))
def test_activations(name, dtype):
    activation = ACTIVATIONS[name]
    values = torch.tensor(
        [0.0, -0.0, 1e-30, -1e-30, 0.5, -0.5, 3, -3, 19.9, 20.1, -30, 88, -88, 1e4]
    )
    values = torch.cat([values, torch.linspace(-9, 9, 101), torch.tensor([-1e4, torch.inf])])
    x = values.to(dtype).view(1, 1, 1, -1)
    weights = torch.ones(1, 1, 1, 1)
    operation = make(weights, ([0, 0], [1, 1], [1, 1], 1), DENSE, dtype, activation)
    operation.biases.zero_()
    found, expected = operation(x), activation(x.double())
    off = (found.double() - expected).abs() / expected.abs().clamp(min=1)
    assert float(off.nan_to_num(0).max()) < (1e-6 if dtype == torch.float32 else 0.01)
    assert not found.isnan().any()


@needs
@pytest.mark.parametrize("kind", [DENSE, WINOGRAD])
@pytest.mark.parametrize("last", ["linear", "relu", "mish"])
def test_parts_of_maps_and_a_sum(kind, last):
    whole = random_map(2, 60, 6, 9)
    x, other = whole[:, 7:31], whole[:, 30:54]
    weights = random_map(24, 24, 3, 3, seed=2) / 9
    geometry = ([1, 1], [1, 1], [1, 1], 1)
    operation = make(weights, geometry, kind)
    assert operation.followed_by(Addition(ACTIVATIONS[last])) is operation
    assert operation.followed_by(Addition(LINEAR)) is None
    slot = Slot({}, 0, 50, 20, 44, operation.place)
    found = operation(x, other, out=slot)
    expected = ACTIVATIONS[last](expect(x, weights, geometry) + other.double())
    assert_near(found, expected)
    assert find_pitch(found) == 50 and found.data_ptr() == slot.buffers[0][:, 20:].data_ptr()


@needs
def test_any_number_of_threads_gives_the_same():
    weights = random_map(64, 48, 3, 3, seed=1)
    x = random_map(1, 48, 13, 13)
    operation, before = (
        make(weights, ([1, 1], [1, 1], [1, 1], 1), WINOGRAD),
        torch.get_num_threads(),
    )
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(operation(x))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])

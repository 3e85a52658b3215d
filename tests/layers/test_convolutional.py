import copy

import numpy as np
import pytest
import torch
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError
from darknet_py.weights import count_floats


def naive(x, weights, stride=(1, 1), padding=0, dilation=1, groups=1, outside=0.0):
    """im2col.c and gemm.c, as plain loops; `outside` is what a padding pixel counts."""
    batch, _, height, width = x.shape
    filters, depth, size, _ = weights.shape
    out_h = (height + 2 * padding - size) // stride[0] + 1
    out_w = (width + 2 * padding - size) // stride[1] + 1
    out = np.zeros((batch, filters, out_h, out_w))
    for b, f, i, j in np.ndindex(*out.shape):
        group = f // (filters // groups)
        for c, row, column in np.ndindex(depth, size, size):
            y = i * stride[0] - padding * dilation + row * dilation
            z = j * stride[1] - padding * dilation + column * dilation
            inside = 0 <= y < height and 0 <= z < width
            value = x[b, group * depth + c, y, z] if inside else outside
            out[b, f, i, j] += weights[f, c, row, column] * value
    return out


def leaky(x):
    return np.where(x > 0, x, 0.1 * x)


def arrays(layer):
    return {name: tensor.detach().double().numpy() for name, tensor in layer.arrays()}


def normalized(x, layer, outside=True):
    """batchnorm_layer.c and blas.c:normalize_cpu, scale and bias."""
    a = {name: value[:, None, None] for name, value in arrays(layer).items() if value.ndim == 1}
    deviation = np.sqrt(a["rolling_variance"]) + 1e-6
    if not outside:
        deviation = np.sqrt(a["rolling_variance"] + 1e-5)
    return a["scales"] * (x - a["rolling_mean"]) / deviation + a["biases"]


@pytest.mark.parametrize(
    "keys, stride, padding, dilation, groups",
    [
        ("size=3\npad=1", (1, 1), 1, 1, 1),
        ("size=3\nstride=2\npad=1\ngroups=2", (2, 2), 1, 1, 2),
        ("size=2\nstride=2\npadding=1", (2, 2), 1, 1, 1),
        ("size=3\nstride_x=2\nstride_y=1\npad=1", (1, 2), 1, 1, 1),
        ("size=3\nstride=3\nstride_y=2", (2, 3), 0, 1, 1),
        ("size=3\ndilation=2\npad=1\ngroups=4", (1, 1), 1, 2, 4),
        ("size=1\nstride=2", (2, 2), 0, 1, 1),
        ("size=1\npadding=1", (1, 1), 1, 1, 1),
    ],
)
def test_matches_the_c_loops(keys, stride, padding, dilation, groups):
    x = ramp(2, 4, 7, 9)
    body = f"[convolutional]\nfilters=8\nactivation=leaky\n{keys}"
    network = build(body, shape=(4, 7, 9), dialect="alexeyab")
    a = arrays(network[0])
    expected = naive(x.double().numpy(), a["weights"], stride, padding, dilation, groups)
    expected = leaky(expected + a["biases"][:, None, None])
    (actual,) = network(x)
    assert_close(actual, expected)
    assert str(network[0].out_shape) == "{2} x {1} x {0}".format(*expected.shape[1:])


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_batch_norm_divides_by_the_dialects_deviation(dialect):
    x = ramp(2, 3, 5, 7)
    body = "[conv]\nbatch_normalize=1\nfilters=4\nsize=3\nactivation=linear"
    network = build(body, dialect=dialect)
    network[0].normalizer.rolling_variance[0] = 1e-4
    expected = normalized(
        naive(x.double().numpy(), arrays(network[0])["weights"]), network[0], dialect == "pjreddie"
    )
    assert_close(network(x)[0], expected)
    assert [name for name, _ in network[0].arrays()] == [
        "biases", "scales", "rolling_mean", "rolling_variance", "weights"
    ]  # fmt: skip


def test_defaults_are_one_filter_of_one_pixel_and_logistic():
    network = build("[convolutional]")
    a = arrays(network[0])
    x = ramp(2, 3, 5, 7)
    sums = naive(x.double().numpy(), a["weights"]) + a["biases"][:, None, None]
    assert_close(network(x)[0], 1 / (1 + np.exp(-sums)))


def test_pad_wins_over_padding():
    assert build("[conv]\nsize=5\npad=1\npadding=4")[0].padding == 2


@pytest.mark.parametrize("kind, kernel", [(1, [0.25, 0.5, 0.25]), (2, [0.5, 0.5])])
def test_antialiasing_blurs_with_the_stride_behind_the_activation(kind, kernel):
    x = ramp(2, 3, 7, 9)
    body = (
        f"[conv]\nfilters=2\nsize=3\nstride_x=3\nstride_y=2\npad=1\nactivation=leaky\n"
        f"antialiasing={kind}"
    )
    network = build(body, shape=(3, 7, 9))
    a = arrays(network[0])
    host = naive(x.double().numpy(), a["weights"], padding=1) + a["biases"][:, None, None]
    blur = np.outer(kernel, kernel)[None, None].repeat(2, 0)
    expected = naive(leaky(host), blur, (2, 3), 2 - kind, groups=2)
    assert_close(network(x)[0], expected)
    assert str(network[0].out_shape) == "{2} x {1} x {0}".format(*expected.shape[1:])
    assert [name for name, _ in network[0].arrays()] == ["biases", "weights"]


SHARED = """\
[conv]
batch_normalize=1
filters=4
size=3
pad=1
activation=leaky

[conv]
filters=4
size=1
activation=linear

[conv]
batch_normalize=1
share_index={}
filters=4
size=3
pad=1
stride=2
activation=linear
"""


@pytest.mark.parametrize("index", ["0", "-2"])
def test_share_index_uses_the_arrays_of_another_layer(index):
    body = SHARED.format(index).replace("filters=4", "filters=3")
    network = build(body, shape=(3, 5, 7))
    outputs = network(ramp(2, 3, 5, 7))
    weights = arrays(network[0])["weights"]
    convolved = naive(outputs[1].detach().double().numpy(), weights, (2, 2), 1)
    assert_close(outputs[2], normalized(convolved, network[0], outside=False))
    assert list(network[2].arrays()) == []
    assert network[2].row().startswith("convS     3       3 x 3/ 2   ")


def test_shared_arrays_are_stored_once_and_stay_shared_in_a_copy():
    network = build(SHARED.format(0).replace("filters=4", "filters=3"))
    assert count_floats(network) == 3 * 4 + 3 * 3 * 9 + 3 + 3 * 3
    assert len(list(network.parameters())) == 5
    twin = copy.deepcopy(network).to_empty(device="cpu")
    assert twin[2].bank is twin[0]
    assert network[2].bank is network[0]


def test_share_index_must_name_an_equal_convolution():
    message = (
        r"^test\.cfg:19: \[conv\]: channels is 4, but layer 0, whose weights share_index takes, "
        r"has 3$"
    )
    with pytest.raises(CfgError, match=message):
        build(SHARED.format(0))
    with pytest.raises(CfgError, match=r"share_index names layer 0, a \[maxpool\], not a"):
        build("[maxpool]\n\n[conv]\nshare_index=-1")


@pytest.mark.parametrize("dialect, groups", [("pjreddie", 2), ("alexeyab", 1)])
def test_xnor_takes_signs_of_inputs_and_mean_signs_of_weights(dialect, groups):
    x = ramp(2, 4, 5, 7)
    x[0, 1, 2, 3] = 0
    body = "[conv]\nxnor=1\nfilters=6\nsize=3\npad=1\ngroups=2\nactivation=linear"
    network = build(body, shape=(4, 5, 7), dialect=dialect)
    weights = arrays(network[0])["weights"]
    assert weights.shape[1] == 4 // groups
    means = np.abs(weights).mean((1, 2, 3), keepdims=True)
    binary = np.where(weights > 0, means, -means)
    signs = np.where(x.numpy() > 0, 1.0, -1.0)
    expected = naive(signs, binary, padding=1, groups=groups)
    expected += arrays(network[0])["biases"][:, None, None]
    assert_close(network(x)[0], expected)


def test_xnor_lets_gradients_through_where_inputs_are_small():
    network = build("[conv]\nxnor=1\nfilters=2\nsize=1\nactivation=linear", shape=(1, 1, 3))
    x = torch.tensor([[[[0.5, -2.0, -0.25]]]], requires_grad=True)
    (output,) = network(x)
    output.sum().backward()
    means = (
        network[0].weights.detach().flatten().abs() * network[0].weights.detach().sign().flatten()
    )
    assert_close(x.grad.flatten(), means.sum() * torch.tensor([1.0, 0.0, 1.0]))
    assert_close(network[0].weights.grad.flatten(), torch.tensor([-1.0, -1.0]))


@pytest.mark.parametrize(
    "keys, kind",
    [
        ("xnor=1", "convX "),
        ("xnor=1\nbin_output=1", "convXB"),
        ("assisted_excitation=4000", "convAE"),
        ("dilation=1", "conv  "),
    ],
)
def test_row_names_the_kind(keys, kind):
    row = build(f"[conv]\nfilters=4\nsize=3\npad=1\n{keys}", dialect="alexeyab")[0].row()
    assert row[:6] == kind
    billions = 2 * 4 * 3 * 9 * 5 * 7 / 1e9 / (32 if "xnor" in keys else 1)
    assert (
        row[6:] == f"    4       3 x 3/ 1      7 x   5 x   3 ->    7 x   5 x   4 {billions:5.3f} BF"
    )


def test_rows_of_both_dialects():
    body = "[conv]\nfilters=64\nsize=3\nstride=2\npad=1\n{}"
    shape = (16, 416, 608)
    assert build(body.format("groups=4"), shape, "pjreddie")[0].row() == (
        "conv     64  3 x 3 / 2   608 x 416 x  16   ->   304 x 208 x  64  0.291 BFLOPs"
    )
    assert build(body.format("groups=4"), shape, "alexeyab")[0].row() == (
        "conv     64/   4  3 x 3/ 2    608 x 416 x  16 ->  304 x 208 x  64 0.291 BF"
    )
    assert build(body.format("stride_y=1\nantialiasing=2"), shape)[0].row() == (
        "conv     64       3 x 3/ 1    608 x 416 x  16 ->  608 x 416 x  64 4.662 BF\n"
        "AA:  conv     64/  64  2x 2/ 2x 1  608 x 416 x  64 ->  304 x 415 x  64 0.065 BF"
    )
    assert (
        build("[conv]\nsize=3\ndilation=2\npad=1", shape)[0]
        .row()
        .startswith("conv      1       3 x 3/ 1(2) 608 x 416 x  16")
    )


def test_one_deformation_at_a_time():
    with pytest.raises(CfgError) as error:
        build("[conv]\nsize=3\nsway=1\nrotate=1")
    assert str(error.value) == (
        "test.cfg:5: [conv]: only one of sway, rotate, stretch and stretch_sway may be 1"
    )
    with pytest.raises(CfgError, match=r"need size=3 or more, got 1$"):
        build("[conv]\nstretch=1")


def test_groups_must_divide_channels_and_filters():
    with pytest.raises(CfgError) as error:
        build("[conv]\nfilters=4\ngroups=2")
    assert str(error.value) == (
        "test.cfg:7: [conv]: groups=2 must divide the 3 input channels and the 4 filters"
    )


def test_a_window_larger_than_the_image_is_refused():
    with pytest.raises(CfgError) as error:
        build("[conv]\nsize=9")
    assert str(error.value) == (
        "test.cfg:5: [conv]: a 5 pixels long side does not fit size=9, padding=0, dilation=1"
    )


def test_dilation_that_c_miscounts_is_refused():
    with pytest.raises(CfgError) as error:
        build("[conv]\nsize=3\ndilation=2", shape=(3, 7, 9))
    assert str(error.value) == (
        "test.cfg:5: [conv]: a 7 pixels long side does not fit size=3, padding=0, dilation=2"
    )


def test_a_blurred_layer_can_be_routed():
    body = "[conv]\nfilters=2\nstride=2\nantialiasing=1\n\n[route]\nlayers=0,0"
    network = build(body)
    blurred, joined = network(ramp(2, 3, 5, 7))
    assert_close(joined, torch.cat([blurred, blurred], 1))


def test_keys_of_gpu_training_change_nothing():
    body = "[conv]\nfilters=4\nsize=3\npad=1\n"
    keys = "rotate=1\nangle=40\nreverse=1\ncoordconv=1\ngrad_centr=1\ndot=1\nbinary=1\nstream=2"
    plain, keyed = build(body, dialect="alexeyab"), build(body + keys, dialect="alexeyab")
    x = ramp(2, 3, 5, 7)
    assert_close(keyed(x)[0], plain(x)[0])


def test_cbn_is_batch_norm():
    names = [name for name, _ in build("[conv]\ncbn=1")[0].arrays()]
    assert names[1] == "scales"


def test_no_groups_are_one_group():
    assert build("[conv]\ngroups=0")[0].weights.shape[1] == 3


@pytest.mark.parametrize(("dialect", "largest"), [("pjreddie", 3.5), ("alexeyab", 1.0)])
def test_first_weights_are_drawn_as_the_fork_does(dialect, largest):
    body = "[convolutional]\nfilters=64\nsize=3\npad=1\nactivation=linear"
    network = build(body, (16, 7, 5), dialect=dialect)
    torch.manual_seed(0)
    network.initialize()
    weights = network[0].weights.detach() / (2 / (16 * 9)) ** 0.5
    deviation = 1 if dialect == "pjreddie" else 3**-0.5
    assert abs(float(weights.std()) / deviation - 1) < 0.05
    assert largest * 0.95 < float(weights.abs().max()) < largest * 1.6
    if dialect == "alexeyab":
        assert float(weights.abs().max()) <= 1

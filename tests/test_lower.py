"""Prepared networks: what they give, what they leave alone, what they fuse."""

import shutil

import pytest
import torch
from helpers import assert_close, build, ramp
from torch.nn import functional as F

from darknet_py.activations import ACTIVATIONS
from darknet_py.errors import DarknetError
from darknet_py.inputs import run_batch
from darknet_py.lower import prepare
from darknet_py.lower.segments import Segment
from darknet_py.operations import Place, onednn
from darknet_py.operations.activation import mish
from darknet_py.operations.addition import Addition
from darknet_py.operations.convolution import Convolution
from darknet_py.operations.native import find_library

CONV = "[convolutional]\nbatch_normalize=1\nfilters={}\nsize={}\npad=1\nstride={}\nactivation={}\n"
fused = pytest.mark.skipif(not onednn.can_fuse(torch.float32), reason="no fused convolutions here")


def check(network, x, **options):
    """Each output of the prepared network is the network's own; gives the prepared one."""
    before = {
        name: value.clone() for name, value in network.state_dict().items() if "extra" not in name
    }
    with torch.inference_mode():
        expected = network(x)
    lowered = prepare(network, **options)
    lowered.worth = 0.0
    for _ in range(4):  # step by step at first, then compiled
        outputs = lowered(x)
        assert len(outputs) == len(lowered.wanted)
        for index, output in zip(lowered.wanted, outputs, strict=True):
            spread = max(float(expected[index].std()), 1.0)
            assert_close(output / spread, expected[index] / spread)
            assert output.is_contiguous() and output.dtype == torch.float32
    for name, value in before.items():
        assert torch.equal(network.state_dict()[name], value)
    return lowered


@pytest.mark.parametrize("how", [{}, {"native": False}, {"fused": False}])
@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_activation_behind_a_convolution(activation, every, how):
    network = build(CONV.format(4, 3, 2, activation) + CONV.format(6, 1, 1, activation), (3, 7, 9))
    check(network, ramp(2, 3, 7, 9), every_layer=every, **how)


@pytest.mark.parametrize("fuse", [None, False])
@pytest.mark.parametrize("native", [None, False])
@pytest.mark.parametrize("first", ["linear", "leaky", "mish", "hard_mish"])
@pytest.mark.parametrize("last", ["linear", "relu", "leaky", "mish"])
def test_a_sum_behind_a_convolution(first, last, fuse, native):
    body = CONV.format(4, 3, 1, "leaky") + CONV.format(4, 3, 1, first)
    body += f"[shortcut]\nfrom=-2\nactivation={last}\n"
    network = build(body, (3, 5, 7), "alexeyab")
    lowered = check(network, ramp(2, 3, 5, 7), fused=fuse, native=native)
    joined = first == "mish" and last == "linear"
    if fuse is None and onednn.can_fuse(torch.float32):
        joined = joined or (first in ("linear", "leaky") and last != "mish")
    if fuse is None and native is None and find_library(torch.float32) is not None:
        joined = first != "hard_mish"
    assert len(lowered.steps) == (2 if joined else 3)


def test_a_sum_whose_parts_are_read_again():
    body = CONV.format(4, 3, 1, "linear") * 2 + "[shortcut]\nfrom=-2\nactivation=relu\n"
    body += CONV.format(4, 1, 1, "swish") + "[route]\nlayers=-1,-2,-3,-4\n"
    check(build(body, (3, 5, 7), "alexeyab"), ramp(2, 3, 5, 7))


@pytest.mark.parametrize("fuse", [None, False])
def test_joined_maps_are_written_side_by_side(fuse):
    body = CONV.format(4, 3, 2, "mish") + CONV.format(6, 1, 1, "mish") + "[route]\nlayers=-2\n"
    body += CONV.format(8, 1, 2, "leaky") + "[upsample]\nstride=2\n"
    body += "[route]\nlayers=-1,-4,0\n" + CONV.format(3, 1, 1, "linear")
    network = build(body, (3, 8, 12))
    lowered = check(network, ramp(2, 3, 8, 12), fused=fuse)
    assert sum(step.written for step in lowered.steps) == 1
    assert 2 not in {step.index for step in lowered.steps}  # [route] of one source does nothing


def test_parts_of_channels_and_wanted_layers():
    body = CONV.format(8, 3, 1, "leaky") + "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"
    body += CONV.format(4, 3, 1, "mish") + "[route]\nlayers=-1,-2\n[maxpool]\nsize=2\nstride=2\n"
    network = build(body, (3, 6, 10))
    x = ramp(2, 3, 6, 10)
    check(network, x)
    check(network, x, wanted=[0, -2, 1])


@pytest.mark.parametrize("sides", [(5, 7), (6, 10)])
@pytest.mark.parametrize(
    "size, stride, padding",
    [(2, 2, 1), (2, 2, 0), (2, 1, 1), (3, 2, 2), (5, 1, 4), (9, 1, 8), (13, 1, 12), (3, 1, 2)],
)
def test_max_pools(sides, size, stride, padding):
    if size > 9 and min(sides) < 6:
        sides = (6, 10)
    body = f"[maxpool]\nsize={size}\nstride={stride}\npadding={padding}\n"
    check(build(CONV.format(4, 1, 1, "linear") + body, (3, *sides)), ramp(2, 3, *sides))


def test_groups_factors_and_means():
    body = CONV.format(6, 3, 1, "swish") + CONV.format(6, 3, 1, "swish") + "groups=6\n"
    body += "[avgpool]\n" + CONV.format(6, 1, 1, "logistic") + "[scale_channels]\nfrom=-3\n"
    body += "[dropout]\n" + CONV.format(6, 1, 1, "linear") + "[shortcut]\nfrom=-4\n"
    body += CONV.format(6, 1, 1, "logistic") + "[sam]\nfrom=-2\n[activation]\nactivation=mish\n"
    network = build(body, (3, 5, 7), "alexeyab")
    check(network, ramp(2, 3, 5, 7))
    check(network, ramp(2, 3, 5, 7), every_layer=True)


def test_the_heads_are_given():
    body = CONV.format(14, 1, 1, "linear") + "[yolo]\nmask=0,1\nanchors=10,14, 23,27\nclasses=2\n"
    body += "num=2\nscale_x_y=1.2\n[route]\nlayers=-2\n" + body
    network = build(body.replace("scale_x_y=1.2", "", 1), (3, 5, 7), "alexeyab")
    x = ramp(2, 3, 5, 7)
    lowered = check(network, x)
    assert lowered.wanted == [1, 4]
    for as_it_lies, output in zip(lowered(x, ordered=False), lowered(x), strict=True):
        assert torch.equal(as_it_lies, output)


def test_recurrent_layers_remember_for_themselves():
    network = build("[rnn]\noutput=4\n[connected]\noutput=2\n", (5,))
    lowered, x = prepare(network), ramp(1, 5)
    first, second = (lowered(x)[0] for _ in range(2))
    assert not torch.equal(first, second)
    with torch.inference_mode():
        assert_close(network(x)[-1], first)
    lowered.reset_state()
    assert torch.equal(lowered(x)[0], first)


def test_another_size_is_refused():
    network = build(CONV.format(4, 3, 1, "leaky"))
    message = (
        r"^the network's input must be \(batch, 3, 5, 7\), got \(1, 3, 5, 8\); for other sizes, "
        r"resize the network and prepare it again$"
    )
    with pytest.raises(DarknetError, match=message):
        prepare(network)(ramp(1, 3, 5, 8))


def test_mish_in_blocks():
    x = torch.linspace(-60, 60, 2 * 6 * 40 * 50).view(2, 6, 40, 50)
    x = x.to(memory_format=torch.channels_last)
    added = ramp(2, 6, 40, 50).to(memory_format=torch.channels_last)
    expected = F.mish(x.double())
    assert (mish(x.clone(memory_format=torch.preserve_format)) - expected).abs().max() < 4e-6
    for negated in (False, True):
        given = -x if negated else x
        target = torch.zeros(2, 11, 40, 50).to(memory_format=torch.channels_last)
        mish(given, target[:, 3:9], added, negated=negated)
        assert (target[:, 3:9] - expected - added).abs().max() < 8e-6
        half = mish(given.bfloat16(), negated=negated)
        assert ((half - expected) / (1 + expected.abs())).abs().max() < 5e-3
        plain = mish(given[..., ::3], torch.empty(2, 6, 40, 17), negated=negated)
        assert (plain - expected[..., ::3]).abs().max() < 4e-6
    target = torch.zeros(2, 11, 40, 50).to(memory_format=torch.channels_last)
    mish(x, target[:, 3:9])
    assert (target[:, 3:9] - expected).abs().max() < 4e-6
    assert not target[:, :3].any() and not target[:, 9:].any()
    assert (mish(x.contiguous(), None, added.contiguous()) - expected - added).abs().max() < 8e-6
    odd = mish(x[:, ::2].clone()[..., ::3], torch.empty(2, 3, 40, 17), added[:, ::2, :, ::3])
    assert (odd - (expected + added)[:, ::2, :, ::3]).abs().max() < 8e-6


@pytest.mark.parametrize("activation", ["leaky", "mish", "swish", "gelu"])
def test_bfloat16_loses_little(activation):
    """Eight bits of a number are kept: 1 % of the output's deviation in the mean, 15 % at most."""
    body = CONV.format(8, 3, 1, activation) * 3 + "[shortcut]\nfrom=-2\n"
    body += CONV.format(14, 1, 1, "linear") + "[yolo]\nmask=0,1\nanchors=10,14, 23,27\nclasses=2\n"
    network = build(body + "num=2\n", (3, 8, 10), "alexeyab")
    x = ramp(2, 3, 8, 10)
    with torch.inference_mode():
        expected = network(x)[-1]
    (found,) = prepare(network, dtype=torch.bfloat16)(x)
    assert found.dtype == torch.float32
    error = (found - expected).abs() / expected.std()
    assert error.mean() < 0.01
    assert error.max() < 0.15


@fused
def test_a_primitive_that_is_missing_falls_back(monkeypatch):
    network = build(CONV.format(4, 3, 1, "leaky"))
    lowered, x = prepare(network, native=False), ramp(2, 3, 5, 7)
    expected = lowered(x)[0]

    def refuse(*arguments):
        raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(onednn, "POINTWISE", refuse)
    assert_close(lowered(x)[0], expected)
    assert_close(lowered(ramp(3, 3, 5, 7))[0][:1], expected[:1])


ROUTES = CONV.format(4, 3, 2, "leaky") + CONV.format(6, 1, 1, "swish")
ROUTES += "[upsample]\nstride=2\n[upsample]\nstride=2\n[route]\nlayers=-1,-2\n"


@fused
def test_steps_are_compiled_together():
    body = ROUTES.replace("-1,-2", "-1,-1") + CONV.format(3, 1, 1, "mish") + "[avgpool]\n"
    lowered = check(build(body, (3, 8, 12)), ramp(2, 3, 8, 12), native=False)
    first, mish, last = lowered._divided[2, torch.get_num_threads()]
    assert [step.index for step in first.steps] == [0, 1, 2, 3, 4]
    assert (first.sources, first.results, first.freed) == ([-1], [4], (-1,))
    assert mish.index == 5 and [step.index for step in last.steps] == [6]
    assert not torch.jit.onednn_fusion_enabled()


@fused
def test_what_is_written_side_by_side_is_not_torn():
    body = CONV.format(4, 3, 1, "leaky") + "[upsample]\nstride=2\n"
    body += "[route]\nlayers=-2\n" + CONV.format(5, 1, 1, "mish") + "[upsample]\nstride=2\n"
    body += "[route]\nlayers=-1,-4\n" + CONV.format(3, 1, 1, "leaky")
    lowered = check(build(body, (3, 8, 12)), ramp(2, 3, 8, 12), native=False)
    divided = lowered._divided[2, torch.get_num_threads()]
    assert [isinstance(step, Segment) for step in divided] == [True, *[False] * 4, True]


@fused
@pytest.mark.parametrize("name", ["trace", "onednn_fusion_enabled"])
def test_steps_that_cannot_be_compiled_run_one_by_one(monkeypatch, name):
    def refuse(*arguments, **options):
        calls.append(arguments)
        raise RuntimeError("no longer supported")

    calls = []
    monkeypatch.setattr(torch.jit, name, refuse)
    check(build(ROUTES, (3, 8, 12)), ramp(2, 3, 8, 12), native=False)
    assert len(calls) == 1
    monkeypatch.undo()
    assert not torch.jit.onednn_fusion_enabled()


@fused
def test_wrong_results_are_refused(monkeypatch):
    monkeypatch.setattr(torch.jit, "trace", lambda f, *_, **__: lambda *x: (f(*x)[0] + 1,))
    check(build(ROUTES, (3, 8, 12)), ramp(2, 3, 8, 12), native=False)


def test_torch_without_these_operations(monkeypatch):
    onednn.can_fuse.cache_clear()
    monkeypatch.setattr(torch._C, "_has_mkldnn", False)
    assert not onednn.can_fuse(torch.float32)
    monkeypatch.undo()
    onednn.can_fuse.cache_clear()
    assert not onednn.can_fuse(torch.float64)


def test_a_changed_array_is_noticed():
    network = build(CONV.format(4, 3, 1, "leaky"))
    x = ramp(2, 3, 5, 7).numpy()
    (before,) = run_batch(network, x, None, False)
    (same,) = run_batch(network, x, None, False)
    assert torch.equal(before, same)
    with torch.no_grad():
        network[0].biases.add_(1)
    (after,) = run_batch(network, x, None, False)
    with torch.inference_mode():
        assert_close(after, network(torch.from_numpy(x))[-1])
    network.resize(6, 9)
    x = ramp(2, 3, 6, 9).numpy()
    (wider,) = run_batch(network, x, None, False)
    assert wider.shape == (2, 4, 6, 9)


def test_operations_know_what_they_cannot_join():
    network = build(CONV.format(4, 3, 1, "leaky"))
    (step,) = prepare(network, native=False).steps
    assert isinstance(step.operation, Convolution)
    assert step.operation.followed_by(Addition(ACTIVATIONS["mish"])) is None


@pytest.mark.slow
def test_torch_can_compile_the_whole():
    body = CONV.format(4, 3, 2, "mish") + CONV.format(4, 1, 1, "leaky") + "[route]\nlayers=-1,-2\n"
    network = build(body + "[maxpool]\nsize=2\nstride=1\n", (3, 8, 12))
    lowered, x = prepare(network, fused=False), ramp(2, 3, 8, 12)
    (expected,) = lowered(x)
    lowered._run = torch.compile(lowered.run, backend="eager")
    assert_close(lowered(x)[0], expected)


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("clang++")), reason="there is no C++ compiler"
)
@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("fused", [False, None])
def test_a_compiled_network_gives_the_same(fused, tmp_path, monkeypatch):
    from torch._inductor import config as inductor

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch.compiler.reset()
    body = CONV.format(4, 3, 2, "mish") + CONV.format(4, 1, 1, "leaky") + "[shortcut]\nfrom=-2\n"
    network = build(body + "[maxpool]\nsize=2\nstride=1\n", (3, 8, 12))
    lowered, x = prepare(network, fused=fused, native=False), ramp(2, 3, 8, 12)
    with torch.inference_mode():
        expected = network(x)[-1]
    lowered.compile("default")
    with inductor.patch(compile_threads=1):  # here, not in processes that stay
        for _ in range(2):
            (found,) = lowered(x)
            assert_close(found, expected)
    assert list(tmp_path.iterdir())  # there is a program


@fused
def test_what_has_not_run_for_long_is_not_compiled():
    lowered, x = prepare(build(ROUTES, (3, 8, 12)), native=False), ramp(2, 3, 8, 12)
    lowered.worth = 1e9
    for _ in range(5):
        lowered(x)
    assert not lowered._divided
    lowered.worth = 1e-9
    lowered(x)
    assert list(lowered._divided) == [(2, torch.get_num_threads())]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_gpu_replays_what_it_recorded(dtype):
    body = CONV.format(8, 3, 2, "mish") + CONV.format(8, 1, 1, "leaky") + "[shortcut]\nfrom=-2\n"
    network = build(body, (3, 8, 12), "alexeyab")
    lowered, x = prepare(network, "cuda", dtype), ramp(2, 3, 8, 12)
    with torch.inference_mode():
        expected = network(x)[-1]
    for _ in range(3):
        (found,) = lowered(x)
        assert (found.cpu() - expected).abs().max() < 0.02 * expected.std()


@pytest.mark.parametrize("dialect", ["alexeyab", "pjreddie"])
@pytest.mark.parametrize("filters, stride", [(4, 1), (8, 1), (3, 2), (16, 2)])
def test_sums_of_maps_of_different_sizes(filters, stride, dialect):
    body = CONV.format(filters, 3, 1, "leaky") + CONV.format(6, 3, stride, "linear")
    network = build(body + "[shortcut]\nfrom=-2\nactivation=leaky\n", (3, 8, 12), dialect)
    check(network, ramp(2, 3, 8, 12))
    check(network, ramp(2, 3, 8, 12), every_layer=True)


def test_a_smaller_map_is_spread_over_a_larger_one():
    body = CONV.format(5, 3, 2, "leaky") + "[upsample]\nstride=2\n" + CONV.format(3, 1, 1, "linear")
    network = build(body + "[shortcut]\nfrom=-3\nactivation=leaky\n", (3, 8, 12), "pjreddie")
    check(network, ramp(2, 3, 8, 12))


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 2, 1, 4), (1, 1, 3, 3), (3, 5, 2, 2)])
def test_pictures_are_laid_out_with_their_channels_last(shape):
    x = ramp(*shape)
    for given in (x, x.clone().to(memory_format=torch.channels_last)):
        laid = Place(torch.device("cpu"), torch.float32, fused=True).to(given)
        assert torch.equal(laid, x) and laid.is_contiguous(memory_format=torch.channels_last)

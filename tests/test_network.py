import io
import weakref

import pytest
import torch
from helpers import assert_close, build, ramp

from darknet_py.cfg import parse_cfg
from darknet_py.errors import CfgError, DarknetError
from darknet_py.network import Network

BRANCHES = """\
[convolutional]
filters=4
size=3
pad=1

[maxpool]
stride=2

[convolutional]
filters=8

[route]
layers=-2

[route]
layers=-1,2

[upsample]

[shortcut]
from=0

[dropout]

[softmax]

[cost]
"""


def error_of(text, **arguments):
    with pytest.raises(DarknetError) as caught:
        build(text, **arguments)
    return str(caught.value)


@pytest.mark.parametrize("wanted", [[8], [0, 5, 8], [5, 0], [3, 3], [9, 1], [-1, -10], [2], []])
def test_run_gives_what_forward_gives(wanted):
    network, x = build(BRANCHES, (3, 6, 8)), ramp(2, 3, 6, 8)
    every = network(x)
    assert len(every) == len(network) == 10
    some = network.run(x, wanted)
    assert len(some) == len(wanted)
    for index, output in zip(wanted, some, strict=True):
        assert_close(output, every[index])


def test_run_gives_the_last_layer_that_is_no_cost():
    network, x = build(BRANCHES, (3, 6, 8)), ramp(2, 3, 6, 8)
    assert network.output_index == 8
    assert_close(network.run(x)[0], network(x)[8])


def test_run_frees_an_output_after_its_last_reader():
    network = build("[convolutional]\n" * 3 + "[shortcut]\nfrom=1\n" + "[convolutional]\n" * 2)
    alive, outputs = [], {}

    def watch(layer, inputs, output):
        outputs[layer.index] = weakref.ref(output)
        alive.append([index for index, reference in outputs.items() if reference() is not None])

    for layer in network:
        layer.register_forward_hook(watch)
    with torch.inference_mode():
        network.run(ramp(2, 3, 5, 7), [4])
    # layer 1 lives on for the shortcut; layer 5 is not wanted and does not run
    assert alive == [[0], [0, 1], [1, 2], [1, 2, 3], [3, 4]]


def test_run_knows_no_layer_behind_the_last():
    with pytest.raises(IndexError):
        build(BRANCHES, (3, 6, 8)).run(ramp(1, 3, 6, 8), [10])


@pytest.mark.parametrize("size", [(4, 4), (10, 6), (6, 8)])
def test_resize_sets_every_shape(size):
    network = build(BRANCHES, (3, 6, 8))
    network.resize(*size)
    outputs = network(ramp(2, 3, *size))
    for layer, output in zip(network, outputs, strict=True):
        assert layer.out_shape.size == output[0].numel()
    assert str(network.image) == f"{size[1]} x {size[0]} x 3"


def test_resize_that_fails_changes_nothing():
    network = build(BRANCHES, (3, 6, 8), "pjreddie")
    with pytest.raises(CfgError) as caught:
        network.resize(1, 9)
    assert str(caught.value) == (
        "test.cfg:25: [shortcut]: 9 x 1 x 4 cannot be added to 10 x 2 x 12: width and height must "
        "be in the same ratio"
    )
    assert str(network.image) == "8 x 6 x 3"
    assert network[8].out_shape.size == network(ramp(1, 3, 6, 8))[8].numel()


@pytest.mark.parametrize("size", [(0, 8), (-32, 8)])
def test_resize_to_nothing(size):
    with pytest.raises(DarknetError) as caught:
        build(BRANCHES, (3, 6, 8)).resize(*size)
    assert str(caught.value) == f"height and width must be at least 1, got {size[0]} and 8"


@pytest.mark.parametrize(
    "shape, found, message",
    [
        ((3, 6, 8), (2, 4, 6, 8), "(batch, 3, height, width), got (2, 4, 6, 8)"),
        ((3, 6, 8), (3, 6, 8), "(batch, 3, height, width), got (3, 6, 8)"),
        ((9,), (2, 8), "(batch, 9), got (2, 8)"),
    ],
)
@pytest.mark.parametrize("method", ["forward", "run"])
def test_an_input_that_does_not_fit(method, shape, found, message):
    network = build("[softmax]", shape)
    with pytest.raises(DarknetError) as caught:
        getattr(network, method)(ramp(*found))
    assert str(caught.value) == f"the network's input must be {message}"


@pytest.mark.parametrize(
    "text, expected",
    [
        (BRANCHES, "pjreddie"),
        ("[convolutional]\nbatch_normalize=1\ngroups=1\n", "pjreddie"),
        ("[convolutional]\n[empty]\n", "alexeyab"),
        ("[convolutional]\ndilation=1\n", "alexeyab"),
        ("[convolutional]\n[route]\nlayers=-1\ngroup_id=0\n", "alexeyab"),
        ("[convolutional]\n[shortcut]\nfrom=-1\nbeta=2\n", "pjreddie"),
    ],
)
def test_the_dialect_is_found_from_the_cfg(text, expected):
    assert build(text).dialect.name == expected
    assert build(BRANCHES, (3, 6, 8), "alexeyab").dialect.name == "alexeyab"


def test_the_dialect_is_found_from_the_net_section():
    text = "[net]\nwidth=8\nheight=8\nchannels=3\nmosaic=1\n[softmax]\n"
    assert Network(parse_cfg(text)).dialect.name == "alexeyab"


def test_an_unknown_dialect():
    assert error_of("[softmax]", dialect="yolo") == (
        "dialect must be pjreddie or alexeyab, got 'yolo'"
    )


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "[convolutionnal]\n",
            "test.cfg:5: [convolutionnal]: unknown section; did you mean [convolutional]?",
        ),
        ("[softmax]\n[xyzzy]\n", "test.cfg:6: [xyzzy]: unknown section"),
        ("", "test.cfg:1: [net]: the cfg holds no layer after this section"),
        (
            "[softmax]\n[route]\nlayers=1\n",
            "test.cfg:7: [route]: layers=1 names layer 1, but only layers 0 to 0 come before this "
            "one (layer 1)",
        ),
        (
            "[softmax]\n[route]\nlayers=-2\n",
            "test.cfg:7: [route]: layers=-2 names layer -1, but only layers 0 to 0 come before "
            "this one (layer 1)",
        ),
    ],
)
def test_errors(text, message):
    assert error_of(text) == message


@pytest.mark.parametrize("keys", ["", "inputs=0\n", "width=5\nheight=0\nchannels=3\n"])
def test_an_input_without_a_size(keys):
    with pytest.raises(CfgError) as caught:
        Network(parse_cfg(f"[net]\n{keys}[softmax]\n", "test.cfg"))
    assert str(caught.value) == (
        "test.cfg:1: [net]: give height, width and channels, or inputs, each above 0"
    )


HUGE = "[convolutional]\nfilters=30000\nsize=3\n[convolutional]\nfilters=300000\nsize=1\n"


def test_a_network_above_the_memory_limit_is_refused(monkeypatch):
    monkeypatch.delenv("DARKNET_PY_MEMORY_LIMIT", raising=False)
    assert error_of(HUGE, shape=(3, 5, 7)) == (
        "test.cfg:8: [convolutional]: the network needs more than 33.5 GiB of memory, the limit "
        "is 4.0 GiB (raise it with DARKNET_PY_MEMORY_LIMIT=GiB)"
    )


def test_the_memory_of_outputs_counts_too(monkeypatch):
    monkeypatch.setenv("DARKNET_PY_MEMORY_LIMIT", ".0001")
    assert error_of("[upsample]\nstride=8\n[upsample]\nstride=-8\n", shape=(3, 30, 30)) == (
        "test.cfg:5: [upsample]: the network needs more than 0.0 GiB of memory, the limit is "
        "0.0 GiB (raise it with DARKNET_PY_MEMORY_LIMIT=GiB)"
    )


def test_a_memory_limit_that_is_no_number(monkeypatch):
    monkeypatch.setenv("DARKNET_PY_MEMORY_LIMIT", "much")
    assert error_of("[softmax]") == ("DARKNET_PY_MEMORY_LIMIT must be a number of GiB, got 'much'")


def test_the_limit_is_an_argument_too():
    sections = parse_cfg("[net]\ninputs=1000\n[connected]\noutput=1000\n", "test.cfg")
    with pytest.raises(CfgError, match=r"^test\.cfg:3: \[connected\]: the network needs more"):
        Network(sections, memory_limit=1000)
    assert len(Network(sections, memory_limit=5_000_000)) == 1


def test_an_open_file_is_a_cfg_too():
    network = Network.from_cfg(io.StringIO("[net]\ninputs=4\n[connected]\noutput=2\n[softmax]\n"))
    assert network.run(ramp(3, 4))[0].shape == (3, 2)


def test_starting_values():
    network = build("[convolutional]\nfilters=64\nsize=3\nbatch_normalize=1\n", (32, 4, 4))
    network.initialize()
    arrays = {name: tensor.detach() for _, name, tensor in network.arrays()}
    assert arrays["weights"].std().item() == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.05)
    assert set(arrays["scales"].tolist()) == set(arrays["rolling_variance"].tolist()) == {1.0}
    assert set(arrays["biases"].tolist()) == set(arrays["rolling_mean"].tolist()) == {0.0}


def test_starting_values_from_a_layer_on():
    network = build("[convolutional]\n" * 2)
    before = [tensor.detach().clone() for _, _, tensor in network.arrays()]
    network.initialize(first=1)
    after = [tensor.detach() for _, _, tensor in network.arrays()]
    changed = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert changed == [False, False, True, True]


@pytest.mark.parametrize(
    "head",
    [
        "[yolo]\nclasses=1\nnum=3\nmask=0,1\nanchors=1,2,3,4,5,6\n",
        "[Gaussian_yolo]\nclasses=3\nnum=3\nmask=0\nanchors=1,2,3,4,5,6\n",
        "[region]\nclasses=1\nnum=2\nanchors=1,2,3,4\n",
    ],
)
@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_a_head_reads_a_connected_layer_as_one_pixel(head, dialect):
    network = build(f"[connected]\noutput=12\nactivation=linear\n{head}", (3, 4, 5), dialect)
    vector, actual = network(ramp(2, 3, 4, 5))
    (expected,) = build(head, (12, 1, 1), dialect)(vector[:, :, None, None])
    assert_close(actual.flatten(1), expected.flatten(1))
    network.heads[0].decode(actual[0], network.image, 0.1, 0.5)

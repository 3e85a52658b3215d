import pytest
import torch
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError

POOLS = "[maxpool]\nsize=1\nstride=1\n\n[maxpool]\nsize=2\nstride=1\n\n[maxpool]\nstride=2\n\n"


def test_joins_channels_in_the_order_given():
    network = build(POOLS + "[route]\nlayers=-2,0")
    outputs = network(ramp(2, 3, 5, 7))
    assert network[3].sources == (1, 0)
    assert_close(outputs[3], torch.cat([outputs[1], outputs[0]], 1))
    assert str(network[3].out_shape) == "7 x 5 x 6"


def test_one_layer_is_passed_on():
    network = build(POOLS + "[route]\nlayers=0,")
    outputs = network(ramp(2, 3, 5, 7))
    assert_close(outputs[3], outputs[0])


def test_groups_take_their_part_of_every_source():
    body = "[maxpool]\nsize=1\n\n[maxpool]\nsize=2\nstride=1\n\n"
    network = build(body + "[route]\nlayers=0,1\ngroups=2\ngroup_id=1", shape=(6, 5, 7))
    outputs = network(ramp(2, 6, 5, 7))
    assert_close(outputs[2], torch.cat([outputs[0][:, 3:], outputs[1][:, 3:]], 1))
    assert network[2].out_shape.channels == 6


def test_other_sizes_join_flat():
    network = build(POOLS + "[route]\nlayers=2,0")
    outputs = network(ramp(2, 3, 5, 7))
    assert_close(outputs[3], torch.cat([outputs[2].flatten(1), outputs[0].flatten(1)], 1))
    assert str(network[3].out_shape) == str(3 * (5 * 7 + 3 * 4))


def test_vectors_join_to_a_vector():
    body = "[connected]\noutput=4\n\n[connected]\noutput=2\n\n[route]\nlayers=0,1"
    network = build(body, shape=(6,))
    outputs = network(ramp(2, 6))
    assert_close(outputs[2].flatten(1), torch.cat(outputs[:2], 1))


def test_rows_of_both_dialects():
    assert build(POOLS + "[route]\nlayers=1,0", dialect="pjreddie")[3].row() == "route  1 0"
    rows = {
        layers: build(f"{POOLS}[route]\nlayers={layers}", dialect="alexeyab")[3].row()
        for layers in ("1", "1,0", "1,0,1,0", "2,0")
    }
    gap = " " * 11
    assert rows["1"] == f"route  1 \t\t            {gap}    ->    7 x   5 x   3 "
    assert rows["1,0"] == f"route  1 0 \t            {gap}    ->    7 x   5 x   6 "
    assert rows["1,0,1,0"] == f"route  1 0 1 0 \t    {gap}    ->    7 x   5 x  12 "
    assert rows["2,0"].splitlines()[0] == (
        "route  2 0 The width and height of the input layers are different. "
    )
    body = "[maxpool]\n\n[route]\nlayers=0\ngroups=2\ngroup_id=1"
    assert build(body, shape=(6, 5, 7))[1].row() == (
        f"route  0 \t\t            {gap}1/2 ->    7 x   5 x   3 "
    )


@pytest.mark.parametrize(
    "keys, message",
    [
        (
            "layers=3",
            "test.cfg:17: [route]: layers=3 names layer 3, but only layers 0 to 2 come before "
            "this one (layer 3)",
        ),
        (
            "",
            "test.cfg:16: [route]: layers is required: layers to join; a negative one counts back "
            "from this layer",
        ),
        (
            "layers=0\ngroups=2",
            "test.cfg:18: [route]: groups=2 must divide the channels of every source",
        ),
        (
            "layers=0\ngroups=3\ngroup_id=3",
            "test.cfg:16: [route]: group_id must be from 0 to groups - 1, got 3 of 3",
        ),
    ],
)
def test_mistakes_are_named(keys, message):
    with pytest.raises(CfgError) as error:
        build(f"{POOLS}[route]\n{keys}")
    assert str(error.value) == message

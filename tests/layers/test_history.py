import pytest
import torch
from helpers import assert_close, fill, ramp

from darknet_py.cfg import parse_cfg
from darknet_py.errors import CfgError
from darknet_py.network import Network


def build(body, time_steps):
    head = f"[net]\nheight=4\nwidth=5\nchannels=3\ntime_steps={time_steps}\n"
    network = Network(parse_cfg(head + body, "test.cfg"))
    fill(network)
    return network


def test_keeps_the_last_inputs_newest_first():
    network = build("[history]\nhistory_size=3", time_steps=4)
    steps = [ramp(2, 3, 4, 5, start=step) for step in range(5)]
    nothing = torch.zeros(2, 3, 4, 5)
    seen = [nothing, nothing]
    for x in steps:
        seen.append(x)
        assert_close(network(x)[0], torch.cat([seen[-1], seen[-2], seen[-3]], 1))
    network.reset_state()
    assert_close(network(steps[0])[0], torch.cat([steps[0], nothing, nothing], 1))
    assert network.dialect.name == "alexeyab"


def test_keeps_nothing_in_a_network_of_single_steps():
    network = build("[history]", time_steps=1)
    for step in range(3):
        x = ramp(2, 3, 4, 5, start=step)
        assert_close(network(x)[0], torch.cat([x, torch.zeros(2, 9, 4, 5)], 1))


def test_row():
    assert build("[history]", time_steps=16)[0].row() == (
        "HISTORY b = 1, s =  4, steps = 16      5 x   4 x   3 ->    5 x   4 x  12 "
    )


def test_no_history_is_an_error():
    message = r"^test\.cfg:7: \[history\]: history_size must be at least 1, got 0$"
    with pytest.raises(CfgError, match=message):
        build("[history]\nhistory_size=0", time_steps=1)

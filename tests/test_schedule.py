"""The learning rate, against C's function where it is installed and its formulas."""

import ctypes
import math

import pytest

from darknet_py.cfg import parse_cfg
from darknet_py.dialect import ALEXEYAB, PJREDDIE
from darknet_py.options import read_options
from darknet_py.schedule import ScheduleOptions, current_rate, sequence_length

CFGS = {
    "constant": "policy=constant",
    "burn_in": "policy=constant\nburn_in=100",
    "step": "policy=step\nstep=7\nscale=.5",
    "steps": "policy=steps\nsteps=10,20,40\nscales=.1,10,.1\nburn_in=5\npower=2",
    "exp": "policy=exp\ngamma=.99",
    "poly": "policy=poly\nmax_batches=100\npower=3",
    "sigmoid": "policy=sigmoid\ngamma=.1\nstep=0",
}


def read(text, dialect=PJREDDIE):
    head, *_ = parse_cfg(f"[net]\nlearning_rate=.01\n{text}\n[softmax]\n", "t.cfg")
    return read_options(ScheduleOptions, head, dialect)


def c_rate(text, batches, folder):
    """What pjreddie's library computes; None without it."""
    try:
        library = ctypes.CDLL("/usr/lib/darknet/libdarknet.so")
    except OSError:
        return None
    library.parse_network_cfg.restype = ctypes.c_void_p
    library.get_current_rate.restype = ctypes.c_float
    library.get_current_rate.argtypes = [ctypes.c_void_p]
    path = folder / "t.cfg"
    path.write_text(f"[net]\nlearning_rate=.01\ninputs=4\n{text}\n[connected]\noutput=2\n")
    network = library.parse_network_cfg(str(path).encode())
    # struct network starts with int n; int batch; size_t *seen.
    seen = ctypes.cast(network + 8, ctypes.POINTER(ctypes.POINTER(ctypes.c_size_t)))[0]
    seen[0] = batches
    return library.get_current_rate(network)


@pytest.mark.parametrize("name", CFGS)
@pytest.mark.parametrize("batches", [1, 4, 10, 19, 50, 99])
def test_the_rate_is_that_of_c(name, batches, tmp_path, capfd):
    expected = c_rate(CFGS[name], batches, tmp_path)
    capfd.readouterr()
    if expected is None:
        pytest.skip("needs libdarknet.so")
    assert current_rate(read(CFGS[name]), batches) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "batches", "expected"),
    [
        ("burn_in", 50, 0.01 * 0.5**4),
        ("step", 20, 0.01 * 0.25),
        ("steps", 9, 0.01),
        ("steps", 10, 0.001),
        ("steps", 30, 0.01),
        ("exp", 10, 0.01 * 0.99**10),
        ("poly", 25, 0.01 * 0.75**3),
        ("sigmoid", 10, 0.01 / (1 + math.e)),
    ],
)
def test_formulas(name, batches, expected):
    for dialect in (PJREDDIE, ALEXEYAB):
        assert current_rate(read(CFGS[name], dialect), batches) == pytest.approx(expected)


def test_random_is_a_power_of_chance():
    assert current_rate(read("policy=random\npower=2"), 5, 0.5) == pytest.approx(0.01 / 4)


def test_sgdr_starts_again_in_longer_and_longer_cycles():
    text = "policy=sgdr\nsgdr_cycle=10\nsgdr_mult=2\nlearning_rate_min=.001\nmax_batches=100"
    options = read(text, ALEXEYAB)
    half = 0.001 + 0.5 * 0.009
    assert current_rate(options, 5) == pytest.approx(half)
    assert current_rate(options, 20) == pytest.approx(half)  # 10 of the next 20
    assert current_rate(options, 50) == pytest.approx(half)


def test_sequences_shorten_with_seq_scales():
    text = "policy=steps\nsteps=10,20\nscales=1,1\nseq_scales=.5,.5\nsequential_subdivisions=8"
    options = read(text, ALEXEYAB)
    assert [sequence_length(options, 8, n) for n in (1, 10, 20)] == [1, 2, 4]
    assert sequence_length(read("", ALEXEYAB), 8, 10) == 1

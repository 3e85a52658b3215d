"""Recurrent networks against the installed C library, step by step."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import SHARED, golden_generator

from darknet_py.network import Network
from darknet_py.weights import load_weights

GOLDEN = SHARED / "golden" / "pjreddie"
LIBRARY = Path(os.environ.get("DARKNET_LIBRARY", "/usr/lib/darknet/libdarknet.so"))
CFG = Path("/usr/share/darknet/cfg")
STEPS = 6

pytestmark = [
    pytest.mark.skipif(not LIBRARY.is_file(), reason=f"{LIBRARY} (package darknet) is missing"),
    pytest.mark.skipif(not GOLDEN.is_dir(), reason="shared/golden is missing"),
    pytest.mark.filterwarnings("ignore::darknet_py.errors.DarknetWarning"),  # hidden, in rnn.cfg
]

# The C library runs in a process of its own: it exits, or crashes, on what it does not like.
RUN_C = """
import ctypes, sys
import numpy as np
library, cfg, weights, inputs, outputs, count = sys.argv[1:]
c = ctypes.CDLL(library)
c.load_network.restype = ctypes.c_void_p
c.load_network.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int]
c.network_predict.restype = ctypes.POINTER(ctypes.c_float)
c.network_predict.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_float)]
network = c.load_network(cfg.encode(), weights.encode(), 0)
steps = np.load(inputs)
answers = []
for step in steps:
    step = np.ascontiguousarray(step, np.float32)
    out = c.network_predict(network, step.ctypes.data_as(ctypes.POINTER(ctypes.c_float)))
    answers.append(np.ctypeslib.as_array(out, (int(count),)).copy())
np.save(outputs, np.stack(answers))
"""


def run_c(folder, cfg, weights, inputs, count):
    """What C answers to each of `inputs`, and what it prints while it reads the cfg."""
    np.save(folder / "inputs.npy", inputs)
    outputs = folder / "outputs.npy"
    arguments = [LIBRARY, cfg, weights, folder / "inputs.npy", outputs, count]
    done = subprocess.run(
        [sys.executable, "-c", RUN_C, *map(str, arguments)], capture_output=True, timeout=300
    )
    printed = done.stderr.decode(errors="replace")
    if not outputs.is_file():
        pytest.fail(f"the C library ended with {done.returncode}: {printed[-300:]}")
    return np.load(outputs), printed


def one_hot(count):
    """One character after the other, as `rnn generate` feeds them; twice the same in a row."""
    steps = np.zeros((STEPS, count), np.float32)
    for step, character in enumerate([84, 104, 104, 32, 97, 84]):
        steps[step, character % count] = 1
    return steps


CASES = [
    ("rnn", CFG / "rnn.cfg"),
    ("gru", CFG / "gru.cfg"),
    ("extra/lstm", GOLDEN / "extra" / "lstm.cfg"),
    ("extra/crnn", GOLDEN / "extra" / "crnn.cfg"),
]


@pytest.mark.parametrize("name, cfg", CASES, ids=[name for name, _ in CASES])
def test_every_step_is_cs(name, cfg, tmp_path):
    if not cfg.is_file():
        pytest.skip(f"{cfg} (package darknet) is missing")
    generator = golden_generator()
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    weights = tmp_path / "golden.weights"
    generator.write_weights(golden, str(weights))
    network = Network.from_cfg(cfg)
    assert network.dialect.name == "pjreddie"
    load_weights(network, weights)
    if network.image.is_image:
        image = generator.image(golden["net"])
        steps = np.stack([np.roll(image, 3 * step, axis=2) for step in range(STEPS)])
    else:
        steps = one_hot(network.image.size)
    count = network[network.output_index].out_shape.size

    expected, printed = run_c(tmp_path, cfg, weights, steps, count)
    with torch.inference_mode():
        actual = [network.run(torch.from_numpy(step)[None])[0].flatten() for step in steps]
    np.testing.assert_allclose(torch.stack(actual).numpy(), expected, rtol=0, atol=1e-5)
    assert np.abs(expected[1] - expected[2]).max() > 1e-5  # the same input: the state tells

    lines = [line.rstrip() for line in printed.splitlines()]
    for layer in network:
        if layer.section.type in ("rnn", "gru", "lstm", "crnn"):
            first, *rest = layer.row().split("\n")
            at = lines.index(f"{layer.index:5d} {first}")
            assert lines[at + 1 : at + 1 + len(rest)] == rest

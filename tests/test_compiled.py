import shutil
import subprocess
import sys
import time
import warnings

import pytest
import torch
from helpers import ROOT, build, ramp

from darknet_py import compiled
from darknet_py.backends import identity
from darknet_py.compiled import CompiledNetwork, fast_mish, find_key
from darknet_py.errors import DarknetWarning

# PyTorch's compiler leaves its helpers' pipes to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
needs_compiler = pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("clang++")), reason="there is no C++ compiler"
)
BODY = """[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
activation=mish
[maxpool]
size=2
stride=2
[convolutional]
filters=7
size=1
activation=leaky
"""


def plain(network):
    def run(x):
        return network.run(x)

    return lambda: run


def refuse():
    raise AssertionError("the plain path must not run")


@pytest.fixture
def network():
    return build(BODY, (3, 24, 20))


@needs_compiler
def test_outputs_are_the_networks_and_the_file_is_used_again(network, tmp_path, monkeypatch):
    x = ramp(3, 3, 24, 20)
    first = CompiledNetwork(network, refuse, folder=tmp_path)
    expected = network.run(x)
    for outputs in (first(x), [torch.cat([first(x[:2])[0], first(x[2:])[0]])]):
        torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-5)
    (file,) = tmp_path.iterdir()
    monkeypatch.setattr(compiled, "compile_network", refuse)
    second = CompiledNetwork(network, refuse, folder=tmp_path)
    torch.testing.assert_close(second(x), expected, rtol=1e-5, atol=1e-5)
    five = ramp(5, 3, 24, 20)
    torch.testing.assert_close(second(five), network.run(five), rtol=1e-5, atol=1e-5)
    assert [file] == list(tmp_path.iterdir())


@needs_compiler
def test_a_torn_file_is_made_anew(network, tmp_path):
    key = find_key(network, (1, 3, 24, 20), torch.float32)
    for size in (5, 4):
        (tmp_path / f"{key}-{size}.so").write_bytes(b"torn!")
    x = ramp(1, 3, 24, 20)
    outputs = CompiledNetwork(network, refuse, folder=tmp_path)(x)
    torch.testing.assert_close(outputs, network.run(x), rtol=1e-5, atol=1e-5)


@needs_compiler
def test_two_processes_at_once(network, tmp_path):
    code = f"""
import sys; sys.path.insert(0, {str(ROOT / "tests")!r})
import torch
from pathlib import Path
from test_compiled import BODY, refuse
from helpers import build, ramp
from darknet_py.compiled import CompiledNetwork
network, x = build(BODY, (3, 24, 20)), ramp(1, 3, 24, 20)
outputs = CompiledNetwork(network, refuse, folder=Path({str(tmp_path)!r}))(x)
torch.testing.assert_close(outputs, network.run(x), rtol=1e-5, atol=1e-5)
"""
    both = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(2)]
    assert [process.wait(900) for process in both] == [0, 0]
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".so"]


@needs_compiler
def test_bfloat16(network, tmp_path):
    x = ramp(1, 3, 24, 20)
    (output,) = CompiledNetwork(network, refuse, dtype=torch.bfloat16, folder=tmp_path)(x)
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, network.run(x)[0], rtol=0.05, atol=0.05)


def test_without_a_compiler_the_plain_path_runs_and_says_so_once(network, tmp_path, monkeypatch):
    monkeypatch.setattr("torch._inductor.cpp_builder.get_cpp_compiler", refuse)
    run, x = CompiledNetwork(network, plain(network), folder=tmp_path), ramp(1, 3, 24, 20)
    with pytest.warns(DarknetWarning) as caught:
        outputs = run(x)
    expected = r"test.cfg: runs without -compile: there is no C++ compiler (g++ or clang++)"
    assert [str(warning.message) for warning in caught] == [expected]
    assert torch.equal(outputs[0], network.run(x)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(run(x)[0], outputs[0])
    assert not list(tmp_path.iterdir())


def test_recurrent_networks_run_as_they_are(tmp_path):
    network = build("[rnn]\noutput=4", (5,))
    x = ramp(2, 5)
    with pytest.warns(DarknetWarning, match="recurrent networks are not compiled"):
        CompiledNetwork(network, plain(network), folder=tmp_path)(x)


def test_the_key_tells_everything_apart(network, monkeypatch):
    def key(shape=(1, 3, 24, 20), dtype=torch.float32):
        return find_key(network, shape, dtype)

    before = key()
    assert key() == before
    others = [key((2, 3, 24, 20)), key(dtype=torch.bfloat16)]
    with monkeypatch.context() as patch:
        patch.setattr(compiled, "find_features", lambda: "another CPU")
        others.append(key())
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "9.0")
        others.append(key())
    with torch.no_grad():
        network[0].biases[0] += 1
    others.append(key())
    assert len({before, *others}) == 6


def test_the_oldest_programs_go(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "LARGEST_CACHE", 25)
    paths = [tmp_path / f"{name}-10.so" for name in "abcd"]
    for age, path in enumerate(paths):
        path.write_bytes(bytes(10))
        stamp = time.time() - 100 + age
        compiled.os.utime(path, (stamp, stamp))
    compiled._tidy(tmp_path, paths[0])
    assert sorted(tmp_path.iterdir()) == [paths[0], paths[3]]


def test_fast_mish_is_mish():
    x = torch.linspace(-40, 60, 10001, dtype=torch.float64)
    expected = torch.nn.functional.mish(x)
    error = (fast_mish(x.float()).double() - expected).abs()
    assert (error <= 1e-6 * x.abs().clamp(min=1)).all()


@needs_compiler
def test_command(network, tmp_path, monkeypatch, capsys):
    from darknet_py.cli import main
    from darknet_py.weights import save_weights

    cfg, weights = tmp_path / "small.cfg", tmp_path / "small.weights"
    end = "[avgpool]\n[softmax]\n"
    cfg.write_text("[net]\nchannels=3\nheight=24\nwidth=20\n" + BODY + end)
    save_weights(build(BODY + end, (3, 24, 20), "alexeyab"), weights)
    monkeypatch.setenv(compiled.CACHE, str(tmp_path / "compiled"))
    printed = []
    for words in ([], ["-compile"], ["-compile"]):
        line = ["classify", str(cfg), str(weights), "data/signs.jpg", "-t", "3", "-quiet", *words]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DarknetWarning)
            assert main(line) == 0
        out = capsys.readouterr().out.splitlines()
        printed.append([line for line in out if "Predicted" not in line])
        assert (tmp_path / "compiled").is_dir() == bool(words)
    assert printed[0] == printed[1] == printed[2]
    assert len(list((tmp_path / "compiled").iterdir())) == 1


def test_compile_is_for_torch(tmp_path, capsys):
    from darknet_py.cli import main

    message = "-compile is for PyTorch: it goes with cfg and weights, or .safetensors"
    for words in (["x.onnx"], ["x.cfg", "x.weights", "-backend", "openvino"]):
        assert main(["detect", *words, "-compile"]) == 1
        assert capsys.readouterr().err == f"darknet-py: {message}\n"


def test_a_program_of_other_code_is_not_used(network, tmp_path, monkeypatch):
    (tmp_path / "lower").mkdir()
    module = tmp_path / "lower" / "fuse.py"
    module.write_text("FACTOR = 1\n")
    monkeypatch.setattr(identity, "_PACKAGE", tmp_path)
    before = find_key(network, (1, 3, 24, 20), torch.float32)
    assert find_key(network, (1, 3, 24, 20), torch.float32) == before
    module.write_text("FACTOR = 10\n")
    assert find_key(network, (1, 3, 24, 20), torch.float32) != before

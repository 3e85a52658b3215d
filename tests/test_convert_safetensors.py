import importlib.util
import re
import tempfile
import warnings
from pathlib import Path

import pytest
import torch
from golden import GOLDEN, generator, goldens, same_bytes
from helpers import SHARED, build, ramp

from darknet_py import Network, load_weights, save_weights
from darknet_py.convert import Options, convert, convert_network
from darknet_py.errors import DarknetError, DarknetWarning, WeightsError
from darknet_py.named import array_names

safetensors = pytest.importorskip("safetensors.torch", reason="needs the package safetensors")

BODY = """[convolutional]
filters=4
size=3
pad=1
batch_normalize=1
activation=leaky
[connected]
output=5
activation=linear
"""
MODELS = sorted((SHARED / "models").glob("*/*.weights"))
FORMATS = {"safetensors": ".safetensors", "torch": ".pt"}
SMALL = 6_000_000
"""Bytes of weights up to which a golden goes there and back in every test run."""


def fails(message, kind=DarknetError):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


@pytest.fixture
def network():
    network = build(BODY)
    network.version, network.seen = (0, 1, 7), 123456
    return network


def test_tensors_are_named_by_layer_section_and_array(network, tmp_path):
    path = convert_network(network, "safetensors", tmp_path / "a.safetensors")
    tensors = safetensors.load_file(path)
    assert set(tensors) == {
        *(f"layers.0.convolutional.{name}" for name in ("biases", "scales", "weights")),
        "layers.0.convolutional.rolling_mean",
        "layers.0.convolutional.rolling_variance",
        "layers.1.connected.biases",
        "layers.1.connected.weights",
    }
    assert torch.equal(tensors["layers.1.connected.weights"], network[1].weights)


def test_the_file_is_enough_to_run_the_network(network, tmp_path):
    path = convert_network(network, "safetensors", tmp_path / "a.safetensors")
    twin = Network.from_safetensors(path)
    assert (twin.version, twin.seen, twin.dialect) == ((0, 1, 7), 123456, network.dialect)
    x = ramp(2, 3, 5, 7)
    assert torch.equal(twin.run(x)[0], network.run(x)[0])


@pytest.mark.parametrize("to", FORMATS)
def test_load_weights_takes_it_where_a_weights_file_is_taken(network, to, tmp_path):
    path = convert_network(network, to, tmp_path / f"a{FORMATS[to]}")
    twin = build(BODY)
    header = load_weights(twin, path)
    assert (header.major, header.minor, header.revision, header.seen) == (0, 1, 7, 123456)
    for name, tensor in array_names(network).items():
        assert torch.equal(array_names(twin)[name], tensor)


@pytest.mark.parametrize("to", FORMATS)
def test_half_precision_runs_but_does_not_go_back(network, to, tmp_path):
    path = tmp_path / f"a{FORMATS[to]}"
    convert_network(network, to, path, options=Options(half=True))
    assert convert(path, None, to, tmp_path / f"b{FORMATS[to]}").is_file()
    with fails(f"{path}: its weights are rounded to fp16: the 32 bits that Darknet keeps are lost"):
        convert(path, None, "weights", tmp_path / "a.weights")
    assert not (tmp_path / "a.weights").exists()


def go_and_return(network, source, to, tmp_path):
    """The .weights file by way of `to`, without the cfg."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DarknetWarning)
        path = convert_network(network, to, tmp_path / f"there{FORMATS[to]}")
        back = convert(path, None, "weights", tmp_path / "back.weights")
    path.unlink()
    try:
        return same_bytes(source, back)
    finally:
        back.unlink()


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("weights", MODELS, ids=lambda path: path.stem)
def test_trained_models_come_back_byte_for_byte(weights, to, tmp_path):
    network = Network.from_cfg(weights.with_suffix(".cfg"), initialize=False)
    load_weights(network, weights)
    assert go_and_return(network, weights, to, tmp_path)


def golden_returns(golden, formats):
    """There and back in a folder that is gone at once: the largest files have 700 MB."""
    network = golden.network()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "c.weights")
        generator().write_weights(golden.json, source)
        load_weights(network, source)
        return [to for to in formats if go_and_return(network, source, to, Path(folder))]


@pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"{GOLDEN} is not here")
@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("golden", [g for g in goldens() if g.size <= SMALL], ids=lambda g: g.name)
def test_small_goldens_come_back_byte_for_byte(golden, to):
    assert golden_returns(golden, [to]) == [to]


@pytest.mark.golden
@pytest.mark.parametrize("golden", [g for g in goldens() if g.size > SMALL], ids=lambda g: g.name)
def test_goldens_come_back_byte_for_byte(golden):
    assert golden_returns(golden, FORMATS) == list(FORMATS)


@pytest.mark.parametrize("to", FORMATS)
def test_another_cfg(network, to, tmp_path):
    path = convert_network(network, to, tmp_path / f"a{FORMATS[to]}")
    wide = build(BODY.replace("filters=4", "filters=6"))
    name = "layers.0.convolutional.biases" if to == "safetensors" else "layers.0.biases"
    message = f"{path}: {name} holds 4 float32, the cfg needs 6 floats: is it of another cfg?"
    with fails(message, WeightsError):
        load_weights(wide, path)
    with pytest.raises(WeightsError, match=r"holds 2 arrays that the cfg does not have, such as"):
        load_weights(build(BODY.partition("[connected]")[0]), path)
    with pytest.raises(WeightsError, match=r"has no array layers\.2\..*: is it of another cfg\?$"):
        load_weights(build(BODY + "[connected]\noutput=2\n"), path)


def test_a_file_without_a_cfg(network, tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors.save_file(dict(array_names(network)), path)
    message = f"{path}: carries no cfg: it was not written by darknet-py, so give its .cfg, too"
    with fails(message, WeightsError):
        Network.from_safetensors(path)
    load_weights(network, path)  # the names are enough where the cfg is known


def test_damaged_files(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(
        WeightsError, match=r"a\.safetensors: is no safetensors file, or is damaged"
    ):
        Network.from_safetensors(path)
    path = tmp_path / "a.pt"
    path.write_bytes(b"PK\x03\x04")
    message = (
        f"{path}: is no state_dict that torch.load reads with weights_only=True, or is damaged"
    )
    with fails(message, WeightsError):
        load_weights(build(BODY), path)
    with fails(f"{tmp_path / 'no.pt'}: cannot be opened: No such file or directory", WeightsError):
        load_weights(build(BODY), tmp_path / "no.pt")


def test_a_part_of_the_network(network, tmp_path):
    path = convert_network(network, "safetensors", tmp_path / "a.safetensors")
    with fails(f"{path}: only a .weights file can be loaded in part", WeightsError):
        load_weights(network, path, cutoff=1)


def test_the_target_exists(network, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_text("mine")
    with fails(f"{path}: exists already (--force replaces it)"):
        convert_network(network, "safetensors", path)
    convert_network(network, "safetensors", path, force=True)
    assert Network.from_safetensors(path).seen == 123456


def test_no_room(network, tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    path = tmp_path / "a.safetensors"
    with fails(f"{path}: cannot be written: No space left on device"):
        convert_network(network, "safetensors", path)
    assert list(tmp_path.iterdir()) == []


def test_the_package_is_missing(network, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with fails("needs the package safetensors: pip install 'darknet-py[safetensors]'"):
        convert_network(network, "safetensors", tmp_path / "a.safetensors")


def test_a_network_without_weights(tmp_path):
    with fails("test.cfg: the network has no weights to write"):
        convert_network(build("[maxpool]\n"), "safetensors", tmp_path / "a.safetensors")


def test_a_file_of_random_weights_comes_back(network, tmp_path):
    path = convert_network(network, "safetensors", tmp_path / "a.safetensors")
    save_weights(network, tmp_path / "a.weights")
    convert(path, None, "weights", tmp_path / "b.weights")
    assert same_bytes(tmp_path / "a.weights", tmp_path / "b.weights")

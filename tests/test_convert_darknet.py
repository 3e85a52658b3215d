import re
import warnings

import pytest
from golden import generator, goldens, same_bytes
from helpers import SHARED, build

from darknet_py import Network, load_weights, save_weights
from darknet_py.cfg import format_cfg
from darknet_py.convert import Options, convert, convert_network
from darknet_py.errors import DarknetError, DarknetWarning, WeightsError

onnx = pytest.importorskip("onnx", reason="needs the package onnx")

BODY = """[convolutional]
filters=4
size=3
pad=1
batch_normalize=1
activation=leaky
[connected]
output=5
batch_normalize=1
activation=linear
"""
MODELS = sorted((SHARED / "models").glob("*/*.weights"))
SMALL = 6_000_000


def fails(message, kind=DarknetError):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def write_onnx(network, path, **options):
    return convert_network(network, "onnx", path, options=Options(verify=False, **options))


def test_onnx_with_batch_norm_goes_back(tmp_path):
    network = build(BODY)
    network.version, network.seen = (0, 1, 3), 77
    save_weights(network, tmp_path / "a.weights")
    path = write_onnx(network, tmp_path / "a.onnx", keep_batchnorm=True)
    convert(path, None, "weights", tmp_path / "b.weights")
    assert same_bytes(tmp_path / "a.weights", tmp_path / "b.weights")


@pytest.mark.parametrize(
    "weights",
    [
        pytest.param(path, id=path.stem, marks=() if path.stem == "tiny" else pytest.mark.golden)
        for path in MODELS
    ],
)
def test_trained_models_come_back_byte_for_byte(weights, tmp_path):
    network = Network.from_cfg(weights.with_suffix(".cfg"), initialize=False)
    load_weights(network, weights)
    path = write_onnx(network, tmp_path / "a.onnx", keep_batchnorm=True)
    assert same_bytes(weights, convert(path, None, "weights", tmp_path / "b.weights"))


@pytest.mark.golden
@pytest.mark.parametrize("golden", [g for g in goldens() if g.size <= SMALL], ids=lambda g: g.name)
def test_small_goldens_come_back_byte_for_byte(golden, tmp_path):
    network, source = golden.network(), tmp_path / "c.weights"
    generator().write_weights(golden.json, source)
    load_weights(network, source)
    warnings.simplefilter("ignore", DarknetWarning)
    try:
        path = write_onnx(network, tmp_path / "a.onnx", keep_batchnorm=True, head="raw")
    except DarknetError as reason:
        pytest.skip(f"not in ONNX: {reason}")
    assert same_bytes(source, convert(path, None, "weights", tmp_path / "b.weights"))


def test_folded_batch_norm_is_refused(tmp_path):
    path = write_onnx(build(BODY), tmp_path / "a.onnx")
    message = (
        f"{path}: batch norm is folded into its weights, which cannot be undone: write it with "
        "--keep-batchnorm"
    )
    with fails(message):
        convert(path, None, "weights", tmp_path / "a.weights")
    assert [file.name for file in tmp_path.iterdir()] == ["a.onnx"]


def test_half_precision_is_refused(tmp_path):
    path = write_onnx(build(BODY), tmp_path / "a.onnx", keep_batchnorm=True, half=True)
    with fails(f"{path}: its weights are rounded to fp16: the 32 bits that Darknet keeps are lost"):
        convert(path, None, "weights", tmp_path / "a.weights")
    with fails("a .weights file holds 32 bit floats only, no half precision"):
        convert_network(build(BODY), "weights", tmp_path / "a.weights", options=Options(half=True))


def test_a_model_of_another_program_is_refused(tmp_path):
    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "a.onnx")
    message = f"{tmp_path / 'a.onnx'}: carries no cfg: it was not written by darknet-py convert"
    with fails(message, WeightsError):
        convert(tmp_path / "a.onnx", None, "weights", tmp_path / "a.weights")
    (tmp_path / "b.onnx").write_bytes(b"\x08\x07\xff\xff\xff")
    with pytest.raises(WeightsError, match=r"b\.onnx: is no ONNX model, or is damaged: "):
        convert(tmp_path / "b.onnx", None, "weights", tmp_path / "b.weights")


def test_weights_of_other_formats_need_a_cfg(tmp_path):
    message = "a.weights: WEIGHTS is missing: only .safetensors, .pt, .pth, .onnx need none"
    with fails(message):
        convert("a.weights", None, "safetensors", tmp_path / "a.safetensors")


@pytest.mark.parametrize("to", ["safetensors", "torch", "onnx", "openvino", "exported"])
def test_weights_of_another_cfg_are_refused(to, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = build(BODY)
    (tmp_path / "a.cfg").write_text(format_cfg(network.sections))
    small = build(BODY.replace("output=5", "output=4"))
    large = build(BODY.replace("output=5", "output=6"))
    save_weights(small, "small.weights")
    save_weights(large, "large.weights")
    with pytest.raises(
        WeightsError, match=r"^small\.weights: ends inside layer 1 \[connected\] .*"
    ):
        convert("a.cfg", "small.weights", to)
    with pytest.raises(WeightsError, match=r"^large\.weights: 144 floats are left over .*cfg.*\?$"):
        convert("a.cfg", "large.weights", to)
    assert {path.suffix for path in tmp_path.iterdir()} == {".cfg", ".weights"}


def test_no_room(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("darknet_py.weights.replacing", full)
    path = tmp_path / "a.weights"
    with fails(f"{path}: cannot be written: No space left on device"):
        convert_network(build(BODY), "weights", path)
    assert list(tmp_path.iterdir()) == []


def test_the_target_exists(tmp_path):
    path = tmp_path / "a.weights"
    path.write_text("mine")
    with fails(f"{path}: exists already (--force replaces it)"):
        convert_network(build(BODY), "weights", path)

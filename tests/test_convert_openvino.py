"""OpenVINO's files: made by us, and our ONNX run by OpenVINO and by OpenCV as it stands."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from helpers import ROOT, SHARED, assert_close, build

from darknet_py.cli import main
from darknet_py.convert import Options, convert_network
from darknet_py.convert.extras import MissingExtra
from darknet_py.errors import DarknetError
from darknet_py.image import save_image
from darknet_py.runtime import open_model
from darknet_py.runtime.detector import ModelDetector
from darknet_py.runtime.openvino import OpenVinoModel

for package in ("onnx", "onnxscript", "onnxruntime", "openvino"):
    pytest.importorskip(package)

MODELS, PICTURES = SHARED / "models", SHARED / "images"
BODY = (
    "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[convolutional]\nfilters=14\nsize=1\nstride=1\nactivation=linear\n"
    "[yolo]\nclasses=2\nnum=3\nmask=0,2\nanchors=3,4,5,7,9,6\n"
)
NAMES = ["cat", "dög"]
SHAPE = (3, 16, 24)


def convert(path, to="openvino", **options):
    network = build(BODY, SHAPE, "pjreddie")
    network[2].weights.data.mul_(0.1)  # boxes of sides that a picture may have
    convert_network(network, to, path, names=NAMES, options=Options(**options))
    return path


@pytest.fixture(scope="module")
def onnx_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    return {
        head: convert(folder / f"{head}.onnx", "onnx", head=head, verify=False)
        for head in ("raw", "boxes", "nms")
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures to calibrate on."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(2)
    for i in range(5):
        small = random.integers(0, 256, (4, 6, 3), np.uint8)
        save_image(cv2.resize(small, (60, 40)), folder / f"{i}.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


def noise(batch=2):
    return np.random.default_rng(3).random((batch, *SHAPE), np.float32)


@pytest.mark.parametrize("head", ["raw", "boxes", "nms"])
def test_the_file_answers_as_its_onnx(tmp_path, onnx_files, head):
    lines = []
    path = convert(tmp_path / "a.xml", head=head, report=lines.append)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.bin", "a.xml"]
    assert lines[0].startswith("largest difference: ")
    model, onnx = open_model(path), open_model(onnx_files[head])
    assert model.metadata == onnx.metadata
    assert model.metadata.names == ("cat", "dög")
    for batch in (1, 3):
        for a, b in zip(model.run(noise(batch)), onnx.run(noise(batch)), strict=True):
            assert_close(a, b)


@pytest.mark.parametrize("head", ["raw", "boxes", "nms"])
def test_openvino_runs_our_onnx_unchanged(onnx_files, head):
    model, onnx = OpenVinoModel(str(onnx_files[head])), open_model(onnx_files[head])
    assert model.metadata == onnx.metadata
    for a, b in zip(model.run(noise()), onnx.run(noise()), strict=True):
        assert_close(a, b)


@pytest.mark.skipif(int(cv2.__version__.partition(".")[0]) < 5, reason="needs OpenCV 5")
@pytest.mark.parametrize("head", ["raw", "boxes"])
def test_opencv_5_runs_our_onnx_unchanged(onnx_files, head):
    model, net = open_model(onnx_files[head]), cv2.dnn.readNetFromONNX(str(onnx_files[head]))
    for batch in (1, 2):
        net.setInput(noise(batch))
        outputs = net.forward(list(model.metadata.outputs))
        for a, b in zip(outputs, model.run(noise(batch)), strict=True):
            assert_close(a, b)


def test_half_is_half_as_large_and_near(tmp_path):
    lines = []
    path = convert(tmp_path / "a.xml", half=True, report=lines.append)
    whole = convert(tmp_path / "b.xml")
    model = open_model(path)
    assert model.metadata.precision == "fp16"
    assert lines[0].startswith("largest difference: boxes ")
    sizes = [file.with_suffix(".bin").stat().st_size for file in (path, whole)]
    assert sizes[0] < 0.7 * sizes[1]
    for a, b in zip(model.run(noise()), open_model(whole).run(noise()), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-2)
        assert (a != b).any()


def test_8_bits_report_their_loss(tmp_path, folder):
    pytest.importorskip("nncf")
    lines = []
    options = {"int8": True, "calibration": str(folder), "report": lines.append}
    path = convert(tmp_path / "a.xml", **options)
    model = open_model(path)
    assert model.metadata.precision == "int8"
    assert "FakeQuantize" in path.read_text()
    where = "8 bits against 32 on 5 pictures: "
    assert lines[0].startswith(f"{where}largest difference: boxes ")
    assert "mean" in lines[0]
    assert lines[1].startswith(where)
    assert "objects found again" in lines[1]
    found = ModelDetector(model, thresh=0.2).detect(str(folder / "0.png"))
    assert {d.name for d in found} <= set(NAMES)


def test_int8_of_a_classifier_and_what_can_have_none(tmp_path, folder):
    pytest.importorskip("nncf")
    body = BODY.partition("[yolo]")[0] + "[avgpool]\n[softmax]\n"
    lines = []
    options = Options(int8=True, calibration=str(folder), report=lines.append, verify=False)
    network = build(body, SHAPE, "pjreddie")
    convert_network(network, "openvino", tmp_path / "a.xml", options=options)
    assert "the same best class for " in lines[1]
    for calibration, message in (
        (None, "int8 needs a folder of pictures to calibrate on: -calibration FOLDER"),
        ("none", "none: is no folder of pictures to calibrate on"),
        (str(tmp_path), f"{tmp_path}: this folder holds no pictures"),
    ):
        options = Options(int8=True, calibration=calibration)
        with pytest.raises(DarknetError) as caught:
            convert_network(network, "openvino", tmp_path / "b.xml", options=options)
        assert str(caught.value).startswith(message)
    crnn = "[crnn]\nhidden_filters=4\noutput_filters=6\nactivation=leaky\n"
    recurrent = build(crnn, (3, 5, 5), "pjreddie")
    options = Options(int8=True, calibration=str(folder))
    message = r"^test\.cfg: 8 bits are not for networks that are recurrent$"
    with pytest.raises(DarknetError, match=message):
        convert_network(recurrent, "openvino", tmp_path / "b.xml", options=options)
    assert not (tmp_path / "b.xml").exists()


def test_a_missing_package_takes_one_line(tmp_path, onnx_files, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    message = r"^needs the package openvino: pip install 'darknet-py\[openvino\]'$"
    with pytest.raises(MissingExtra, match=message):
        convert(tmp_path / "a.xml")
    with pytest.raises(MissingExtra, match=message):
        OpenVinoModel("a.xml")
    message = r"^needs the package onnxruntime: pip install 'darknet-py\[onnx\]'$"
    with pytest.raises(MissingExtra, match=message):
        open_model(onnx_files["raw"])


def test_the_name_must_be_one_that_is_read(tmp_path):
    message = rf"^{tmp_path}/a\.bin: must end in \.xml to be read as openvino$"
    with pytest.raises(DarknetError, match=message):
        convert(tmp_path / "a.bin")


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "a.xml").write_text("<net/>")
    with pytest.raises(DarknetError, match=r"a\.xml: OpenVINO does not take it: [^\n]+$"):
        open_model(tmp_path / "a.xml")


def test_no_torch_is_loaded(tmp_path, folder):
    convert(tmp_path / "a.xml", verify=False)
    code = (
        "import sys; sys.modules['torch'] = None; from darknet_py.cli import main; "
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "detect", "a.xml", folder / "0.png"],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Predicted in" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not MODELS.is_dir(), reason="needs the trained models")
@pytest.mark.parametrize("name", ["tiny", "yolo-fastest-1.1"])
def test_trained_models_print_the_same_lines(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = MODELS / name / name
    model = [f"{base}.cfg", f"{base}.weights"]
    names = ["-names", f"{base}.names", "-dialect", "pjreddie"]
    command = "classify" if name == "tiny" else "detect"
    images = sorted(map(str, PICTURES.glob("*.jpg")))
    assert main(["convert", *model, "-to", "openvino", "-out", "a.xml", *names]) == 0
    capsys.readouterr()
    printed = []
    for words in ([*model, *images, *names], ["a.xml", *images]):
        assert main([command, *words]) == 0
        out = capsys.readouterr().out.splitlines()
        printed.append([line for line in out if "Predicted in" not in line])
    assert printed[0] == printed[1]

"""ONNX files: what they hold, and that three libraries compute the network's own numbers."""

import warnings

import cv2
import numpy as np
import pytest
import torch
from helpers import build, ramp

from darknet_py.cli import main
from darknet_py.convert import FORMATS, Options, convert, convert_network, extras, verify
from darknet_py.convert import onnx as onnx_format
from darknet_py.errors import DarknetError, DarknetWarning
from darknet_py.metadata import Metadata
from darknet_py.weights import save_weights

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("onnxscript", reason="the extra onnx is not installed")

BODY = """[convolutional]
batch_normalize=1
filters=6
size=3
stride=2
pad=1
activation=mish
[maxpool]
size=3
stride=1
[convolutional]
filters=14
size=1
activation=linear
[yolo]
mask=0,2
anchors=3,5, 7,4, 2,9
num=3
classes=2
scale_x_y=1.05
[route]
layers=1
[upsample]
stride=2
[convolutional]
filters=7
size=1
activation=linear
[yolo]
mask=1
anchors=3,5, 7,4, 2,9
num=3
classes=2
"""
SHAPE = (3, 32, 64)
CLASSIFIER = """[convolutional]
filters=5
size=3
activation=leaky
[avgpool]
[softmax]
"""
RECURRENT = """[rnn]
output=5
activation=tanh
[lstm]
output=3
"""


@pytest.fixture(scope="module")
def network():
    return build(BODY, SHAPE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="module")
def boxes(network, folder):
    path = folder / "boxes.onnx"
    return convert_network(network, "onnx", path, names=("a", "b"), options=Options())


@pytest.fixture(scope="module")
def raw(network, folder):
    return convert_network(network, "onnx", folder / "raw.onnx", options=Options(head="raw"))


def run(path, *inputs):
    session = ort.InferenceSession(str(path))
    names = [value.name for value in session.get_inputs()]
    feed = {name: np.asarray(value) for name, value in zip(names, inputs, strict=True)}
    return session.run(None, feed)


def assert_close(actual, expected):
    """Libraries round their logistic functions in their own ways."""
    expected = torch.as_tensor(expected).numpy()
    assert verify.largest_difference(expected, actual) < 1e-5


def reference(network, x):
    with torch.no_grad():
        return network.run(x, [head.index for head in network.heads])


def test_the_file_says_what_it_is(boxes):
    model = onnx.load(boxes)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version >= 17
    assert model.producer_name == "darknet-py"
    (images,) = model.graph.input
    sides = [side.dim_param or side.dim_value for side in images.type.tensor_type.shape.dim]
    assert (images.name, sides) == ("images", ["batch", 3, 32, 64])
    assert [value.name for value in model.graph.output] == ["boxes", "scores", "objectness"]
    texts = {entry.key: entry.value for entry in model.metadata_props}
    metadata = Metadata.from_dict(texts, "boxes.onnx")
    assert metadata.names == ("a", "b")
    assert metadata.anchors == ((3, 5, 2, 9), (7, 4))
    assert metadata.cfg.startswith("[net]\nchannels=3\n")
    assert (metadata.folded, metadata.input, metadata.task) == (True, (3, 32, 64), "detect")


def test_raw_outputs_are_the_heads(network, raw):
    x = ramp(2, *SHAPE)
    assert [o.name for o in onnx.load(raw).graph.output] == ["layer_3_yolo", "layer_7_yolo"]
    for actual, expected in zip(run(raw, x), reference(network, x), strict=True):
        assert_close(actual, expected)


def test_batch_norm_is_folded(raw):
    kinds = {node.op_type for node in onnx.load(raw).graph.node}
    assert "BatchNormalization" not in kinds


@pytest.mark.parametrize("kind", ["raw", "boxes"])
def test_opencv_reads_it(kind, request):
    path, x = request.getfixturevalue(kind), ramp(2, *SHAPE).numpy()
    names = [value.name for value in onnx.load(path).graph.output]
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setInput(x)
    for actual, expected in zip(net.forward(names), run(path, x), strict=True):
        assert_close(actual.reshape(expected.shape), expected)


@pytest.mark.parametrize("kind", ["raw", "boxes"])
def test_openvino_reads_it(kind, request):
    openvino = pytest.importorskip("openvino", reason="the extra openvino is not installed")
    path, x = request.getfixturevalue(kind), ramp(2, *SHAPE).numpy()
    model = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for actual, expected in zip(model(x).values(), run(path, x), strict=True):
        assert_close(actual, expected)


def test_suppression_inside(network, folder):
    lines = []
    options = Options(head="nms", thresh=0.3, nms=0.4, report=lines.append)
    path = convert_network(network, "onnx", folder / "nms.onnx", options=options)
    boxes, scores, class_ids, batch_ids = run(path, ramp(2, *SHAPE))
    assert boxes.shape == (len(scores), 4) and len(scores) > 4
    assert scores.min() > 0.3
    assert set(class_ids) == {0, 1} and set(batch_ids) == {0, 1}
    assert lines[-1].startswith("detections: ") and ", 0 others," in lines[-1]


@pytest.mark.parametrize("kind", ["greedynms", "diounms", "cornersnms", "default"])
def test_suppression_by_another_rule_is_warned_of(kind, folder):
    body = BODY.replace("[yolo]", f"[yolo]\nnms_kind={kind}")
    network = build(body, SHAPE, "alexeyab")
    options = Options(head="nms", verify=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DarknetWarning)
        convert_network(network, "onnx", folder / f"{kind}.onnx", options=options)
    found = [str(w.message) for w in caught if issubclass(w.category, DarknetWarning)]
    other = kind in ("greedynms", "diounms")  # cornersnms compares the plain IoU in C, too
    assert [f"nms_kind={kind} lets boxes" in line for line in found] == [True] * other


def test_any_size(network, folder):
    options = Options(head="raw", dynamic_size=True)
    path = convert_network(network, "onnx", folder / "any.onnx", options=options)
    x = ramp(1, 3, 48, 96)
    network.resize(48, 96)
    try:
        expected = reference(network, x)
    finally:
        network.resize(*SHAPE[1:])
    for actual, value in zip(run(path, x), expected, strict=True):
        assert_close(actual, value)


def test_half_precision_keeps_its_inputs(network, folder):
    lines = []
    options = Options(half=True, report=lines.append)
    path = convert_network(network, "onnx", folder / "half.onnx", options=options)
    model = onnx.load(path)
    halves = {value.name for value in model.graph.initializer if value.data_type == 10}
    assert len(halves) >= 6
    results = run(path, ramp(1, *SHAPE))
    assert {result.dtype for result in results} == {np.dtype(np.float32)}
    assert lines[0].startswith("largest difference: boxes ")


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_kept_batch_norm_goes_back_to_darknet(dialect, folder):
    body = BODY.replace("mish", "leaky").replace("scale_x_y=1.05\n", "")
    network = build(body, SHAPE, dialect)
    path = folder / f"{dialect}.onnx"
    convert_network(network, "onnx", path, options=Options(keep_batchnorm=True))
    names = {value.name for value in onnx.load(path).graph.initializer}
    kinds = ("biases", "scales", "rolling_mean", "rolling_variance", "weights")
    assert {f"layers.0.convolutional.{kind}" for kind in kinds} <= names
    save_weights(network, folder / "before.weights")
    back = convert(path, None, "weights", folder / "after.weights", force=True)
    assert back.read_bytes() == (folder / "before.weights").read_bytes()


def test_classifier(folder):
    network = build(CLASSIFIER, (3, 9, 8))
    path = convert_network(network, "onnx", folder / "classifier.onnx")
    (actual,) = run(path, ramp(2, 3, 9, 8))
    assert [o.name for o in onnx.load(path).graph.output] == ["probabilities"]
    assert_close(actual, network.run(ramp(2, 3, 9, 8))[0].detach())


def test_recurrent_networks_take_and_give_their_state(folder):
    network = build(RECURRENT, (7,))
    path = convert_network(network, "onnx", folder / "recurrent.onnx")
    graph = onnx.load(path).graph
    states = ["layer_0_rnn_state", "layer_1_lstm_state", "layer_1_lstm_cell"]
    assert [value.name for value in graph.input] == ["inputs", *states]
    assert [value.name for value in graph.output][1:] == [f"{name}_next" for name in states]
    network.reset_state()
    remembered = [np.zeros((2, n), np.float32) for n in (5, 3, 3)]
    for step in range(3):
        x = ramp(2, 7, start=step)
        actual, *remembered = run(path, x, *remembered)
        with torch.no_grad():
            assert_close(actual.reshape(2, 3), network.run(x)[0].reshape(2, 3))


def test_large_weights_go_to_a_file_beside(network, folder, monkeypatch):
    monkeypatch.setattr(onnx_format, "LARGEST", 100)
    path = convert_network(network, "onnx", folder / "large.onnx", options=Options(head="raw"))
    assert (folder / "large.onnx.data").is_file()
    x = ramp(1, *SHAPE)
    assert_close(run(path, x)[0], reference(network, x)[0])


def test_a_difference_leaves_no_file(network, folder, monkeypatch):
    monkeypatch.setitem(verify.TOLERANCE, "fp32", -1.0)
    before = sorted(folder.iterdir())
    with pytest.raises(DarknetError, match=r"^.*bad\.onnx: differs from the network by more than"):
        convert_network(network, "onnx", folder / "bad.onnx")
    assert sorted(folder.iterdir()) == before


def test_outputs_that_are_no_numbers_are_warned_of(folder):
    broken = build(BODY, SHAPE)
    with torch.no_grad():
        broken[2].biases[0] = float("nan")
    message = r"nan\.onnx: the network's own outputs hold \d+ values that are no numbers: are its"
    with pytest.warns(DarknetWarning, match=message):
        convert_network(broken, "onnx", folder / "nan.onnx")


def test_an_existing_file_is_not_replaced(network, boxes):
    with pytest.raises(DarknetError) as error:
        convert_network(network, "onnx", boxes)
    assert str(error.value) == f"{boxes}: exists already (--force replaces it)"


def test_errors_of_the_command_line(folder, capsys, monkeypatch):
    assert main(["convert", "cfg/tiny.cfg", "x.weights", "--to", "onyx"]) == 2
    assert "invalid choice: 'onyx'" in capsys.readouterr().err
    assert main(["convert", "cfg/tiny.cfg", "x.weights"]) == 2
    assert (
        capsys.readouterr().err == f"darknet-py: convert needs --to FORMAT: {', '.join(FORMATS)}\n"
    )
    assert main(["convert", "cfg/tiny.cfg", "x.weights", "--to=onnx", f"-out={folder}/no/x"]) == 1
    error = capsys.readouterr().err
    assert (
        error == f"darknet-py: {folder}/no/x: cannot be written: no such folder, or no right to\n"
    )
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DarknetError) as missing:
        extras.extra("onnx")
    assert str(missing.value) == "needs the package onnx: pip install 'darknet-py[onnx]'"

"""The drop-in for cv2.dnn against OpenCV 4.14 itself, which runs in a process of its own."""

import re
import subprocess
import sys

import cv2
import numpy as np
import opencv4
import pytest
import torch
from golden import GOLDEN, Golden, generator
from helpers import ROOT, SHARED

import darknet_py.opencv as dropin
from darknet_py import DarknetError, Network, load_weights, save_weights
from darknet_py.opencv import (
    ClassificationModel,
    DetectionModel,
    NMSBoxes,
    blobFromImage,
    readNet,
    readNetFromDarknet,
)

CFG = ROOT / "cfg"
MODELS = SHARED / "models"
DETECTORS = [
    "MobileNetV2-YOLO-Fastest-voc",
    "MobileNetV2-YOLOv3-Nano-coco",
    "bccd-yolo-fastest",
    "yolo-fastest-1.1",
    "yoloface-500k-v2",
]
needs_opencv4 = pytest.mark.skipif(
    opencv4.python() is None,
    reason="needs an interpreter with OpenCV 4.14, named by DARKNET_PY_OPENCV4",
)
needs_models = pytest.mark.skipif(not MODELS.is_dir(), reason="needs the trained models")
needs_goldens = pytest.mark.skipif(not GOLDEN.is_dir(), reason="needs the goldens")

SMALL = """[net]
width=64
height=48
channels=3
[convolutional]
filters=8
size=3
stride=2
pad=1
batch_normalize=1
activation=leaky
[convolutional]
filters=21
size=3
pad=1
stride=4
activation=linear
"""
REGION = "[region]\nanchors=1.1,1.9, 2.5,2.1, 3.3,.7\nclasses=2\nnum=3\ncoords=4\nsoftmax=1\n"
YOLO = "[yolo]\nmask=0,2,1\nanchors=10,13, 16,30, 33,23\nclasses=2\nnum=3\n"


def assert_same_rows(actual, expected, thresh=0.2):
    """Within 1e-4: of rows relative above 1, of maps relative to the largest value.

    A score at the threshold itself may be cut by either.
    """
    assert actual.shape == expected.shape
    size = np.abs(expected).max() if expected.ndim == 4 else np.abs(expected)
    difference = np.abs(actual - expected) / np.maximum(1, size)
    either = np.maximum(actual, expected)
    at_edge = (np.minimum(actual, expected) == 0) & (np.abs(either - thresh) < 1e-5)
    assert np.where(at_edge, 0, difference).max() < 1e-4
    assert at_edge.mean() < 1e-4


def picture(name="dog"):
    image = cv2.imread(str(SHARED / "images" / "decoded" / f"{name}.png"))
    assert image is not None
    return image


def files(model):
    return [str(MODELS / model / f"{model}.{end}") for end in ("cfg", "weights")]


def small_files(folder, tail, seed=1):
    """A small random network: its cfg and weights."""
    cfg, weights = folder / "small.cfg", folder / "small.weights"
    cfg.write_text(SMALL)
    torch.manual_seed(seed)
    save_weights(Network.from_cfg(cfg), weights)
    cfg.write_text(SMALL + tail)
    return str(cfg), str(weights)


def noise(*shape):
    return np.random.RandomState(3).rand(*shape).astype(np.float32) * 3


def compare(cfg, weights, blob, names=None, thresh=0.2, **setting):
    """Names, types and outputs of both."""
    theirs = opencv4.ask(cfg=cfg, weights=weights, blob=blob, names=names, **setting)
    assert "error" not in theirs, theirs["error"]
    net = readNetFromDarknet(cfg, weights)
    net.setInput(blob, "", setting.get("scale", 1.0), setting.get("mean", ()))
    assert [net.getLayer(name).type for name in net.getLayerNames()] == theirs["types"].tolist()
    outputs = net.forward(names or net.getUnconnectedOutLayersNames())
    for number, output in enumerate(outputs):
        assert output.dtype == np.float32
        assert_same_rows(output, theirs[f"out_{number}"], thresh)
    return outputs


@needs_opencv4
@pytest.mark.parametrize(
    "name",
    ["tiny", "alexnet", "darknet19", "densenet201", "enet-coco", "resnet50", "vgg-16", "yolov2",
     "yolo9000", "yolov3", "yolov3-tiny", "yolov4", "yolov4-csp", "yolov4-tiny", "yolov7-tiny"],
)  # fmt: skip
def test_layers_are_named_as_in_opencv(name):
    theirs = opencv4.ask(cfg=str(CFG / f"{name}.cfg"))
    net = readNetFromDarknet(CFG / f"{name}.cfg")
    assert list(net.getLayerNames()) == theirs["names"].tolist()
    assert list(net.getUnconnectedOutLayersNames()) == theirs["heads"].tolist()
    assert net.getUnconnectedOutLayers().tolist() == theirs["numbers"].tolist()


def test_a_route_of_grouped_layers_moves_the_numbers(tmp_path):
    cfg = tmp_path / "groups.cfg"
    cfg.write_text(
        SMALL + "[route]\nlayers=-2\n[convolutional]\nfilters=8\n[route]\nlayers=-1,-2\ngroups=2\n"
        "[convolutional]\nfilters=2\nactivation=mish\n[crop]\ncrop_height=3\ncrop_width=3\n[cost]\n"
    )
    assert list(readNetFromDarknet(cfg).getLayerNames()) == [
        "conv_0", "bn_0", "leaky_1", "conv_1", "identity_2", "conv_3", "logistic_4", "slice_4",
        "slice_5", "concat_6", "conv_7", "mish_8", "crop_8", "adjust_crop_9", "identity_10",
    ]  # fmt: skip


def test_the_heads_of_yolov3():
    net = readNetFromDarknet(CFG / "yolov3.cfg")
    assert net.getUnconnectedOutLayersNames() == ("yolo_82", "yolo_94", "yolo_106")
    names = net.getLayerNames()
    assert [names[i - 1] for i in net.getUnconnectedOutLayers()] == ["yolo_82", "yolo_94",
                                                                     "yolo_106"]  # fmt: skip
    assert net.getLayerId("conv_0") == 1 and net.getLayerId("_input") == 0
    assert net.getLayerId("yolo_83") == -1
    assert net.getLayer(net.getLayerId("yolo_82")).type == "Region"
    assert net.getLayer(0).outputNameToIndex("im_info") == -1
    assert net.getLayersCount("Region") == 3
    assert "Convolution" in net.getLayerTypes()
    assert not net.empty() and dropin.dnn.Net().empty()


@needs_opencv4
@needs_models
@pytest.mark.parametrize("name", DETECTORS)
def test_rows_of_trained_networks(name):
    net = readNetFromDarknet(*files(name))
    size = net.network.image.width, net.network.image.height
    blob = blobFromImage(picture("person"), 1 / 255, size, swapRB=True)
    assert any((rows[:, 5:] > 0).any() for rows in compare(*files(name), blob))


@needs_opencv4
@needs_models
def test_a_classifier_and_what_its_layers_give():
    names = ["conv_0", "bn_0", "leaky_1", "pool_1", "conv_19", "avgpool_20", "softmax_21"]
    blob = blobFromImage(picture(), 1 / 255, (224, 192), swapRB=True)
    outputs = compare(*files("tiny"), blob, names)
    assert outputs[-1].shape == (1, 1000, 1, 1)
    compare(*files("tiny"), np.concatenate([blob, blob[..., ::-1]]), names[-3:])
    compare(*files("tiny"), blob)  # the last layer is a [cost]: OpenCV passes it by


def check_golden(name, folder):
    golden = Golden(GOLDEN / f"{name}.json")
    weights = folder / "golden.weights"
    generator().write_weights(golden.json, weights)
    return compare(str(golden.cfg), str(weights), golden.input().numpy())


@needs_opencv4
@needs_goldens
@pytest.mark.parametrize(
    "name",
    ["alexeyab/yolov4-tiny", "pjreddie/cifar", "pjreddie/darknet19", "pjreddie/tiny",
     "pjreddie/yolov2-tiny", "pjreddie/yolov3-tiny"],
)  # fmt: skip
def test_rows_of_goldens(name, tmp_path):
    check_golden(name, tmp_path)


@pytest.mark.golden
@needs_opencv4
@needs_goldens
@pytest.mark.parametrize(
    "name",
    ["alexeyab/csresnext50-panet-spp", "alexeyab/efficientnet_b0", "alexeyab/enet-coco",
     "alexeyab/yolov2", "alexeyab/yolov4-csp-swish", "alexeyab/yolov4-p5", "pjreddie/alexnet",
     "pjreddie/darknet53", "pjreddie/densenet201", "pjreddie/extraction", "pjreddie/yolov3",
     "pjreddie/yolov3-spp"],
)  # fmt: skip
def test_rows_of_large_goldens(name, tmp_path):
    check_golden(name, tmp_path)


@needs_opencv4
@needs_goldens
@pytest.mark.parametrize("name", ["pjreddie/cifar.test", "alexeyab/go.test"])
def test_where_opencv_is_wrong(name, tmp_path):
    """The softmax's temperature, and a softmax over a map: docs/from-opencv.md."""
    with pytest.raises(AssertionError):
        check_golden(name, tmp_path)


@needs_opencv4
@pytest.mark.parametrize(
    "tail, thresh",
    [
        (REGION + "thresh=.05", 0.05),
        (REGION + "thresh=.3\nclassfix=-1", 0.3),
        (REGION, 0.001),
        (YOLO, 0.2),
        (YOLO + "thresh=.1\nnms_threshold=.3\nscale_x_y=1.2", 0.1),
        (YOLO + "new_coords=1\nscale_x_y=2\nnms_threshold=.5", 0.2),
    ],
    ids=["region", "classfix", "region thresh", "yolo", "yolo nms", "new_coords"],
)
def test_rows_of_a_random_head(tail, thresh, tmp_path):
    cfg, weights = small_files(tmp_path, tail)
    (one,) = compare(cfg, weights, noise(1, 3, 48, 64), thresh=thresh)
    (two,) = compare(cfg, weights, noise(2, 3, 48, 64), thresh=thresh)
    compare(cfg, weights, noise(2, 3, 96, 80), thresh=thresh)
    assert one.shape == (144, 7) and two.shape == (2, 144, 7)
    assert (one[:, 5:] > 0).any()


@needs_opencv4
def test_blobs_of_bytes_are_shifted_and_scaled(tmp_path):
    cfg, weights = small_files(tmp_path, YOLO)
    blob = (noise(1, 3, 48, 64) * 80).astype(np.uint8)
    names = ["conv_0", "bn_0", "leaky_1", "conv_1", "permute_2", "yolo_2"]
    compare(cfg, weights, blob, names, scale=1 / 255, mean=(3.0, 40.0, 5.0))


@needs_opencv4
@needs_models
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("name", ["horses", "kite"])
def test_a_detection_model_answers_as_opencvs(name, across):
    cfg, weights = files("yolo-fastest-1.1")
    params = (1 / 255, (320, 320), (3.0, 1.0, 2.0, 0.0), True, False)
    for thresholds in [(0.25, 0.45), (0.5, 0.0), (0.9999, 0.4)]:
        theirs = opencv4.ask(
            cfg=cfg, weights=weights, frame=picture(name), model="detect", params=params,
            thresholds=thresholds, across=across,
        )  # fmt: skip
        model = DetectionModel(weights, cfg)
        model.setInputParams(*params)
        assert model.setNmsAcrossClasses(across) is model
        classes, scores, boxes = model.detect(picture(name), *thresholds)
        np.testing.assert_array_equal(classes, theirs["classes"])
        np.testing.assert_allclose(scores, theirs["scores"], atol=1e-4)
        np.testing.assert_allclose(boxes, theirs["boxes"], atol=1)
        if len(classes):
            assert (classes.dtype, scores.dtype, boxes.dtype) == (np.int32, np.float32, np.int32)
        else:
            assert classes == scores == boxes == ()


@needs_opencv4
@needs_models
def test_a_classification_model_answers_as_opencvs():
    cfg, weights = files("tiny")
    params = (1 / 255, (224, 224), (0, 0, 0, 0), True, True)
    theirs = opencv4.ask(
        cfg=cfg, weights=weights, frame=picture(), model="classify", params=params
    )["best"]
    model = ClassificationModel(readNet(cfg, weights))
    model.setInputScale(1 / 255).setInputSize((224, 224)).setInputSwapRB(True).setInputCrop(True)
    number, score = model.classify(picture())
    assert number == theirs[0] and score == pytest.approx(theirs[1], abs=1e-5)
    model.setEnableSoftmaxPostProcessing(True)
    assert model.classify(picture())[0] == number


SCRIPT = """
import sys

import cv2 as cv
import numpy as np

cfg, weights, path, wanted = sys.argv[1:5]
net = cv.dnn.readNet(weights, cfg)
net.setPreferableBackend(cv.dnn.DNN_BACKEND_OPENCV)
net.setPreferableTarget(cv.dnn.DNN_TARGET_CPU)
frame = cv.imread(path)
high, wide = frame.shape[:2]
names = net.getLayerNames()
if wanted == "numbers":
    ends = [names[number - 1] for number in np.array(net.getUnconnectedOutLayers()).flatten()]
else:
    ends = net.getUnconnectedOutLayersNames()
assert net.getLayer(0).outputNameToIndex("im_info") == -1
assert net.getLayer(net.getLayerId(names[-1])).type == "Region"
if wanted == "numbers":
    net.setInput(cv.dnn.blobFromImage(frame, 1 / 255.0, (320, 320), swapRB=True, crop=False))
else:
    blob = cv.dnn.blobFromImage(frame, size=(320, 320), swapRB=True, ddepth=cv.CV_8U)
    net.setInput(blob, scalefactor=1 / 255.0, mean=(0, 0, 0))
boxes, sure, kinds = [], [], []
for rows in net.forward(ends):
    for row in rows:
        kind = int(np.argmax(row[5:]))
        if row[5 + kind] > 0.3:
            x, y, w, h = row[:4] * np.array([wide, high, wide, high])
            boxes.append([int(x - w / 2), int(y - h / 2), int(w), int(h)])
            sure.append(float(row[5 + kind]))
            kinds.append(kind)
for i in np.array(cv.dnn.NMSBoxes(boxes, sure, 0.3, 0.4)).flatten():
    cv.rectangle(frame, boxes[i], (0, 255, 0), 2)
    print(kinds[i], f"{sure[i]:.3f}", *boxes[i])
assert net.getPerfProfile()[0] * 1000.0 / cv.getTickFrequency() > 0
try:
    net.forward("no such layer")
except cv.error as error:
    print("refused")
"""


@needs_opencv4
@needs_models
@pytest.mark.parametrize("wanted", ["names", "numbers"])
def test_a_tutorials_script_runs_with_one_line_changed(wanted, tmp_path):
    changed = SCRIPT.replace("import cv2 as cv\n", "import darknet_py.opencv as cv\n")
    printed = []
    for number, (python, script) in enumerate(
        [(opencv4.python(), SCRIPT), (sys.executable, changed)]
    ):
        path = tmp_path / f"script{number}.py"
        path.write_text(script)
        image = SHARED / "images" / "decoded" / "dog.png"
        run = [python, path, *files("yolo-fastest-1.1"), image, wanted]
        done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    assert printed[0] == printed[1]
    assert len(printed[0].splitlines()) >= 4


def test_buffers_are_read_as_files(tmp_path):
    cfg, weights = small_files(tmp_path, YOLO)
    texts = [(tmp_path / f"small.{end}").read_bytes() for end in ("cfg", "weights")]
    blob = noise(1, 3, 48, 64)
    rows = []
    for net in (
        readNetFromDarknet(cfg, weights),
        readNetFromDarknet(*texts),
        readNetFromDarknet(*(np.frombuffer(text, np.uint8) for text in texts)),
        readNet(weights, cfg),
        readNet(cfg, weights, "Darknet"),
        readNet("darknet", bytearray(texts[1]), bytearray(texts[0])),
    ):
        net.setInput(blob)
        rows.append(net.forward())
    assert all(np.array_equal(rows[0], other) for other in rows[1:])
    assert len(NMSBoxes([[0, 0, 4, 4]], [0.9], 0.5, 0.4)) == 1


def test_the_blob_is_copied(tmp_path):
    net = readNetFromDarknet(*small_files(tmp_path, YOLO))
    blob = noise(1, 3, 48, 64)
    net.setInput(blob)
    before = net.forward("yolo_2")
    blob[:] = 0
    assert np.array_equal(net.forward(["yolo_2"])[0], before)
    assert np.array_equal(net.forward(outBlobNames=["yolo_2"])[0], before)
    assert np.array_equal(net.forwardAndRetrieve(["yolo_2"])[0][0], before)
    before[:] = 7
    assert not np.array_equal(net.forward(), before)


@needs_goldens
def test_heads_that_opencv_does_not_know(tmp_path):
    golden = Golden(GOLDEN / "pjreddie" / "yolov1-tiny.json")
    weights = tmp_path / "golden.weights"
    generator().write_weights(golden.json, weights)
    net = readNetFromDarknet(golden.cfg, weights)
    net.setInput(golden.input().numpy())
    head = net.network.heads[0]
    rows = net.forward()
    side, boxes = head.options.side, head.options.num
    assert rows.shape == (side * side * boxes, 5 + head.classes)
    assert np.isfinite(rows).all()


def test_batch_norm_divides_as_in_opencv(tmp_path):
    cfg, weights = small_files(tmp_path, YOLO)
    network = Network.from_cfg(cfg)
    load_weights(network, weights)
    network[0].normalizer.rolling_variance.fill_(1e-6)
    save_weights(network, weights)
    net = readNetFromDarknet(cfg, weights)
    net.setInput(noise(1, 3, 48, 64))
    raw, normalized = net.forward(["conv_0", "bn_0"])
    np.testing.assert_allclose(normalized, raw / np.sqrt(2e-6), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    "break_it, message",
    [
        (lambda net, blob: net.forward(), "there is no input yet: call setInput(blob) before "
         "forward()"),
        (lambda net, blob: net.setInput(blob[0]), "the blob must be (batch, 3, height, width), "
         "got (3, 48, 64)"),
        (lambda net, blob: net.setInput(blob[:, :1]), "the blob must be (batch, 3, height, width), "
         "got (1, 1, 48, 64)"),
        (lambda net, blob: net.setInput(blob, "picture"), "the input is called data, not "
         "'picture'"),
        (lambda net, blob: net.forward("yolo_3"), "there is no layer 'yolo_3'; the outputs are "
         "yolo_2"),
        (lambda net, blob: net.getLayer(99), "there is no layer 99, only 0 to 6"),
        (lambda net, blob: dropin.dnn.Net().forward(), "the Net is empty: read one with "
         "readNetFromDarknet(cfg, weights)"),
        (lambda net, blob: readNetFromDarknet("no.cfg"), "no.cfg: cannot be opened: No such file "
         "or directory"),
        (lambda net, blob: readNetFromDarknet(b"[net]\nwidth=8\nheight=8\nchannels=3\n[conv]\n"
         b"filters=2\nactivation=linear\n", b"\0" * 24), "<weights>: ends inside layer 0 [conv] "
         "weights: needs 6 floats, 0 left (2 floats in the file, 8 in the cfg, which needs 48 "
         "bytes): is it of another cfg, or not downloaded to its end?"),
        (lambda net, blob: DetectionModel(net).setInputSize(0, 0).predict(np.zeros((9, 9, 3))),
         "the input size is not set: call setInputSize(width, height)"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_that_cv2_error_catches(break_it, message, tmp_path):
    net = readNetFromDarknet(*small_files(tmp_path, YOLO))
    with pytest.raises(DarknetError, match=f"^{re.escape(message)}$") as caught:
        break_it(net, noise(1, 3, 48, 64))
    assert isinstance(caught.value, cv2.error)


def test_forward_without_weights_is_an_error():
    net = readNetFromDarknet(CFG / "yolov3-tiny.cfg")
    net.setInput(noise(1, 3, 64, 64))
    with pytest.raises(DarknetError, match=r"^no weights were read: give readNetFromDarknet the "):
        net.forward()


def test_every_other_name_is_opencvs():
    assert dropin.imread is cv2.imread and dropin.dnn.NMSBoxes is cv2.dnn.NMSBoxes
    assert dropin.dnn.DNN_BACKEND_CUDA == 5 and dropin.dnn.DNN_TARGET_CUDA_FP16 == 7
    assert dropin.dnn_DetectionModel is DetectionModel
    with pytest.raises(AttributeError):
        _ = dropin.no_such_name

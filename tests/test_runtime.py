"""Converted models run without torch, and answer as cfg and weights do."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import ROOT, SHARED, assert_close, build

from darknet_py.classifier import Classifier
from darknet_py.cli import main
from darknet_py.convert import Options, convert_network
from darknet_py.convert.describe import describe
from darknet_py.convert.program import Program, first_states
from darknet_py.detector import Detector
from darknet_py.errors import DarknetError
from darknet_py.image import save_image
from darknet_py.runtime import open_model
from darknet_py.runtime.classifier import ModelClassifier
from darknet_py.runtime.detector import ModelDetector
from darknet_py.runtime.model import Input, Model
from darknet_py.weights import load_weights, save_weights

MODELS, PICTURES = SHARED / "models", SHARED / "images"

CONV = "[convolutional]\nfilters={}\nsize=3\nstride=4\npad=1\nactivation=linear\n"
YOLO = "[yolo]\nclasses=2\nnum=3\nmask=0,2\nanchors=3,4,5,7,9,6\n"
REGION = "[region]\nclasses=3\ncoords=4\nnum=2\nanchors=1,2,3,1\n"
BODIES = {
    "yolo": CONV.format(14) + YOLO,
    "yolo new_coords": CONV.format(14) + YOLO + "new_coords=1\nscale_x_y=2\nnms_kind=greedynms\n",
    "two yolo": CONV.format(14) + YOLO + "[route]\nlayers=-2\n" + YOLO.replace("0,2", "1,2"),
    "Gaussian_yolo": CONV.format(22) + YOLO.replace("[yolo]", "[Gaussian_yolo]"),
    "region": CONV.format(16) + REGION + "softmax=1\n",
    "region background": CONV.format(16) + REGION + "softmax=1\nbackground=1\n",
    "detection": "[connected]\noutput=48\nactivation=logistic\n"
    "[detection]\nclasses=2\ncoords=4\nnum=2\nside=2\nsqrt=1\n",
}
NAMES = ["cat", "dog", "bird"]
SMALL = CONV.format(5) + "[avgpool]\n[softmax]\n"


class TorchModel(Model):
    """What a converted network computes, by torch."""

    def __init__(self, network, head="raw", batch=None, names=NAMES):
        self.program = Program(network, "raw" if head == "raw" else "boxes")
        shape = network.image
        inputs = [Input("images", (batch, *vars(shape).values()), np.dtype(np.float32))]
        metadata = describe(network, names, Options(head=head))
        for name, state in zip(metadata.states, self._zeros(network), strict=True):
            inputs.append(Input(name, (batch, *state.shape[1:]), np.dtype(np.float32)))
        super().__init__("net.onnx", metadata, inputs)
        self.sizes = []

    @staticmethod
    def _zeros(network):
        shape = network.image
        return first_states(network, torch.zeros(1, shape.channels, shape.height, shape.width))

    @torch.no_grad()
    def _run(self, feed):
        self.sizes.append(len(feed["images"]))
        return [y.numpy() for y in self.program(*map(torch.from_numpy, feed.values()))]


def pictures(count=3):
    random = np.random.default_rng(1)
    sides = [(20 + 7 * i, 45 - 9 * i) for i in range(count)]
    return [random.integers(0, 256, (*side, 3), np.uint8) for side in sides]


def same(actual, expected):
    """Detections equal to rounding; of those that are equally probable any may come first."""
    assert len(actual) == len(expected)
    left = list(actual)
    for place, wanted in enumerate(expected):
        assert actual[place].probability == pytest.approx(wanted.probability, abs=2e-6)
        twin = next((found for found in left if is_close(found, wanted)), None)
        assert twin is not None, wanted
        left.remove(twin)


def is_close(found, wanted):
    if (found.class_id, found.name) != (wanted.class_id, wanted.name):
        return False
    values = [[d.probability, d.objectness, *vars(d.box).values()] for d in (found, wanted)]
    return np.allclose(*values, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("letterbox", [None, False, True], ids=["", "stretched", "letterbox"])
@pytest.mark.parametrize("head", ["raw", "boxes"])
@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
@pytest.mark.parametrize("body", BODIES)
def test_detections_are_those_of_the_detector(body, dialect, head, letterbox):
    if dialect == "pjreddie" and body in ("yolo new_coords", "Gaussian_yolo"):
        pytest.skip("only AlexeyAB has it")
    if dialect == "alexeyab" and body == "region background":
        pytest.skip("only pjreddie has it")
    network = build(BODIES[body], (3, 16, 24), dialect)
    classes = network.heads[0].classes
    names = NAMES[:classes]
    expected = Detector(network, names, thresh=0.2, letterbox=letterbox)
    model = TorchModel(network, head, names=names)
    actual = ModelDetector(model, thresh=0.2, letterbox=letterbox)
    assert actual.head_types == expected.head_types
    assert (actual.classes, actual.letterbox) == (classes, expected.letterbox)
    found = expected.detect(pictures())
    assert any(found)
    for a, b in zip(actual.detect(pictures()), found, strict=True):
        same(a, b)


def test_a_model_of_one_picture_at_a_time_takes_batches():
    network = build(SMALL, (3, 16, 24), "pjreddie")
    expected = Classifier(network).predict(pictures())
    together, alone = (TorchModel(network, batch=b, names=list("abcde")) for b in (None, 1))
    assert_close(ModelClassifier(together).predict(pictures()), expected)
    assert_close(ModelClassifier(alone).predict(pictures()), expected)
    assert (together.sizes, alone.sizes) == ([3], [1, 1, 1])
    two = TorchModel(network, batch=2, names=list("abcde"))
    with pytest.raises(DarknetError, match=r"^net\.onnx: takes 2 pictures at once, got 3$"):
        ModelClassifier(two).predict(pictures())
    message = r"^net\.onnx: takes inputs of 3 x 16 x 24 values, got 3 x 16 x 20$"
    with pytest.raises(DarknetError, match=message):
        together.run(np.zeros((1, 3, 16, 20), np.float32))


def test_recurrent_layers_remember_from_run_to_run():
    body = "[crnn]\nhidden_filters=4\noutput_filters=6\nbatch_normalize=0\nactivation=leaky\n"
    network = build(body, (3, 5, 5), "pjreddie")
    steps = torch.rand(3, 1, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    model = TorchModel(build(body, (3, 5, 5), "pjreddie"))
    network.reset_state()
    with torch.no_grad():
        expected = [network.run(x)[0] for x in steps]
    for x, y in zip(steps, expected, strict=True):
        assert_close(model.run(x.numpy())[0], y)
    model.reset_state()
    assert_close(model.run(steps[0].numpy())[0], expected[0])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A classifier and a detector, each as cfg and weights, .onnx and .safetensors."""
    folder = tmp_path_factory.mktemp("models")
    for package in ("onnx", "onnxscript", "onnxruntime", "safetensors"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs the package {package}")
    for name, body, names in (
        ("classify", SMALL, list("abcde")),
        ("detect", BODIES["yolo"], NAMES[:2]),
    ):
        cfg = f"[net]\nchannels=3\nheight=16\nwidth=24\n{body}"
        (folder / f"{name}.cfg").write_text(cfg)
        (folder / f"{name}.names").write_text("\n".join(names))
        (folder / f"{name}.data").write_text(f"names={folder}/{name}.names\ntop=2\n")
        network = build(body, (3, 16, 24), "pjreddie")
        network.sections[0].__dict__["path"] = f"{name}.cfg"
        save_weights(network, folder / f"{name}.weights")
        for to, head, file in (
            ("onnx", "raw", f"{name}.onnx"),
            ("onnx", "boxes", f"{name}_boxes.onnx"),
            ("onnx", "nms", f"{name}_nms.onnx"),
            ("safetensors", "raw", f"{name}.safetensors"),
        ):
            if name == "classify" and head in ("boxes", "nms"):
                continue
            options = Options(head=head, verify=False)
            convert_network(network, to, folder / file, names=names, options=options)
    for i, picture in enumerate(pictures()):
        save_image(picture, folder / f"{i}.png")
    return folder


def lines(capsys, *words):
    """What a command prints, without the times."""
    assert main(list(map(str, words))) == 0
    out = capsys.readouterr().out
    return [line for line in out.splitlines() if "Predicted in" not in line]


def parted(line):
    """The words of a line, and the number behind them."""
    name, _, number = line.rpartition(": ")
    return (name, float(number)) if name else (line, 0.0)


@pytest.mark.parametrize("dialect", [None, "pjreddie"])
@pytest.mark.parametrize("model", ["classify.onnx", "classify.safetensors"])
def test_classify_prints_the_same_lines(files, capsys, monkeypatch, model, dialect):
    monkeypatch.chdir(files)
    options = ["-dialect", dialect] if dialect else []
    images = ["0.png", "1.png", "-t", "3", *options]
    expected = lines(capsys, "classify", "classify.cfg", "classify.weights", *images,
                     "-names", "classify.names")  # fmt: skip
    assert len(expected) == 6
    assert lines(capsys, "classify", model, *images) == expected
    assert lines(capsys, "classifier", "predict", model, *images) == expected
    predict = ["classifier", "predict", "classify.data"]
    assert lines(capsys, *predict, model, *images) == expected
    assert len(lines(capsys, *predict, model, "0.png")) == 2  # the .data file's top


@pytest.mark.parametrize(
    "model", ["detect.onnx", "detect_boxes.onnx", "detect_nms.onnx", "detect.safetensors"]
)
def test_detect_prints_the_same_lines(files, capsys, monkeypatch, model):
    monkeypatch.chdir(files)
    images = ["0.png", "1.png", "2.png", "-ext_output"]
    expected = lines(capsys, "detect", "detect.cfg", "detect.weights", *images, "-names",
                     "detect.names", "-out", "expected.png")  # fmt: skip
    assert expected
    assert lines(capsys, "detect", model, *images, "-out", "actual.png") == expected
    assert (files / "actual.png").read_bytes() == (files / "expected.png").read_bytes()
    assert lines(capsys, "detector", "test", model, *images) == expected
    assert lines(capsys, "detector", "test", "detect.data", model, *images) == expected
    options = ["-thresh", ".6"]
    higher = lines(capsys, "detect", "detect.cfg", "detect.weights", *images, *options, "-names",
                   "detect.names")  # fmt: skip
    assert len(higher) < len(expected)
    assert lines(capsys, "detect", model, *images, *options) == higher
    if "nms" not in model:
        options = ["-thresh", ".3", "-nms", "0", "-letter_box"]
        more = lines(capsys, "detect", "detect.cfg", "detect.weights", *images, *options,
                     "-names", "detect.names")  # fmt: skip
        assert len(more) > len(expected)
        assert lines(capsys, "detect", model, *images, *options) == more


def test_json_of_a_converted_model_is_the_same(files, capsys, monkeypatch):
    monkeypatch.chdir(files)
    for out, model in (("a.json", ["detect.cfg", "detect.weights", "-names", "detect.names"]),
                       ("b.json", ["detect_boxes.onnx"])):  # fmt: skip
        lines(capsys, "detect", *model, "0.png", "1.png", "-out", out)
    a, b = ((files / name).read_text() for name in ("a.json", "b.json"))
    assert a.count("class_id") == b.count("class_id") > 0


@pytest.mark.parametrize(
    "words, message",
    [
        ("detect no.onnx 0.png", "no.onnx: cannot be opened: No such file or directory"),
        ("detect empty.onnx 0.png", "empty.onnx: is empty"),
        ("detect classify.onnx 0.png", "classify.onnx: holds no network that finds objects"),
        ("classify detect.onnx 0.png", "detect.onnx: holds no network that classifies pictures"),
        ("detect detect.onnx 0.png -dialect alexeyab",
         "detect.onnx: was converted in dialect pjreddie, not alexeyab"),
        ("detect detect.onnx 0.png -half",
         "detect.onnx: -half is for cfg and weights: convert them with -half"),
        ("detect detect_nms.onnx 0.png -thresh .1",
         "detect_nms.onnx: has the threshold 0.5 built in (--head nms); a model of --head boxes "
         "takes lower ones"),
        ("detect detect_nms.onnx 0.png -nms .3",
         "detect_nms.onnx: has the overlap 0.45 built in (--head nms); a model of --head boxes "
         "takes others"),
        ("detect detect.onnx 0.png -thresh 2", "thresh must be from 0 to 1, got 2.0"),
        ("detect foreign.onnx 0.png",
         "foreign.onnx: carries no metadata of darknet-py: was it made by darknet-py convert?"),
    ],
)  # fmt: skip
def test_errors_are_one_line(files, capsys, monkeypatch, words, message):
    monkeypatch.chdir(files)
    (files / "empty.onnx").touch()
    if "foreign" in words:
        import onnx

        model = onnx.load(files / "detect.onnx")
        del model.metadata_props[:]
        onnx.save(model, files / "foreign.onnx")
    assert main([*words.split(), "-quiet"]) == 1
    assert capsys.readouterr().err == f"darknet-py: {message}\n"


def test_a_broken_file_is_named(files):
    (files / "broken.onnx").write_bytes((files / "detect.onnx").read_bytes()[:1000])
    with pytest.raises(DarknetError, match=r"broken\.onnx: onnxruntime does not take it: [^\n]+$"):
        open_model(files / "broken.onnx")
    with pytest.raises(DarknetError, match=r"^a\.pt: models that run here end in \.onnx or \.xml$"):
        open_model("a.pt")


def test_the_size_may_be_chosen_where_it_is_open(tmp_path):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    network = build(BODIES["yolo"], (3, 16, 24), "pjreddie")
    path = tmp_path / "a.onnx"
    options = Options(dynamic_size=True, verify=False)
    convert_network(network, "onnx", path, names=NAMES[:2], options=options)
    settings = {"thresh": 0.2, "letterbox": False}
    actual = ModelDetector.load(path, size=(32, 40), **settings).detect(pictures())
    network.resize(40, 32)
    expected = Detector(network, NAMES[:2], **settings).detect(pictures())
    for a, b in zip(actual, expected, strict=True):
        same(a, b)
    fixed = TorchModel(network, names=NAMES[:2])
    message = (
        "net.onnx: takes pictures of 32 x 40 only (--dynamic-size makes models that take others), "
        "not of 24 x 16"
    )
    with pytest.raises(DarknetError) as caught:
        ModelDetector(fixed, size=(24, 16))
    assert str(caught.value) == message


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("torch is not to be had")
sys.meta_path.insert(0, Blocker())
from darknet_py.cli import main
status = main(sys.argv[1:])
assert "torch" not in sys.modules
sys.exit(status)
"""


@pytest.mark.parametrize(
    "words",
    ["classify classify.onnx 0.png", "detect detect.onnx 0.png", "detect detect_boxes.onnx 0.png",
     "detect detect_nms.onnx 0.png"],
)  # fmt: skip
def test_no_torch_is_loaded(files, words):
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, *words.split()],
        capture_output=True, text=True, check=False, cwd=files, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not MODELS.is_dir(), reason="needs the trained models")
@pytest.mark.parametrize(
    "name", ["tiny", "MobileNetV2-YOLO-Fastest-voc", "yolo-fastest-1.1", "yoloface-500k-v2"]
)
@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_trained_models_print_the_same_lines(name, dialect, tmp_path, capsys, monkeypatch):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    base = MODELS / name / name
    model = [f"{base}.cfg", f"{base}.weights"]
    rest = ["-names", f"{base}.names", "-dialect", dialect]
    command = "classify" if name == "tiny" else "detect"
    images = sorted(map(str, PICTURES.glob("*.jpg")))
    assert len(images) == 6
    words = ["convert", *model, "-to", "onnx", "-out", "a.onnx", *rest, "-no-verify"]
    assert main(words) == 0
    capsys.readouterr()
    expected = lines(capsys, command, *model, *images, *rest)
    found = lines(capsys, command, "a.onnx", *images)
    if name == "tiny" and dialect == "alexeyab":  # prints six digits: the last ones may differ
        expected, found = ([parted(line) for line in part] for part in (expected, found))
        assert [words for words, _ in found] == [words for words, _ in expected]
        numbers, right = ([number for _, number in part] for part in (found, expected))
        assert numbers == pytest.approx(right, rel=0, abs=1e-5)
    else:
        assert found == expected


def test_loading_prints_one_line(files, capsys, monkeypatch):
    monkeypatch.chdir(files)
    assert main(["classify", "classify.onnx", "0.png"]) == 0
    assert capsys.readouterr().err.splitlines()[0] == "Loading classify.onnx...Done!"
    network = build(SMALL, (3, 16, 24), "pjreddie")
    load_weights(network, "classify.weights")
    best = Classifier(network, list("abcde")).classify("0.png", 2)
    found = ModelClassifier.load("classify.onnx").classify("0.png", 2)
    assert [a.name for a in found] == [a.name for a in best]

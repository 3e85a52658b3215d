import importlib.util
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import ROOT, build

from darknet_py import Classifier, Detector, save_weights
from darknet_py.backends import Source, choice, converted, store
from darknet_py.cache import CACHE
from darknet_py.cli import main
from darknet_py.errors import DarknetError, DarknetWarning, WeightsError, WriteError
from darknet_py.image import save_image

NEEDED = {
    "onnxruntime": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("onnx", "onnxscript", "openvino", "nncf"),
}
FIND = """[convolutional]
filters=14
size=3
stride=2
pad=1
activation=leaky
batch_normalize=1

[convolutional]
filters=14
activation=linear

[yolo]
mask=0,1
anchors=10,14, 23,27
classes=2
num=2
"""
SCORE = """[convolutional]
filters=5
size=3
stride=2
pad=1
activation=leaky

[avgpool]

[softmax]
"""


def installed(backend):
    return all(importlib.util.find_spec(name) is not None for name in NEEDED[backend])


LIBRARIES = [
    pytest.param(
        name, marks=pytest.mark.skipif(not installed(name), reason=f"{name} is not installed")
    )
    for name in NEEDED
]
needs_onnxruntime = pytest.mark.skipif(
    not installed("onnxruntime"), reason="onnxruntime is not installed"
)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two networks, and pictures, in the working directory; a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    for name, body in (("find", FIND), ("score", SCORE)):
        network = build(body, (3, 32, 48), "pjreddie")
        save_weights(network, f"{name}.weights")
        text = "[net]\nchannels=3\nheight=32\nwidth=48\n\n"
        (tmp_path / f"{name}.cfg").write_text(text + body)
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(4):
        pixels = random.integers(0, 255, (40 + number, 60, 3)).astype(np.uint8)
        save_image(pixels, folder / f"{number}.png")
    return tmp_path


def run(line):
    """A command in a process of its own: its output, and whether it imported torch."""
    code = (
        "import sys; from darknet_py.cli import main; status = main(sys.argv[1:]); "
        "print('torch' in sys.modules, status)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *line.split()]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    *lines, last = done.stdout.splitlines()
    return lines, last.split(), done.stderr


@pytest.mark.parametrize("backend", LIBRARIES)
def test_answers_are_those_of_torch(files, backend):
    pictures = sorted(str(path) for path in (files / "pictures").iterdir())
    options = {"names": ["a", "b"], "thresh": 0.1, "letterbox": False}
    ours = Detector.load("find.cfg", "find.weights", **options)
    theirs = Detector.load("find.cfg", "find.weights", backend=backend, **options)
    for a, b in zip(ours.detect(pictures), theirs.detect(pictures), strict=True):
        assert sorted(d.name for d in a) == sorted(d.name for d in b)
        assert np.allclose([d.probability for d in a], [d.probability for d in b], atol=1e-5)
    score = Classifier.load("score.cfg", "score.weights")
    other = Classifier.load("score.cfg", "score.weights", backend=backend)
    assert np.allclose(score.predict(pictures), other.predict(pictures), atol=1e-5)


@needs_onnxruntime
def test_the_second_run_prints_the_same_and_needs_no_torch(files):
    line = "classify score.cfg score.weights pictures/1.png -backend onnxruntime"
    first, second = run(line), run(line)
    assert first[0] == second[0] != []
    assert (first[1], second[1]) == (["True", "0"], ["False", "0"])
    assert "Converting" in first[2]
    assert "Converting" not in second[2]
    plain = run("classify score.cfg score.weights pictures/1.png")
    assert plain[0] == second[0]
    kept = [line for line in second[2].splitlines() if "Predicted" not in line]
    assert kept == [line for line in plain[2].splitlines() if "Predicted" not in line]


@needs_onnxruntime
def test_each_change_makes_another_model(files):
    source = Source("find.cfg", "find.weights")
    keys = {source.key(), Source("find.cfg", "find.weights", "alexeyab").key()}
    keys.add(Source("find.cfg", "find.weights", half=True).key())
    keys.add(source.key("more"))
    (files / "find.cfg").write_text((files / "find.cfg").read_text().replace("10,14", "10,15"))
    keys.add(source.key())
    data = bytearray((files / "find.weights").read_bytes())
    data[-1] ^= 1
    (files / "find.weights").write_bytes(data)
    keys.add(source.key())
    assert len(keys) == 6


@needs_onnxruntime
@pytest.mark.parametrize("damage", ["torn", "other bytes"])
def test_a_damaged_entry_is_made_again(files, damage):
    source = Source("score.cfg", "score.weights")
    converted.open_cached(source, "onnxruntime")
    (model,) = (files / "cache/converted").glob("*/model.onnx")
    size = model.stat().st_size
    model.write_bytes(b"\0" * (size if damage == "other bytes" else size // 2))
    lines = []
    converted.open_cached(source, "onnxruntime", say=lines.append)
    assert lines[0] == "Converting score.weights for onnxruntime, once ..."
    assert model.stat().st_size == size


def test_of_several_that_make_an_entry_one_does(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path))
    made = []

    def write(folder):
        made.append(folder)
        (folder / "model").write_text("x")
        return {"by": len(made)}

    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda _: store.make_entry("key", write), range(8)))
    assert len(made) == 1
    assert {about["by"] for _, about in entries} == {1}
    assert sorted(p.name for p in (tmp_path / "converted").iterdir()) == ["key", "key.lock"]


def test_what_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path))

    def write(folder):
        (folder / "model").write_text("half of it")
        raise DarknetError("no room")

    with pytest.raises(DarknetError, match=r"^no room$"):
        store.make_entry("key", write)
    assert store.find_entry("key") is None
    assert [p.name for p in (tmp_path / "converted").iterdir()] == ["key.lock"]


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    message = "cannot be written .*: nothing is kept there$"
    with pytest.warns(DarknetWarning, match=message):
        folder, about = store.make_entry("key", lambda folder: {"a": 1})
    assert about == {"a": 1, "sizes": {}}
    assert folder.is_dir()


@pytest.mark.parametrize("kind", [OSError, WriteError])
def test_a_full_disk_is_done_without(kind, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path))

    def write(folder):
        (folder / "model").write_text("half of it")
        if folder.is_relative_to(tmp_path):
            raise (
                OSError(28, "No space left")
                if kind is OSError
                else WriteError("a", "No space left")
            )
        return {"a": 1}

    message = rf"^{tmp_path}: cannot be written \(No space left\): nothing is kept there$"
    with pytest.warns(DarknetWarning, match=message):
        folder, about = store.make_entry("key", write)
    assert about == {"a": 1, "sizes": {"model": 10}}
    assert (folder / "model").is_file()
    assert [p.name for p in (tmp_path / "converted").iterdir()] == ["key.lock"]


@pytest.mark.filterwarnings("ignore::darknet_py.errors.DarknetWarning")
def test_no_room_anywhere_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path))

    def write(folder):
        raise OSError(28, "No space left")

    message = r"^the folder of temporary files: cannot be written: No space left$"
    with pytest.raises(WriteError, match=message):
        store.make_entry("key", write)


@needs_onnxruntime
def test_auto_measures_once_and_takes_the_fastest(files, monkeypatch):
    times = {"torch": 0.3, "onnxruntime": 0.1, "openvino": 0.2}

    def measured(opened):
        return {name: times[name] for name in opened}

    monkeypatch.setattr(choice, "measure", measured)
    lines = []
    source = Source("score.cfg", "score.weights")
    from darknet_py.backends import open_scorer

    first = open_scorer(source, "auto", say=lines.append)
    assert lines[-1].startswith("Fastest: onnxruntime (torch 300 ms, onnxruntime 100 ms")
    monkeypatch.setattr(choice, "measure", None)
    second = open_scorer(source, "auto", say=lines.append)
    assert type(first) is type(second)
    assert first.about is not None
    (kept,) = (files / "cache/choices").iterdir()
    assert json.loads(kept.read_text())["backend"] == "onnxruntime"


@needs_onnxruntime
def test_auto_takes_torch_unless_another_is_faster_by_more_than_a_measurement_is_off(
    files, monkeypatch
):
    from darknet_py.backends import open_scorer

    for other, best in ((0.097, "torch"), (0.09, "onnxruntime")):
        times = {"torch": 0.1, "onnxruntime": other, "openvino": 0.2}
        monkeypatch.setattr(
            choice, "measure", lambda opened, times=times: {name: times[name] for name in opened}
        )
        lines = []
        open_scorer(Source("score.cfg", "score.weights"), "auto", say=lines.append)
        assert lines[-1].startswith(f"Fastest: {best} (")
        for kept in (files / "cache/choices").iterdir():
            kept.unlink()


def test_measuring_leaves_out_what_fails():
    class Runs:
        from darknet_py.shape import Shape

        image = Shape(3, 4, 5)

        settled = False

        def run(self, inputs):
            assert inputs.shape == (1, 3, 4, 5)

        def settle(self):
            self.settled = True

    class Fails(Runs):
        def run(self, inputs):
            raise DarknetError("no")

    works = Runs()
    assert list(choice.measure({"a": works, "b": Fails()})) == ["a"]
    assert works.settled
    with pytest.raises(DarknetError, match=r"^no$"):
        choice.measure({"b": Fails()})


@pytest.mark.skipif(not installed("openvino"), reason="openvino is not installed")
@pytest.mark.filterwarnings("ignore")  # a processor without 16 bits warns
def test_half_and_int8_tell_what_they_cost(files, capsys):
    line = "detect find.cfg find.weights -quiet -thresh 0.1 -accuracy pictures"
    assert main([*line.split(), "-backend", "openvino", "-half"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "Accuracy against torch in 32 bits, 4 images:"
    assert out[1].startswith("  largest difference of an output: ")
    assert out[2].startswith("  detections kept: ")
    line = "classify score.cfg score.weights -quiet -accuracy pictures -int8 -calibration pictures"
    assert main(line.split()) == 0
    assert "  the same best class: " in capsys.readouterr().out


@needs_onnxruntime
@pytest.mark.filterwarnings("ignore")  # onnxruntime's tools
def test_onnxruntime_computes_with_8_bits(files, capsys):
    line = "classify score.cfg score.weights -backend onnxruntime -int8"
    line += " -calibration pictures -accuracy pictures"
    assert main([*line.split(), "pictures/1.png"]) == 0
    out, err = capsys.readouterr()
    assert "Converting score.weights for onnxruntime, once ..." in err
    assert "8 bits against 32 on 4 pictures: the same best class for " in err
    assert out.startswith("Accuracy against torch in 32 bits, 4 images:")
    (path,) = (files / "cache/converted").glob("*/model.onnx")
    assert b"DequantizeLinear" in path.read_bytes()
    found = Detector.load(
        "find.cfg", "find.weights", backend="onnxruntime", int8=True, calibration="pictures"
    )
    assert found.metadata.precision == "int8"
    assert len(found.detect(["pictures/1.png", "pictures/2.png"])) == 2


@pytest.mark.parametrize(
    "flags, message",
    [
        ("-int8", "int8 needs a folder of pictures to calibrate on: -calibration FOLDER"),
        ("-calibration pictures", "-calibration is for -int8"),
        ("-backend torch -int8 -calibration .", "int8 needs the backend openvino or onnxruntime"),
        (
            "-backend onnxruntime -int8 -calibration .",
            ".: this folder holds no pictures (.bmp .jpeg .jpg .pgm .png .ppm .tif .tiff .webp)",
        ),
        (
            "-backend onnxruntime -half",
            "half: onnxruntime has no 16 bits here: take openvino or torch",
        ),
    ],
)
def test_what_does_not_go_together(files, flags, message, capsys):
    line = f"detect find.cfg find.weights pictures/1.png -quiet {flags}"
    assert main(line.split()) == 1
    assert capsys.readouterr().err == f"darknet-py: {message}\n"


def test_weights_that_are_missing_are_named(files):
    with pytest.raises(WeightsError, match=r"^no.weights: cannot be opened: No such file"):
        Detector.load("find.cfg", "no.weights", backend="onnxruntime")


def test_a_folder_with_a_broken_picture(files, capsys):
    (files / "pictures/2.png").write_bytes(b"no picture")
    words = ["detect", "find.cfg", "find.weights", "pictures/*.png", "-thresh", "0.1"]
    assert main(words) == 1
    out, err = capsys.readouterr()
    answered = [line.split(":")[0] for line in out.splitlines() if "Predicted" in line]
    assert answered == ["pictures/0.png", "pictures/1.png", "pictures/3.png"]
    assert err.count("darknet-py: pictures/2.png: is no picture") == 1
    assert err.splitlines()[-1].startswith("3 images in ")
    (files / "drawn").mkdir()
    assert main([*words, "-quiet", "-out", "drawn/"]) == 1
    assert sorted(p.name for p in (files / "drawn").iterdir()) == ["0.jpg", "1.jpg", "3.jpg"]


def test_an_iterator_answers_as_it_goes(files):
    detector = Detector.load("find.cfg", "find.weights", thresh=0.1)
    pictures = sorted(str(path) for path in (files / "pictures").iterdir())
    each = detector.detect_each(iter(pictures))
    for found, picture in zip([next(each), *each], pictures, strict=True):
        alone = [d.probability for d in detector.detect(picture)]
        assert np.allclose([d.probability for d in found], alone, atol=1e-5)

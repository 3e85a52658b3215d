import ctypes as ct
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import ROOT, SHARED, assert_close, build

from darknet_py import darknet
from darknet_py.boxes import suppress
from darknet_py.cfg import format_cfg
from darknet_py.darknet import hankai, images
from darknet_py.detector import Detector
from darknet_py.errors import CfgError, DarknetError, ImageError
from darknet_py.image import letterbox, resize, to_float, to_planar
from darknet_py.weights import save_weights

BODY = (
    "[convolutional]\nfilters=14\nsize=3\nstride=8\npad=1\nactivation=linear\n"
    "[yolo]\nclasses=2\nnum=2\nanchors=10,14,23,27\n"
)
NAMES = ["cat", "dog"]
LIBRARY = Path(os.environ.get("DARKNET_PY_ALEXEYAB", "/tmp/build/aab"))
MODELS = [
    "MobileNetV2-YOLO-Fastest-voc",
    "MobileNetV2-YOLOv3-Nano-coco",
    "yolo-fastest-1.1",
    "yoloface-500k-v2",
]
PICTURES = Path("/usr/share/darknet/data")
SCRIPT = Path(__file__).with_name("darknet_images_script.py")
needs_models = pytest.mark.skipif(
    not ((SHARED / "models").is_dir() and PICTURES.is_dir()),
    reason="needs the shared models and Debian's pictures",
)
needs_library = pytest.mark.skipif(
    not (LIBRARY / "libdarknet.so").is_file(),
    reason="needs AlexeyAB's compiled library (DARKNET_PY_ALEXEYAB)",
)


@pytest.fixture
def files(tmp_path):
    """A small detector: its .cfg, .data and .weights, and a PNG beside them."""
    network = build(BODY, (3, 48, 64), "alexeyab")
    with torch.no_grad():
        network[0].weights *= 0.1
    (tmp_path / "net.cfg").write_text(format_cfg(network.sections))
    (tmp_path / "net.names").write_text("".join(f"{name}\n" for name in NAMES))
    (tmp_path / "net.data").write_text(f"classes=2\nnames={tmp_path}/net.names\n")
    save_weights(network, tmp_path / "net.weights")
    pixels = np.random.default_rng(5).integers(0, 256, (37, 53, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), pixels)
    return [str(tmp_path / f"net.{kind}") for kind in ("cfg", "data", "weights")]


@pytest.fixture
def loaded(files):
    return darknet.load_network(*files)


@pytest.fixture
def picture(files):
    return str(Path(files[0]).with_name("noise.png"))


def test_load_network_gives_the_network_names_and_colors(files):
    random.seed(3)
    network, names, colors = darknet.load_network(*files, batch_size=2)
    random.seed(3)
    assert names == NAMES
    assert colors == {name: tuple(random.randint(0, 255) for _ in range(3)) for name in NAMES}
    assert (darknet.network_width(network), darknet.network_height(network)) == (64, 48)
    assert network.get().dialect.name == "alexeyab"


def test_paths_may_be_bytes(files):
    network, names, _ = darknet.load_network(*(name.encode() for name in files))
    assert darknet.network_width(network) == 64
    assert darknet.load_meta(files[1].encode()).names == [b"cat", b"dog"]
    assert names == NAMES


def test_detect_image_is_the_detector_in_pixels(loaded, files, picture):
    network, names, _ = loaded
    im = darknet.load_image(picture.encode(), 0, 0)
    assert (im.w, im.h, im.c) == (53, 37, 3)
    found = darknet.detect_image(network, names, im, thresh=0.3, nms=0.45)
    detector = Detector.load(files[0], files[2], names, dialect="alexeyab", thresh=0.3)
    expected = detector.detect(picture)
    assert len(found) == len(expected) > 3
    assert [text for _, text, _ in found] == sorted(text for _, text, _ in found)
    expected = {(d.name, str(round(d.probability * 100, 2))): d.box for d in expected}
    for name, text, (x, y, w, h) in found:
        box = expected[name, text]
        assert_close(
            np.array([x, y, w, h], np.float32),
            np.array([box.x * 53, box.y * 37, box.width * 53, box.height * 37], np.float32),
        )


def test_the_single_calls_give_what_detect_image_gives(loaded, picture):
    network, names, _ = loaded
    im = darknet.load_image(picture, 0, 0)
    darknet.predict_image(network, im)
    number = ct.pointer(ct.c_int(0))
    dets = darknet.get_network_boxes(network, im.w, im.h, 0.3, 0.5, None, 0, number, 0)
    assert number[0] == len(dets)
    assert {d.classes for d in dets} == {2}
    assert all(d.prob[d.best_class_idx] == max(d.prob) for d in dets if d.best_class_idx >= 0)
    darknet.do_nms_sort(dets, number[0], len(names), 0.45)
    found = darknet.decode_detection(darknet.remove_negatives(dets, names, number[0]))
    expected = darknet.detect_image(network, names, im, thresh=0.3)
    assert sorted(found, key=lambda d: d[1]) == expected
    darknet.free_detections(dets, number[0])
    assert not dets


def test_without_nms_all_boxes_stay(loaded, picture):
    network, names, _ = loaded
    im = darknet.load_image(picture)
    every = darknet.detect_image(network, names, im, thresh=0.3, nms=0)
    assert len(every) > len(darknet.detect_image(network, names, im, thresh=0.3))
    few = darknet.detect_image(network, names[:1], im, thresh=0.3, nms=0)
    assert few == [d for d in every if d[0] == "cat"]


@pytest.mark.parametrize("give", [lambda n: n, ct.byref, ct.pointer])
def test_the_number_of_boxes_is_stored(loaded, picture, give):
    network, *_ = loaded
    darknet.predict_image(network, darknet.load_image(picture))
    number = ct.c_int(0)
    dets = darknet.get_network_boxes(network, 53, 37, 0.3, 0.5, None, 0, give(number))
    assert number.value == len(dets) > 0


def test_do_nms_obj_suppresses_by_objectness():
    boxes = [(10, 10, 8, 8, 0.5), (11, 10, 8, 8, 0.9), (40, 10, 8, 8, 0.7)]
    dets = [
        darknet.DETECTION(
            darknet.BOX(*box), 2, 0, darknet.c_array(ct.c_float, [o, 0.1]), objectness=o
        )
        for *box, o in boxes
    ]
    darknet.do_nms_obj(dets, 3, 2, 0.45)
    assert [round(d.objectness, 3) for d in dets] == [0.9, 0.7, 0]
    assert list(dets[2].prob) == [0, 0]
    assert [d[0] for d in darknet.remove_negatives_faster(dets, NAMES, 3)] == ["cat"] * 3
    assert len(darknet.remove_negatives(dets, NAMES, 3)) == 4


def test_do_nms_sort_is_plain_iou_whatever_the_cfg_says(loaded, picture):
    network, *_ = loaded
    im = darknet.load_image(picture)
    darknet.predict_image(network, im)
    found = darknet.detections.find_boxes(network, 0, (im.w, im.h), 0.3, 0.5, letter=0)
    dets = darknet.get_network_boxes(network, im.w, im.h, 0.3, 0.5)
    darknet.do_nms_sort(dets, len(dets), 2, 0.45)
    expected = suppress(found, 0.45)
    assert [list(d.prob) for d in dets] == expected.scores.tolist()


def test_images_hold_what_c_holds(picture):
    pixels = cv2.imread(picture)[..., ::-1]
    im = darknet.load_image(picture, 20, 10)
    assert_close(im.pixels()[None], to_planar(resize(to_float(pixels), 20, 10)))
    boxed = darknet.letterbox_image(darknet.load_image(picture), 20, 30)
    assert_close(boxed.pixels()[None], to_planar(letterbox(to_float(pixels), 20, 30)))
    black = darknet.make_image(53, 37, 3)
    assert len(black.data) == 53 * 37 * 3
    darknet.copy_image_from_bytes(black, pixels.tobytes())
    assert black.data[1] == np.float32(pixels[0, 1, 0]) / np.float32(255)
    darknet.rgbgr_image(black)
    assert_close(black.pixels()[::-1].copy(), to_planar(to_float(pixels))[0])


def test_predict_takes_what_ctypes_scripts_give(loaded, picture):
    network, *_ = loaded
    im = darknet.load_image(picture, 64, 48)
    expected = list(darknet.predict_image(network, im))
    values = np.array(im.data, np.float32)
    pointer = values.ctypes.data_as(darknet.POINTER(darknet.c_float))
    for data in (values, pointer, im.data, list(im.data)):
        assert list(darknet.predict(network, data)) == expected
        assert list(darknet.predict_image(network, darknet.IMAGE(64, 48, 3, data))) == expected


def test_predict_image_leaves_a_batch_of_one(files, picture):
    network, *_ = darknet.load_network(*files, batch_size=2)
    im = darknet.load_image(picture, 64, 48)
    two = list(im.data) * 2
    assert len(darknet.predict(network, two)) == 2 * len(darknet.predict_image(network, im))
    assert len(darknet.predict(network, two)) == len(darknet.predict_image(network, im))


def test_batch_detection_is_each_picture_alone(files, picture):
    network, names, colors = darknet.load_network(*files, batch_size=3)
    pixels = cv2.imread(picture)
    several = [pixels.copy(), pixels[::-1].copy(), pixels[:, ::-1].copy()]
    _, single = images.batch_detection(network, [several[1].copy()], names, colors)
    drawn, found = darknet.batch_detection(network, list(several), names, colors, batch_size=3)
    assert len(drawn) == len(found) == 3
    assert [d[0] for d in found[1]] == [d[0] for d in single[0]]
    for (_, p, box), (_, q, other) in zip(found[1], single[0], strict=True):
        assert_close(np.array([p, *box], np.float32), np.array([q, *other], np.float32))
    with pytest.raises(ValueError, match="higher than"):
        darknet.batch_detection(network, several, names, colors, batch_size=2)
    with pytest.raises(ValueError, match="same shape"):
        darknet.batch_detection(network, [pixels, pixels[1:]], names, colors)


def test_batches_through_the_pointer_of_darknet_images(files, picture):
    network, *_ = darknet.load_network(*files, batch_size=2)
    values = darknet.prepare_batch([cv2.imread(picture), cv2.imread(picture)[::-1]], network)
    pointer = values.ctypes.data_as(darknet.POINTER(darknet.c_float))
    im = darknet.IMAGE(53, 37, 3, pointer)
    pairs = darknet.network_predict_batch(network, im, 2, 53, 37, 0.3, 0.5, None, 0, 0)
    assert [pair.num for pair in pairs] == [len(pair.dets) for pair in pairs]
    assert all(pair.num for pair in pairs)
    darknet.free_batch_detections(pairs, 2)


def test_image_detection_draws_and_saves_labels(loaded, picture):
    network, names, colors = loaded
    drawn, found = darknet.image_detection(picture, network, names, colors, 0.3)
    assert drawn.shape == (48, 64, 3)
    assert found
    darknet.save_annotations(picture, drawn, found, names)
    lines = Path(picture).with_suffix(".txt").read_text().splitlines()
    name, confidence, (x, *_) = found[0]
    assert lines[0].split()[:2] == [str(names.index(name)), f"{x / 64:.4f}"]
    assert lines[0].split()[5] == f"{float(confidence):.4f}"


def test_image_classification_sorts_the_classes(tmp_path, picture):
    network = build("[avgpool]\n[connected]\noutput=2\nactivation=logistic\n[softmax]", (3, 8, 9))
    (tmp_path / "c.cfg").write_text(format_cfg(network.sections))
    save_weights(network, tmp_path / "c.weights")
    net = darknet.load_net(str(tmp_path / "c.cfg").encode(), str(tmp_path / "c.weights").encode())
    found = darknet.image_classification(cv2.imread(picture), net, NAMES)
    assert found[0][1] > found[1][1]
    assert sum(p for _, p in found) == pytest.approx(1)
    meta = darknet.METADATA(2, [b"cat", b"dog"])
    assert [name for name, _ in darknet.classify(net, meta, darknet.load_image(picture))]


def test_pjreddies_script_runs(files, picture):
    net = darknet.load_net(files[0].encode(), files[2].encode(), 0, dialect="pjreddie")
    meta = darknet.load_meta(files[1].encode())
    found = darknet.detect(net, meta, picture.encode(), thresh=0.3, nms=0)
    detector = Detector.load(files[0], files[2], NAMES, dialect="pjreddie", thresh=0.3, nms=0)
    expected = detector.detect(picture)
    assert len(found) == len(expected) > 3
    assert_close(np.array([p for _, p, _ in found]), np.array([d.probability for d in expected]))
    assert_close(
        np.array([[x / 53, y / 37, w / 53, h / 37] for _, _, (x, y, w, h) in found]),
        np.array([[d.box.x, d.box.y, d.box.width, d.box.height] for d in expected]),
    )


def test_hankais_load_network_gives_the_network_alone(files, picture):
    network = hankai.load_network(*files)
    assert hankai.network_dimensions(network) == (64, 48, 3)
    assert hankai.class_colors(["person"]) == {"person": (0x8B, 0x0A, 0x44)}
    grey = hankai.load_image(picture, 20, 10, 1)
    assert (grey.w, grey.h, grey.c) == (20, 10, 1)
    im = hankai.load_image(picture, 0, 0, 3)
    assert hankai.detect_image(network, NAMES, im, thresh=0.3)


def test_the_text_of_print_detections(capsys):
    found = [("cat", "61.5", (10.4, 20.6, 5.0, 6.0)), ("dog", "7.0", (1.0, 2.0, 3.0, 4.0))]
    darknet.print_detections(found)
    assert capsys.readouterr().out == "\nObjects:\ncat: 61.5%\ndog: 7.0%\n"
    darknet.print_detections(found[:1], True)
    assert capsys.readouterr().out == (
        "\nObjects:\ncat: 61.5%    (left_x: 10   top_y:  21   width:   5   height:  6)\n"
    )


def test_coordinates():
    picture = np.zeros((200, 400, 3), np.uint8)
    assert darknet.bbox2points((10.5, 20, 5, 6.9)) == (8, 17, 13, 23)
    assert darknet.convert2relative(picture, (100, 50, 40, 20)) == (0.25, 0.25, 0.1, 0.1)
    assert darknet.convert2relative((100, 50, 40, 20), 200, 400) == (0.25, 0.25, 0.1, 0.1)
    assert darknet.convert2original(picture, (16, 8, 4, 8), 32, 64) == (100, 50, 25, 50)
    assert darknet.convert4cropping(picture, (0, 30, 4, 8), 32, 64) == (0, 162, 12, 199)


def test_non_max_suppression_fast_keeps_the_lower_of_two():
    boxes = [("a", "9", (10, 10, 8, 8)), ("b", "8", (10, 11, 8, 8)), ("c", "7", (50, 5, 8, 8))]
    assert [d[0] for d in darknet.non_max_suppression_fast(boxes, 0.4)] == ["b", "c"]
    assert darknet.non_max_suppression_fast([], 0.4) == []


def test_errors_are_one_line(loaded, files, picture, tmp_path):
    network, *_ = loaded
    with pytest.raises(DarknetError, match=r"^there are no boxes before a prediction: call "):
        darknet.get_network_boxes(network, 5, 5, 0.5, 0.5)
    im = darknet.make_image(4, 3, 3)
    with pytest.raises(DarknetError, match=r"^an image of 4 x 3 x 3 needs 36 bytes, got 35$"):
        darknet.copy_image_from_bytes(im, bytes(35))
    darknet.free_image(im)
    with pytest.raises(DarknetError, match=r"^36 values are needed, got none: the image was freed"):
        darknet.predict_image(network, im)
    with pytest.raises(DarknetError, match=r"^the network takes 3 channels, the image has 1$"):
        darknet.predict_image(network, darknet.make_image(4, 3, 1))
    with pytest.raises(DarknetError, match=r"^9216 values are needed, got 2$"):
        darknet.predict(network, np.zeros(2, np.float32))
    with pytest.raises(ImageError, match=r"cannot be opened"):
        darknet.load_image(str(tmp_path / "none.jpg"))
    (tmp_path / "empty.data").write_text("classes=2\n")
    with pytest.raises(CfgError, match=r"empty\.data: has no line names=\.\.\.$"):
        darknet.load_meta(str(tmp_path / "empty.data"))
    darknet.free_network_ptr(network)
    with pytest.raises(DarknetError, match=r"^the network was freed by free_network_ptr$"):
        darknet.network_width(network)


def test_names_that_are_missing_are_numbers(tmp_path):
    (tmp_path / "n.names").write_text("cat\n")
    (tmp_path / "n.data").write_text("classes=3\nlabels=n.names\n")
    assert darknet.load_meta(tmp_path / "n.data").names == [b"cat", b"1", b"2"]
    (tmp_path / "n.data").write_text("labels=n.names\n")
    assert darknet.load_meta(tmp_path / "n.data").classes == 2


CALLS = """
import gc, json, os, sys
from darknet_py import darknet

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def call():
    im = darknet.make_image(53, 37, 3)
    darknet.copy_image_from_bytes(im, pixels)
    found = darknet.detect_image(network, names, im, thresh=0.3)
    dets = darknet.get_network_boxes(network, 53, 37, 0.3, 0.5)
    darknet.do_nms_sort(dets, len(dets), 2, 0.45)
    darknet.free_detections(dets, len(dets))
    darknet.free_image(im)
    return found

network, names, _ = darknet.load_network(*sys.argv[2:])
pixels = bytes(i * 7 % 256 for i in range(53 * 37 * 3))
expected = [call() for _ in range(100)][0]
gc.collect()
sizes, objects = [resident()], len(gc.get_objects())
for _ in range(5):
    for _ in range(int(sys.argv[1]) // 5):
        found = call()
    gc.collect()
    sizes.append(resident())
print(json.dumps([sizes, len(gc.get_objects()) - objects, found == expected, len(found)]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    "calls", [500, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.golden])]
)
def test_memory_does_not_grow(files, calls, tmp_path):
    """In a process of its own: what tests before freed would hide a leak, or settle meanwhile."""
    done = run_python("-c", CALLS, str(calls), *files, cwd=tmp_path)
    sizes, objects, is_same, count = json.loads(done)
    assert is_same and count > 3
    assert objects < 100
    # A leak goes on from fifth to fifth; the heap's own growth ends after some hundred calls.
    assert np.median(np.diff(sizes)) < (2 << 20) / 5


@pytest.fixture(scope="module")
def lossless(tmp_path_factory):
    """PNGs, which every decoder reads alike, and a .data file for each model."""
    folder = tmp_path_factory.mktemp("lossless")
    for path in sorted(PICTURES.glob("*.jpg")):
        cv2.imwrite(str(folder / f"{path.stem}.png"), cv2.imread(str(path)))
    for model in MODELS:
        names = SHARED / "models" / model / f"{model}.names"
        count = len(names.read_text().splitlines())
        (folder / f"{model}.data").write_text(f"classes={count}\nnames={names}\n")
    return folder


def model_files(model, folder):
    stem = SHARED / "models" / model / model
    return [f"{stem}.cfg", str(folder / f"{model}.data"), f"{stem}.weights"]


RUN = """
import json, sys
folder, files, pictures = json.loads(sys.argv[1])
sys.path.insert(0, folder)
import darknet
network, names, _ = darknet.load_network(*files)
for path in pictures:
    im = darknet.load_image(path.encode(), 0, 0)
    print("FOUND" + json.dumps(darknet.detect_image(network, names, im, thresh=.25)))
"""


@needs_models
@needs_library
@pytest.mark.parametrize("model", MODELS)
def test_detect_image_finds_what_the_compiled_library_finds(model, lossless):
    files = model_files(model, lossless)
    pictures = [str(path) for path in sorted(lossless.glob("*.png"))]
    arguments = json.dumps([str(LIBRARY), files, pictures])
    done = run_python("-c", RUN, arguments, cwd=LIBRARY)
    theirs = [json.loads(line) for line in re.findall(r"FOUND(.*)", done)]
    network, names, _ = darknet.load_network(*files)
    count = 0
    for path, expected in zip(pictures, theirs, strict=True):
        found = darknet.detect_image(network, names, darknet.load_image(path), thresh=0.25)
        assert_same(found, expected)
        count += len(found)
    assert count or model.startswith("yoloface")


def assert_same(found, expected):
    """Equal tuples, but for a hundredth of a percent and a thousandth of a pixel."""
    assert [name for name, _, _ in found] == [name for name, _, _ in expected]
    for (_, ours, box), (_, theirs, other) in zip(found, expected, strict=True):
        assert abs(float(ours) - float(theirs)) < 0.011
        assert box == pytest.approx(other, abs=1e-3)


@needs_models
@needs_library
@pytest.mark.parametrize("flags", [[], ["--ext_output", "--batch_size", "2"]])
def test_a_script_prints_the_same_with_either_library(lossless, flags):
    cfg, data, weights = model_files("yolo-fastest-1.1", lossless)
    listed = lossless / "listed.txt"
    listed.write_text("".join(f"{path}\n" for path in sorted(lossless.glob("*.png"))))
    arguments = ["--config_file", cfg, "--data_file", data, "--weights", weights]
    arguments += ["--input", str(listed), "--thresh", ".3", "--dont_show", *flags]
    ours = run_python(str(SCRIPT), *arguments, cwd=lossless)
    theirs = run_python(str(SCRIPT), *arguments, cwd=lossless, DARKNET_LIBRARY=str(LIBRARY))
    theirs = theirs[theirs.index("\nObjects:") :]  # C prints its layers first
    numbers = re.compile(r"(?<=: )\d+\.\d+(?=%)")
    assert numbers.sub("", ours) == numbers.sub("", theirs)
    for a, b in zip(numbers.findall(ours), numbers.findall(theirs), strict=True):
        assert abs(float(a) - float(b)) < 0.011


@needs_models
def test_a_script_runs_without_a_library(lossless):
    cfg, data, weights = model_files("yolo-fastest-1.1", lossless)
    picture = lossless / "dog.png"
    arguments = ["--config_file", cfg, "--data_file", data, "--weights", weights]
    arguments += ["--input", str(picture), "--dont_show", "--save_labels"]
    text = run_python(str(SCRIPT), *arguments, cwd=lossless)
    assert re.search(r"^dog: \d+\.\d+%$", text, re.M)
    assert len(picture.with_suffix(".txt").read_text().splitlines()) == text.count("%")


STUBBED = """
import runpy, sys
from darknet_py import darknet
sys.modules["darknet"] = darknet
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@needs_models
@needs_library
def test_alexeyabs_own_script_runs_unchanged(lossless):
    """`darknet_images.py` as it is, with our module in place of its `darknet`."""
    cfg, data, weights = model_files("yolo-fastest-1.1", lossless)
    arguments = ["--config_file", cfg, "--data_file", data, "--weights", weights]
    arguments += ["--input", str(lossless / "dog.png"), "--dont_show", "--ext_output"]
    script = str(LIBRARY / "darknet_images.py")
    ours = run_python("-c", STUBBED, script, *arguments, cwd=lossless)
    theirs = run_python(script, *arguments, cwd=lossless)
    drop = re.compile(r"FPS: \d+")
    theirs = theirs[theirs.index("\nObjects:") :]
    assert drop.sub("", ours) == drop.sub("", theirs)
    assert "dog: " in ours


def run_python(*arguments, cwd, **environment):
    """What a Python program prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    assert not done.returncode, done.stderr
    return done.stdout

import json

import numpy as np
import pytest
import torch
from helpers import build

from darknet_py.boxes import Detections
from darknet_py.cfg import format_cfg
from darknet_py.detector import Detector
from darknet_py.errors import CfgError, DarknetError, DarknetWarning, ImageError, WeightsError
from darknet_py.image import save_image
from darknet_py.results import (
    Box,
    Detection,
    format_json,
    format_json_file,
    format_labels,
    list_detections,
)
from darknet_py.weights import save_weights

BODY = (
    "[convolutional]\nfilters=14\nsize=3\nstride=8\npad=1\nactivation=linear\n"
    "[yolo]\nclasses=2\nnum=2\nanchors=10,14,23,27\n"
)
SHAPE = (3, 48, 64)
NAMES = ["cat", "dog"]


@pytest.fixture
def network():
    network = build(BODY, SHAPE, "pjreddie")
    with torch.no_grad():
        network[0].weights *= 0.1
    return network


@pytest.fixture
def pictures():
    random = np.random.default_rng(0)
    return [random.integers(0, 256, size, np.uint8) for size in ((60, 50, 3), (40, 90, 3))]


def test_finds_in_a_file_an_array_and_a_list(network, pictures, tmp_path):
    detector = Detector(network, NAMES, thresh=0.3)
    save_image(pictures[0], tmp_path / "0.png")
    alone = [detector.detect(picture) for picture in pictures]
    assert detector.detect(tmp_path / "0.png") == alone[0]
    assert detector.detect(str(tmp_path / "0.png")) == alone[0]
    together = detector.detect(pictures)
    for one, other in zip(alone, together, strict=True):
        assert [d.class_id for d in one] == [d.class_id for d in other]
        np.testing.assert_allclose(
            [d.probability for d in one], [d.probability for d in other], atol=1e-6
        )
    assert detector.detect([]) == []


def test_results(network, pictures):
    found = Detector(network, NAMES, thresh=0.3).detect(pictures[1])
    probabilities = [d.probability for d in found]
    assert len(found) > 2
    assert probabilities == sorted(probabilities, reverse=True)
    assert min(probabilities) > 0.3
    for d in found:
        assert d.name == NAMES[d.class_id]
        assert d.objectness >= d.probability
        left, top, right, bottom = d.corners
        assert (left + right) / 2 / 90 == pytest.approx(d.box.x, abs=1e-5)
        assert (top + bottom) / 2 / 40 == pytest.approx(d.box.y, abs=1e-5)
        assert (right - left) / 90 == pytest.approx(d.box.width, abs=1e-5)
        assert (bottom - top) / 40 == pytest.approx(d.box.height, abs=1e-5)


def test_letterbox_maps_boxes_back(network, pictures):
    detector = Detector(network, letterbox=True, thresh=0.3)
    outputs = [output[0] for output in detector.run(detector.prepare(pictures[1]))]
    found = detector.boxes(outputs, (40, 90))
    detector.letterbox = False
    raw = detector.boxes(outputs, (40, 90))
    used = 64 * 40 // 90  # rows of the 48 that the picture takes
    y = (raw.boxes[:, 1] * 48 - (48 - used) / 2) / used
    np.testing.assert_allclose(found.boxes[:, 1], y, rtol=1e-5)
    np.testing.assert_allclose(found.boxes[:, 3], raw.boxes[:, 3] * 48 / used, rtol=1e-5)
    np.testing.assert_allclose(found.boxes[:, ::2], raw.boxes[:, ::2], rtol=1e-5)


def test_no_suppression_with_nms_0(network, pictures):
    every = Detector(network, thresh=0.3, nms=0).detect(pictures[0])
    assert len(Detector(network, thresh=0.3, nms=0.1).detect(pictures[0])) < len(every)


@pytest.mark.parametrize(
    "dialect, extra, thresh, letterbox",
    [
        ("pjreddie", "", 0.5, True),
        ("alexeyab", "", 0.24, False),
        ("alexeyab", "letter_box=1\n", 0.24, True),
    ],
)
def test_defaults_are_those_of_the_dialect(dialect, extra, thresh, letterbox, tmp_path):
    (tmp_path / "x.cfg").write_text(f"[net]\nwidth=64\nheight=48\nchannels=3\n{extra}{BODY}")
    save_weights(build(BODY, SHAPE), tmp_path / "x.weights")
    detector = Detector.load(tmp_path / "x.cfg", tmp_path / "x.weights", dialect=dialect)
    assert (detector.thresh, detector.letterbox, detector.nms) == (thresh, letterbox, 0.45)
    assert detector.names == ["0", "1"]


def test_loads_files(network, pictures, tmp_path):
    (tmp_path / "x.cfg").write_text(format_cfg(network.sections))
    (tmp_path / "x.names").write_text("cat\ndog\n")
    save_weights(network, tmp_path / "x.weights")
    files = [tmp_path / f"x.{end}" for end in ("cfg", "weights", "names")]
    loaded = Detector.load(*files, dialect="pjreddie", device="cpu", thresh=0.3)
    assert loaded.names == NAMES
    assert loaded.detect(pictures) == Detector(network, NAMES, thresh=0.3).detect(pictures)
    half = Detector.load(*files, dialect="pjreddie", device="cpu", thresh=0.3, half=True)
    assert half.detect(pictures[0])


def test_the_cfg_chooses_the_suppression(pictures, tmp_path):
    network = build(BODY + "nms_kind=diounms\nbeta_nms=.1", SHAPE)
    random = np.random.default_rng(1)
    boxes = np.concatenate([random.random((40, 2)), random.random((40, 2)) / 2], 1)
    found = Detections(
        *(v.astype(np.float32) for v in (boxes, boxes[:, 0], random.random((40, 2))))
    )
    kept = Detector(network, nms=0.3).clean(found)
    plain = Detector(build(BODY, SHAPE), nms=0.3).clean(found)
    assert np.count_nonzero(kept.scores) > np.count_nonzero(plain.scores)


def test_a_wrong_count_of_names_warns(network):
    with pytest.warns(DarknetWarning, match=r"^test\.cfg: 3 names for 2 classes"):
        detector = Detector(network, ["a", "b", "c"])
    assert detector.names == ["0", "1"]


def test_a_network_without_heads_is_refused():
    with pytest.raises(CfgError) as error:
        Detector(build("[maxpool]\nsize=2"))
    assert str(error.value) == "test.cfg: has no layer that finds boxes ([yolo], [region], ...)"


def test_numbers_out_of_range_are_refused(network):
    with pytest.raises(DarknetError, match=r"^thresh must be from 0 to 1, got 25$"):
        Detector(network, thresh=25)


def test_bad_pictures_are_refused(network):
    with pytest.raises(
        ImageError, match=r"a uint8 array \(height, width, 3\), got float64 \(4, 4\)"
    ):
        Detector(network).detect(np.zeros((4, 4)))
    with pytest.raises(ImageError, match=r"nothing\.png"):
        Detector(network).detect("nothing.png")


def test_weights_that_are_cut_off_inside_a_layer_are_refused(network, tmp_path):
    (tmp_path / "x.cfg").write_text(format_cfg(network.sections))
    save_weights(network, tmp_path / "x.weights")
    data = (tmp_path / "x.weights").read_bytes()
    (tmp_path / "x.weights").write_bytes(data[:-40])
    with pytest.raises(WeightsError):
        Detector.load(tmp_path / "x.cfg", tmp_path / "x.weights")


def test_a_file_of_the_first_layers_leaves_the_rest_as_c_starts_it(pictures, tmp_path):
    body = "[convolutional]\nfilters=4\nsize=3\npad=1\nbatch_normalize=1\n" + BODY
    save_weights(build(body, SHAPE), tmp_path / "first", cutoff=1)
    (tmp_path / "x.cfg").write_text(f"[net]\nwidth=64\nheight=48\nchannels=3\n{body}")
    with pytest.warns(DarknetWarning, match=r"first: ends before layer 1 \[convolutional\]"):
        detector = Detector.load(tmp_path / "x.cfg", tmp_path / "first", thresh=0)
    rest = detector.network[1]
    assert not rest.biases.any()
    assert 0 < rest.weights.std() < 1
    assert detector.detect(pictures[0])


FOUND = Detections(
    np.array([[0.5, 0.25, 0.5, 0.5], [0.25, 0.5, 0.125, 1]], np.float32),
    np.array([0.75, 1], np.float32),
    np.array([[0.25, 0, 0.5], [0, 0, 0.75]], np.float32),
)


def test_a_box_is_listed_for_each_class_above_the_threshold():
    found = list_detections(FOUND, ["a", "b"], 200, 100, 0.2)
    box = Box(0.5, 0.25, 0.5, 0.5)
    assert found == [
        Detection(0, "a", 0.25, 0.75, box, (50, 0, 150, 50)),
        Detection(2, "2", 0.5, 0.75, box, (50, 0, 150, 50)),
        Detection(2, "2", 0.75, 1, Box(0.25, 0.5, 0.125, 1), (37.5, 0, 62.5, 100)),
    ]
    assert list_detections(FOUND, ["a", "b", "dont_show this"], 200, 100, 0.2) == found[:1]


def test_json_is_alexeyabs():
    found = list_detections(FOUND, ["a", 'b"'], 200, 100, 0.2)[:2]
    text = format_json_file([format_json(found, 1, "x/dog.jpg"), format_json([], 2, "y.jpg")])
    assert text == (
        '[\n{\n "frame_id":1, \n "filename":"x/dog.jpg", \n "objects": [ \n'
        '  {"class_id":0, "name":"a", "relative_coordinates":{"center_x":0.500000, '
        '"center_y":0.250000, "width":0.500000, "height":0.500000}, "confidence":0.250000}, \n'
        '  {"class_id":2, "name":"2", "relative_coordinates":{"center_x":0.500000, '
        '"center_y":0.250000, "width":0.500000, "height":0.500000}, "confidence":0.500000}'
        '\n ] \n}, \n{\n "frame_id":2, \n "filename":"y.jpg", \n "objects": [ \n\n ] \n}\n]'
    )
    assert json.loads(text)[0]["objects"][1]["class_id"] == 2


def test_labels_hold_the_best_class_of_each_box():
    assert format_labels(FOUND, 0.2) == (
        "2 0.5000 0.2500 0.5000 0.5000\n2 0.2500 0.5000 0.1250 1.0000\n"
    )
    assert format_labels(FOUND, 0.6) == "2 0.2500 0.5000 0.1250 1.0000\n"

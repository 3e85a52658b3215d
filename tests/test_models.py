"""Trained networks on real pictures, against the boxes that C found with the same weights."""

import json

import numpy as np
import pytest
from helpers import SHARED

from darknet_py.detector import Detector
from darknet_py.image import load_image

MODELS = SHARED / "models"
PICTURES = SHARED / "images" / "decoded"
NAMES = [
    "MobileNetV2-YOLO-Fastest-voc",
    "MobileNetV2-YOLOv3-Nano-coco",
    "yolo-fastest-1.1",
    "yoloface-500k-v2",
]

pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="needs the trained models")


def samples(values):
    """64 values, evenly spaced."""
    return values.reshape(-1)[np.linspace(0, values.size - 1, 64).astype(np.int64)]


def check(detector, golden):
    picture = load_image(PICTURES / f"{golden['image'].rpartition('.')[0]}.png")
    pixels = np.array([golden["width"], golden["height"]] * 2)
    inputs = detector.prepare(picture)
    np.testing.assert_allclose(samples(inputs), golden["input"]["samples"], atol=1e-6)
    outputs = detector.run(inputs)
    for head, output, expected in zip(
        detector.network.heads, outputs, golden["heads"], strict=True
    ):
        assert head.index == expected["index"]
        wanted = np.array(expected["output"]["samples"], np.float64)
        difference = np.abs(samples(output.numpy()) - wanted)
        assert np.nanmax(difference) < 1e-3 * expected["output"]["std"]
    raw = detector.boxes([output[0] for output in outputs], picture.shape[:2])
    assert len(raw) == len(golden["before_nms"])
    for box, scores, expected in zip(raw.boxes, raw.scores, golden["before_nms"], strict=True):
        assert (np.abs(box - expected["bbox_center"]) * pixels).max() < 0.5
        assert np.flatnonzero(scores).tolist() == [int(key) for key in expected["probs"]]
    found = detector.detect(picture)
    assert [d.name for d in found] == [d["class"] for d in golden["detections"]]
    for actual, expected in zip(found, golden["detections"], strict=True):
        assert actual.probability == pytest.approx(expected["prob"], abs=1e-3)
        assert actual.objectness == pytest.approx(expected["objectness"], abs=1e-3)
        box = [actual.box.x, actual.box.y, actual.box.width, actual.box.height]
        assert (np.abs(np.array(box) - expected["bbox_center"]) * pixels).max() < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("letterbox", [False, True], ids=["stretched", "letterbox"])
@pytest.mark.parametrize("name", NAMES)
def test_detections_are_those_of_c(name, letterbox):
    files = [MODELS / name / f"{name}.{end}" for end in ("cfg", "weights", "names")]
    detector = Detector.load(
        *files, dialect="alexeyab", device="cpu", thresh=0.25, letterbox=letterbox
    )
    goldens = [json.loads(path.read_text()) for path in files[0].parent.glob("alexeyab_*.json")]
    goldens = [golden for golden in goldens if bool(golden["letter_box"]) == letterbox]
    assert len(goldens) == 6
    for golden in goldens:
        check(detector, golden)

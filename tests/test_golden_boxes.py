"""Decoded boxes before and after suppression, against those of C for the goldens' inputs."""

import json

import numpy as np
import pytest
import torch
from helpers import SHARED, golden_generator

from darknet_py.boxes import join_detections, suppress, suppress_boxes, undo_letterbox
from darknet_py.image import letterbox_size
from darknet_py.layers.detection import Detection
from darknet_py.network import Network
from darknet_py.weights import load_weights

GOLDEN = SHARED / "golden" / "pjreddie"
NAMES = ["yolov1-tiny", "yolov2-tiny", "yolov2", "yolov3-tiny", "yolov3", "yolo9000"]

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="needs the golden data")


def check(actual, expected, scale):
    """Boxes `[x, y, w, h, objectness, {class: score}]` with a score, in the same order."""
    rows = np.flatnonzero(actual.scores.any(1))
    boxes = actual.boxes[rows] * scale
    assert len(rows) == len(expected)
    for row, box, (*coordinates, objectness, scores) in zip(rows, boxes, expected, strict=True):
        np.testing.assert_allclose(box, coordinates, rtol=1e-4, atol=1e-4 * max(scale))
        assert actual.objectness[row] == pytest.approx(objectness, abs=1e-4)
        found = np.flatnonzero(actual.scores[row])
        assert found.tolist() == [int(key) for key in scores]
        np.testing.assert_allclose(actual.scores[row, found], list(scores.values()), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_boxes_are_those_of_c(name, tmp_path):
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    expected = json.loads((GOLDEN / "boxes" / f"{name}.json").read_text())
    generator = golden_generator()
    generator.write_weights(golden, tmp_path / "x.weights")
    network = Network.from_cfg(GOLDEN / "cfg" / f"{name}.cfg", "pjreddie", initialize=False)
    load_weights(network, tmp_path / "x.weights")
    with torch.inference_mode():
        x = torch.from_numpy(generator.image(golden["net"]))[None]
        outputs = network.run(x, [head.index for head in network.heads])
    thresh, hier, nms = expected["thresh"], expected["hier"], expected["nms"]
    found = join_detections(
        [
            head.decode(output[0], network.image, thresh, hier)
            for head, output in zip(network.heads, outputs, strict=True)
        ]
    )
    assert len(found) == expected["nboxes"]
    width, height = expected["image_w"], expected["image_h"]
    size, shape = (height, width), (network.image.width, network.image.height)
    pixels = [width, height, width, height]
    if isinstance(network.heads[0], Detection):  # C gives pixels, and leaves the letterbox in
        relative = pixels
    else:
        found = undo_letterbox(found, letterbox_size(size, *shape), shape)
        relative = [1, 1, 1, 1]
    check(found, expected["relative"], relative)
    check(found, expected["absolute"], pixels)
    check(suppress(found, nms), expected["relative_nms_sort"], relative)
    check(suppress_boxes(found, nms), expected["relative_nms_obj"], relative)

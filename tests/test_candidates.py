"""Head.dense and what makes detections of it, against Head.decode."""

import numpy as np
import pytest
import torch
from helpers import assert_close, build, ramp

from darknet_py.boxes import join_detections
from darknet_py.candidates import select_boxes
from darknet_py.convert import Options
from darknet_py.convert.describe import describe
from darknet_py.convert.program import join

CONV = "[convolutional]\nfilters={}\nsize=1\nactivation=linear\n"
ANCHORS = "anchors=3,5, 7,4, 2,9\nnum=3\n"
REGION = CONV.format(14) + "[region]\nanchors=0.5,1.5, 2,3\nnum=2\nclasses=2\n"
TREE = CONV.format(20) + "[region]\nanchors=0.5,1.5, 2,3\nnum=2\nclasses=5\nsoftmax=1\ntree={}\n"
GAUSS = CONV.format(22) + f"[Gaussian_yolo]\nmask=0,2\nclasses=2\n{ANCHORS}"
YOLO = CONV.format(14) + f"[yolo]\nmask=0,2\nclasses=2\n{ANCHORS}"
DETECTION = "[connected]\noutput=108\nactivation=linear\n[detection]\nclasses=2\ncoords=4\nside=3\n"
CASES = {
    "yolo": (YOLO, None),
    "scale_x_y": (YOLO + "scale_x_y=1.2\n", None),
    "new_coords": (YOLO + "new_coords=1\nscale_x_y=2\n", None),
    "gaussian": (GAUSS, None),
    "left_top": (GAUSS + "yolo_point=left_top\n", None),
    "right_bottom": (GAUSS + "yolo_point=right_bottom\n", None),
    "region": (REGION + "softmax=1\n", "pjreddie"),
    "background": (REGION + "softmax=1\nbackground=1\n", "pjreddie"),
    "region, alexeyab": (REGION + "softmax=1\n", "alexeyab"),
    "classfix": (REGION + "classfix=-1\n", "alexeyab"),
    "tree": (TREE, "pjreddie"),
    "tree, alexeyab": (TREE, "alexeyab"),
    "detection": (DETECTION + "num=2\nsqrt=1\n", None),
    "two heads": (
        f"{YOLO}[route]\nlayers=0\n{CONV.format(8)}[yolo]\nmask=1\nclasses=3\n{ANCHORS}",
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_dense_boxes_are_those_of_decode(case, tmp_path):
    body, dialect = CASES[case]
    (tmp_path / "five.tree").write_text("a -1\nb -1\nc 0\nd 0\ne 2\n")
    body = body.format(tmp_path / "five.tree") if "tree" in body else body
    if "detection" in body:
        body = body.replace("output=108", f"output={9 * (2 + 2 * 5)}")
    network = build(body, (3, 5, 7), dialect)
    metadata = describe(network, (), Options())
    with torch.no_grad():
        outputs = network.run(3 * ramp(2, 3, 5, 7), [head.index for head in network.heads])
        boxes, scores, objectness = join(network, outputs, network.image)
    for thresh in (0.0, 0.3, 0.6):
        for sample in range(2):
            expected = join_detections(
                [
                    head.decode(output[sample], network.image, thresh, 0.5)
                    for head, output in zip(network.heads, outputs, strict=True)
                ]
            )
            found = select_boxes(
                boxes[sample].numpy(),
                scores[sample].numpy(),
                objectness[sample].numpy(),
                metadata,
                thresh,
            )
            assert_close(found.boxes, expected.boxes)
            assert_close(found.objectness, expected.objectness)
            assert_close(found.scores, expected.scores)
            assert (len(expected.boxes) and np.any(expected.scores)) or thresh

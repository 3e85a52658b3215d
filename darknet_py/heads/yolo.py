"""[yolo]: its keys, and the boxes in its output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from darknet_py.anchors import YoloHeadOptions, above
from darknet_py.boxes import Detections
from darknet_py.heads.cells import Likely, likely_cells
from darknet_py.options import key
from darknet_py.shape import Shape


@dataclass(frozen=True)
class YoloOptions(YoloHeadOptions):
    """Keys of [yolo] (C: parser.c:parse_yolo)."""

    new_coords: bool = key(
        "the layer before gives values from 0 to 1; sides are (2 w)^2 anchors",
        False,
        only="alexeyab",
    )
    focal_loss: bool = key("training: focal loss of the classes", False, only="alexeyab")
    show_details: bool = key("training: print this head's figures", True, only="alexeyab")
    embedding_layer: int = key(
        "the layer that embeds objects for tracking; a negative one counts back",
        999999,
        only="alexeyab",
    )
    track_history_size: int = key("tracking: frames looked back", 5, only="alexeyab")
    sim_thresh: float = key("tracking: least similarity of one object", 0.8, only="alexeyab")
    dets_for_track: int = key("tracking: frames before a track starts", 1, only="alexeyab")
    dets_for_show: int = key("tracking: frames before a track is shown", 1, only="alexeyab")
    track_ciou_norm: float = key("tracking: weight of the overlap", 0.01, only="alexeyab")


@np.errstate(over="ignore", invalid="ignore")
def decode_yolo(
    output: np.ndarray | Likely,
    options: YoloOptions,
    anchors: np.ndarray,
    image: Shape,
    thresh: float,
) -> Detections:
    """The boxes whose objectness is above `thresh`, cell by cell, the anchors inside.

    Args:
        output: of one sample, `(n (5 + classes), h, w)`; or what is likely in it.
        options: the head's.
        anchors: `(n, 2)`, those of the mask.
        image: the network's input.
        thresh: scores not above it are 0.
    """
    likely = output
    if not isinstance(likely, Likely):
        likely = likely_cells(likely, anchors, 4, thresh)
    cells, found, sides, height, width = likely
    boxes = np.empty((len(found), 4), np.float32)
    boxes[:, :2] = (cells + found[:, :2]) / np.array((width, height), np.float32)
    raw = found[:, 2:4].astype(np.float64)
    scales = raw * raw * 4 if options.new_coords else np.exp(raw)
    boxes[:, 2:] = scales * sides / (image.width, image.height)
    objectness = found[:, 4]
    return Detections(boxes, objectness, above(objectness[:, None] * found[:, 5:], thresh))

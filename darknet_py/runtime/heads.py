"""The heads of a converted network, read from the cfg that it carries."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from darknet_py.boxes import Detections
from darknet_py.cfg import Section, parse_cfg
from darknet_py.datafile import Tree, make_tree
from darknet_py.dialect import Dialect, get_dialect
from darknet_py.errors import DarknetWarning
from darknet_py.heads.detection import DetectionOptions, decode_detection
from darknet_py.heads.gaussian_yolo import GaussianYoloOptions, decode_gaussian_yolo
from darknet_py.heads.region import RegionDecoder, RegionOptions
from darknet_py.heads.yolo import YoloOptions, decode_yolo
from darknet_py.metadata import Metadata
from darknet_py.options import parse_options
from darknet_py.shape import Shape

TYPES = ("Gaussian_yolo", "detection", "region", "yolo")
"""The sections whose outputs are boxes."""


@dataclass(frozen=True)
class Head:
    """One head: the layer's number, its section, and what its boxes are read with."""

    index: int
    section: Section
    anchors: np.ndarray
    tree: Tree | None
    dialect: Dialect

    def decode(self, output: np.ndarray, image: Shape, thresh: float, hier: float) -> Detections:
        """One sample's boxes, as the layer's `decode` gives them (layers/base.py: Head)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DarknetWarning)  # given when the cfg was converted
            return self._decode(output, image, thresh, hier)

    def _decode(self, output: np.ndarray, image: Shape, thresh: float, hier: float) -> Detections:
        section, dialect = self.section, self.dialect
        if section.type == "yolo":
            yolo = parse_options(YoloOptions, section, dialect)
            return decode_yolo(output, yolo, self.anchors, image, thresh)
        if section.type == "Gaussian_yolo":
            gaussian = parse_options(GaussianYoloOptions, section, dialect)
            return decode_gaussian_yolo(output, gaussian, self.anchors, image, thresh)
        if section.type == "detection":
            options = parse_options(DetectionOptions, section, dialect)
            return decode_detection(output.reshape(-1), options, thresh)
        region = parse_options(RegionOptions, section, dialect)
        interleaved = dialect.region_layout == "interleaved"
        return RegionDecoder(region, self.anchors, self.tree, interleaved).decode(
            output, thresh, hier
        )


def read_heads(metadata: Metadata) -> list[Head]:
    """The heads of the network, in order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DarknetWarning)
        sections = parse_cfg(metadata.cfg, metadata.cfg_path)
    heads = [(i, section) for i, section in enumerate(sections[1:]) if section.type in TYPES]
    tree = make_tree([""] * len(metadata.tree), metadata.tree) if metadata.tree else None
    dialect = get_dialect(metadata.dialect)
    return [
        Head(index, section, np.array(sides, np.float32).reshape(-1, 2), tree, dialect)
        for (index, section), sides in zip(heads, metadata.anchors, strict=True)
    ]

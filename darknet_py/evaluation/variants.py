"""Detectors as some commands of C vary them: mirrored, with a class map, suppressed otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from darknet_py.boxes import Detections, join_detections, suppress_boxes
from darknet_py.detector import Detector
from darknet_py.dialect import Dialect
from darknet_py.errors import DarknetError
from darknet_py.finder import Finder
from darknet_py.layers.region import Region
from darknet_py.shape import Shape


class Variant(Finder):
    """A detector that does some steps in another way."""

    def __init__(
        self,
        finder: Finder,
        *,
        mirrored: bool = False,
        class_map: Sequence[int] | None = None,
        suppression: Literal["classes", "objectness", "in place"] = "classes",
    ) -> None:
        """Take a detector, with its thresholds.

        Args:
            finder: it.
            mirrored: take the means of the outputs for the picture and for its mirror image
                (C: detector.c:validate_detector_flip).
            class_map: the number of each class among those of a [region]'s tree.
            suppression: "objectness" looks at no class (C: box.c:do_nms_obj); "in place" leaves
                the boxes where they were (C: AlexeyAB's box.c:do_nms_sort_v2).

        Raises:
            DarknetError: the detector has no heads that can be averaged or mapped.
        """
        super().__init__(finder.thresh, finder.nms, finder.hier)
        self.finder, self.suppression = finder, suppression
        self.names, self.classes = finder.names, finder.classes
        self.letterbox = finder.letterbox
        self.class_map = class_map
        self.anchors = _mirrored_channels(finder) if mirrored else []
        if class_map is not None and not isinstance(finder, Detector):
            raise DarknetError("a map of classes needs a cfg and its weights")

    @property
    def image(self) -> Shape:
        """The network's input."""
        return self.finder.image

    @property
    def dialect(self) -> Dialect:
        """Whose rules hold."""
        return self.finder.dialect

    @property
    def head_types(self) -> list[tuple[int, str]]:
        """The number and the section's type of each head, in order."""
        return self.finder.head_types

    def run(self, inputs: np.ndarray) -> Sequence[Any]:
        """The outputs, averaged if that is wanted."""
        plain = self.finder.run(inputs)
        if not self.anchors:
            return plain
        mirrored = self.finder.run(np.ascontiguousarray(inputs[..., ::-1]))
        pairs = zip(plain, mirrored, self.anchors, strict=True)
        return [average_mirrored(*pair) for pair in pairs]

    def decode(self, outputs: Sequence[Any]) -> Detections:
        """The boxes; those of a [region] with the classes of the map."""
        if self.class_map is None or not isinstance(self.finder, Detector):
            return self.finder.decode(outputs)
        parts = []
        for head, output in zip(self.finder.layout.heads, outputs, strict=True):
            more = [self.class_map] if isinstance(head, Region) else []
            parts.append(head.decode(output, self.image, self.thresh, self.hier, *more))
        return join_detections(parts)

    def clean(self, detections: Detections) -> Detections:
        """Non-maximum suppression of the kind that is wanted."""
        if self.suppression == "classes" or not self.nms:
            return self.finder.clean(detections)
        if self.suppression == "objectness":
            return suppress_boxes(detections, self.nms)
        return self.finder.clean_in_place(detections)


def _mirrored_channels(finder: Finder) -> list[int]:
    """How many channels of each head `average_mirrored` negates."""
    if not isinstance(finder, Detector):
        raise DarknetError("mirror images need a cfg and its weights")
    counts = []
    for head in finder.layout.heads:
        anchors = getattr(head, "mask", getattr(head, "anchors", None))
        known = head.section.type in ("yolo", "region") and not getattr(head, "interleaved", False)
        if anchors is None or not known:
            path, dialect = finder.layout.sections[0].path, finder.dialect.name
            raise DarknetError(
                f"{path}: [{head.section.type}] of dialect {dialect} is not averaged with its "
                "mirror image"
            )
        counts.append(len(anchors))
    return counts


def average_mirrored(plain: Tensor, mirrored: Tensor, anchors: int) -> Tensor:
    """The mean of two outputs `(batch, channels, h, w)`, the second of mirrored pictures.

    PARITY: x is negated in the second, though it lies between 0 and 1, and not in every anchor:
    in the first `anchors` channels, but for a middle column (C: yolo_layer.c:avg_flipped_yolo).
    """
    mirrored = mirrored.flip(-1)
    width = mirrored.shape[-1]
    sides = torch.arange(width, device=mirrored.device) * 2 != width - 1
    first = torch.where(sides, -mirrored[:, :anchors], mirrored[:, :anchors])
    return (plain + torch.cat([first, mirrored[:, anchors:]], 1)) / 2

"""Find objects with a converted model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from darknet_py.anchors import above
from darknet_py.boxes import Detections, join_detections, suppress
from darknet_py.candidates import select_boxes
from darknet_py.datafile import read_names
from darknet_py.dialect import Dialect, get_dialect
from darknet_py.errors import DarknetError
from darknet_py.finder import Finder, fill_names
from darknet_py.metadata import Metadata
from darknet_py.runtime import open_model
from darknet_py.runtime.heads import read_heads
from darknet_py.runtime.model import Model
from darknet_py.shape import Shape


class ModelDetector(Finder):
    """A converted network that finds objects; `darknet_py.Detector` without torch.

    >>> detector = ModelDetector.load("yolov4.onnx")
    >>> detector.detect("dog.jpg")[0].name
    'dog'
    """

    def __init__(
        self,
        model: Model,
        names: Sequence[str] | None = None,
        *,
        thresh: float | None = None,
        nms: float | None = None,
        hier: float | None = None,
        letterbox: bool | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Take a model; what is None is as its metadata says.

        Args:
            model: of a network with heads.
            names: of the classes, in order.
            thresh: probabilities not above it are left out. A model of `--head nms` holds a
                threshold of its own, below which there is nothing.
            nms: of two boxes that overlap by more, the better one is kept; 0: all are kept.
            hier: the threshold of the walk down a class tree.
            letterbox: keep the aspect ratio of pictures, on grey, instead of stretching them.
            size: width and height of the network's input, for a model of `--dynamic-size`.

        Raises:
            DarknetError: the model is no detector or has another size, or a number is out of
                its range.
        """
        metadata = model.metadata
        if metadata.task != "detect":
            raise DarknetError(f"{model.path}: holds no network that finds objects")
        self.model, self.metadata = model, metadata
        _check_kept(model.path, metadata, thresh, nms)
        width, height = size or (model.shape.width, model.shape.height)
        if not model.fits(height, width):
            raise DarknetError(
                f"{model.path}: takes pictures of {model.shape.width} x {model.shape.height} only "
                f"(--dynamic-size makes models that take others), not of {width} x {height}"
            )
        self._image = Shape(model.shape.channels, height, width)
        self.classes = len(metadata.names)
        self.names = list(metadata.names)
        if names is not None:
            self.names = fill_names(names, self.classes, model.path)
        super().__init__(
            metadata.thresh if thresh is None else thresh,
            metadata.nms if nms is None else nms,
            metadata.hier if hier is None else hier,
        )
        self.letterbox = metadata.fit == "letterbox" if letterbox is None else letterbox
        self.nms_kind, self.beta_nms = metadata.nms_kind, metadata.beta_nms
        self._heads = read_heads(metadata)
        self._dialect = get_dialect(metadata.dialect)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        names: Sequence[str] | str | os.PathLike[str] | None = None,
        *,
        device: str | None = None,
        thresh: float | None = None,
        nms: float | None = None,
        hier: float | None = None,
        letterbox: bool | None = None,
        size: tuple[int, int] | None = None,
    ) -> ModelDetector:
        """The detector of an .onnx or .xml file.

        Args:
            path: as `darknet-py convert` wrote it.
            names: the classes' names, as a list or a file with one a line.
            device: see `runtime.open_model`.
            thresh: see `ModelDetector`.
            nms: see `ModelDetector`.
            hier: see `ModelDetector`.
            letterbox: see `ModelDetector`.
            size: see `ModelDetector`.

        Raises:
            DarknetError: a file is wrong, or a package is missing.
        """
        if isinstance(names, str | os.PathLike):
            names = read_names(names)
        model = open_model(path, device)
        return cls(model, names, thresh=thresh, nms=nms, hier=hier, letterbox=letterbox, size=size)

    @property
    def image(self) -> Shape:
        """The network's input."""
        return self._image

    @property
    def dialect(self) -> Dialect:
        """Whose rules hold."""
        return self._dialect

    @property
    def head_types(self) -> list[tuple[int, str]]:
        """The number and the section's type of each head, in order."""
        return [(head.index, head.section.type) for head in self._heads]

    def run(self, inputs: np.ndarray) -> Sequence[Any]:
        """The outputs, a batch each, for prepared inputs `(batch, channels, height, width)`."""
        outputs = self.model.run(inputs)
        return (
            outputs if self.metadata.head != "nms" else [_split(outputs, len(inputs), self.classes)]
        )

    def decode(self, outputs: Sequence[Any]) -> Detections:
        """The boxes in one sample of the outputs, relative to the network's input."""
        kind = self.metadata.head
        if kind == "nms":
            return self._above(outputs[0])
        if kind == "boxes":
            boxes, scores, objectness = outputs
            return select_boxes(boxes, scores, objectness, self.metadata, self.thresh, self.hier)
        return join_detections(
            [
                head.decode(output, self._image, self.thresh, self.hier)
                for head, output in zip(self._heads, outputs, strict=True)
            ]
        )

    def clean(self, detections: Detections) -> Detections:
        """Non-maximum suppression as the last head asks for, where the model did not do it."""
        if self.metadata.head != "nms":
            return super().clean(detections)
        return suppress(detections, 1.0)  # for C's order of the boxes

    def _above(self, kept: Detections) -> Detections:
        return Detections(kept.boxes, kept.objectness, above(kept.scores, self.thresh))


def _check_kept(path: str, metadata: Metadata, thresh: float | None, nms: float | None) -> None:
    """See that nothing is asked for that the model has thrown away."""
    if metadata.head != "nms":
        return
    if thresh is not None and thresh < metadata.thresh:
        raise DarknetError(
            f"{path}: has the threshold {metadata.thresh:g} built in (--head nms); a model of "
            f"--head boxes takes lower ones"
        )
    if nms is not None and nms != metadata.nms:
        raise DarknetError(
            f"{path}: has the overlap {metadata.nms:g} built in (--head nms); a model of "
            f"--head boxes takes others"
        )


def _split(outputs: Sequence[np.ndarray], batch: int, classes: int) -> list[Detections]:
    """Each sample's boxes from the outputs of `--head nms`; those of one box are joined."""
    boxes, scores, class_ids, batch_ids = outputs
    samples = []
    for sample in range(batch):
        mine = np.flatnonzero(batch_ids == sample)
        rows, row = np.unique(boxes[mine], axis=0, return_inverse=True)
        table = np.zeros((len(rows), classes), np.float32)
        table[row.reshape(-1), class_ids[mine]] = scores[mine]
        # the objectness is not among the outputs: the best score stands for it
        samples.append(Detections(rows.reshape(-1, 4), table.max(1, initial=0), table))
    return samples

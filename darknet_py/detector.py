"""Find objects in pictures: which, where, and how sure (C: detector.c:test_detector)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import overload

import numpy as np
import torch

from darknet_py import image as images
from darknet_py.bit_weights import use_bit_weights
from darknet_py.boxes import Detections, join_detections, suppress, undo_letterbox
from darknet_py.datafile import read_names
from darknet_py.dialect import Dialect
from darknet_py.errors import CfgError, DarknetError, DarknetWarning
from darknet_py.inputs import BATCH, Picture, find_device, read_picture, run_batch
from darknet_py.network import Network
from darknet_py.results import Detection, list_detections
from darknet_py.weights import load_weights


class Detector:
    """A network that finds objects.

    >>> detector = Detector.load("yolov3.cfg", "yolov3.weights", "coco.names")
    >>> detector.detect("dog.jpg")[0]
    Detection(class_id=16, name='dog', probability=0.99..., objectness=0.99..., box=Box(...), ...)
    """

    def __init__(
        self,
        network: Network,
        names: Sequence[str] | None = None,
        *,
        thresh: float | None = None,
        nms: float = 0.45,
        hier: float = 0.5,
        letterbox: bool | None = None,
        half: bool = False,
    ) -> None:
        """Take a network that holds its weights.

        Args:
            network: with an image as input and at least one head.
            names: of the classes, in order; None: their numbers.
            thresh: probabilities not above it are left out; None: as `detect` of the dialect.
            nms: of two boxes that overlap by more, the better one is kept; 0: all are kept.
            hier: the threshold of the walk down a class tree.
            letterbox: keep the aspect ratio of pictures, on grey, instead of stretching them;
                None: as `detect` of the dialect and `letter_box` of [net] say.
            half: calculate with 16 bits: bfloat16 on the CPU, float16 elsewhere.

        Raises:
            DarknetError: the network is no detector, or a number is out of its range.
        """
        path = network.sections[0].path
        if not network.heads:
            raise CfgError(f"{path}: has no layer that finds boxes ([yolo], [region], ...)")
        if not network.image.is_image:
            raise CfgError(f"{path}: takes {network.image} values and no picture")
        self.network, self.half = network, half
        self.classes = max(head.classes for head in network.heads)
        self.names = _fill_names(names, self.classes, path)
        self.thresh = network.dialect.thresh if thresh is None else thresh
        self.nms, self.hier = nms, hier
        for what, value in (("thresh", self.thresh), ("nms", nms), ("hier", hier)):
            if not 0 <= value <= 1:
                raise DarknetError(f"{what} must be from 0 to 1, got {value}")
        wanted = network.dialect.letterbox or network.net.letter_box
        self.letterbox = wanted if letterbox is None else letterbox

    @classmethod
    def load(
        cls,
        cfg: str | os.PathLike[str],
        weights: str | os.PathLike[str],
        names: Sequence[str] | str | os.PathLike[str] | None = None,
        *,
        dialect: str | Dialect | None = None,
        device: str | torch.device | None = None,
        thresh: float | None = None,
        nms: float = 0.45,
        hier: float = 0.5,
        letterbox: bool | None = None,
        half: bool = False,
    ) -> Detector:
        """The detector of a .cfg and a .weights file.

        Args:
            cfg: the network's .cfg file.
            weights: its .weights file.
            names: the classes' names, as a list or a file with one a line; None: their numbers.
            dialect: "pjreddie" or "alexeyab"; None: found from the cfg.
            device: where it runs; None: on the GPU, if PyTorch finds one.
            thresh: see `Detector`.
            nms: see `Detector`.
            hier: see `Detector`.
            letterbox: see `Detector`.
            half: see `Detector`.

        Raises:
            DarknetError: a file is wrong, or there is no such device.
        """
        if isinstance(names, str | os.PathLike):
            names = read_names(names)
        network = Network.from_cfg(cfg, dialect, initialize=False)
        detector = cls(
            network, names, thresh=thresh, nms=nms, hier=hier, letterbox=letterbox, half=half
        )
        load_weights(network, weights)
        if network.dialect.bit_weights:
            use_bit_weights(network)
        network.to(find_device(device))
        return detector

    @overload
    def detect(self, image: Picture) -> list[Detection]: ...  # type: ignore[overload-overlap]

    @overload
    def detect(self, image: Sequence[Picture]) -> list[list[Detection]]: ...

    def detect(self, image: Picture | Sequence[Picture]) -> list[Detection] | list[list[Detection]]:
        """The objects in a picture, most probable first; a list of such lists for a list.

        A box appears once for each class whose probability is above `thresh`.

        Args:
            image: a file's path, a uint8 RGB array `(height, width, channels)`, or a list.

        Raises:
            ImageError: a picture cannot be read, or has not the network's channels.
        """
        if isinstance(image, str | os.PathLike | np.ndarray):
            return self.detect([image])[0]
        found = []
        for start in range(0, len(image), BATCH):
            channels = self.network.image.channels
            pictures = [read_picture(item, channels) for item in image[start : start + BATCH]]
            for picture, detections in zip(pictures, self.find(pictures), strict=True):
                height, width = picture.shape[:2]
                objects = list_detections(detections, self.names, width, height)
                found.append(sorted(objects, key=lambda d: -d.probability))
        return found

    def find(self, pictures: Sequence[np.ndarray]) -> list[Detections]:
        """The boxes of each picture, relative to it, after non-maximum suppression.

        They stand in C's order, that of the lines it prints; scores not above `thresh` are 0.

        Args:
            pictures: uint8 RGB arrays `(height, width, channels)`; they run as one batch.
        """
        if not pictures:
            return []
        batch = np.concatenate([self.prepare(picture) for picture in pictures])
        outputs = self.run(batch)
        return [
            self.clean(self.boxes([output[i] for output in outputs], picture.shape[:2]))
            for i, picture in enumerate(pictures)
        ]

    def prepare(self, picture: np.ndarray) -> np.ndarray:
        """A picture as the network's input, float32 `(1, channels, height, width)`."""
        shape = self.network.image
        fit = images.letterbox if self.letterbox else images.resize
        return images.to_planar(fit(images.to_float(picture), shape.width, shape.height))

    def run(self, inputs: np.ndarray) -> list[torch.Tensor]:
        """The heads' outputs for prepared inputs, `(batch, channels, height, width)`."""
        heads = [head.index for head in self.network.heads]
        return run_batch(self.network, inputs, heads, self.half)

    def boxes(self, outputs: Sequence[torch.Tensor], size: tuple[int, ...]) -> Detections:
        """The boxes in one sample of the heads' outputs, before any suppression, in C's order.

        Args:
            outputs: of each head, without the batch axis.
            size: height and width of the picture that the boxes will be relative to.
        """
        shape, heads = self.network.image, self.network.heads
        found = join_detections(
            [
                head.decode(output, shape, self.thresh, self.hier)
                for head, output in zip(heads, outputs, strict=True)
            ]
        )
        if not self.letterbox:
            return found
        used = images.letterbox_size(size, shape.width, shape.height)
        return undo_letterbox(
            found, (max(used[0], 1), max(used[1], 1)), (shape.width, shape.height)
        )

    def clean(self, detections: Detections) -> Detections:
        """Non-maximum suppression as the last head asks for (C: detector.c:test_detector)."""
        if not self.nms:
            return detections
        options = self.network.heads[-1].options
        kind, beta = getattr(options, "nms_kind", "default"), getattr(options, "beta_nms", 0.6)
        return suppress(detections, self.nms, kind, beta)


def _fill_names(names: Sequence[str] | None, classes: int, path: str) -> list[str]:
    """The classes' names; their numbers where the count is wrong."""
    numbers = [str(number) for number in range(classes)]
    if names is None:
        return numbers
    if len(names) != classes:
        warnings.warn(
            f"{path}: {len(names)} names for {classes} classes: classes are numbered",
            DarknetWarning,
            stacklevel=3,
        )
        return numbers
    return list(names)

"""Find objects in pictures: which, where, and how sure (C: detector.c:test_detector)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
import torch

from darknet_py.backends import open_finder
from darknet_py.boxes import Detections, join_detections
from darknet_py.dialect import Dialect
from darknet_py.errors import CfgError
from darknet_py.finder import Finder, fill_names
from darknet_py.inputs import run_batch, settle
from darknet_py.loaded import Loaded, find_files, make_source
from darknet_py.network import Network


class Detector(Loaded, Finder):
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
        self.layout, self.half = network, half
        self.classes = max(head.classes for head in network.heads)
        self.names = fill_names(names, self.classes, path)
        super().__init__(network.dialect.thresh if thresh is None else thresh, nms, hier)
        options = network.heads[-1].options
        self.nms_kind = getattr(options, "nms_kind", "default")
        self.beta_nms = getattr(options, "beta_nms", 0.6)
        wanted = network.dialect.letterbox or network.net.letter_box
        self.letterbox = wanted if letterbox is None else letterbox

    @overload
    @classmethod
    def load(
        cls,
        cfg: str | os.PathLike[str],
        weights: str | os.PathLike[str] | None = None,
        names: Sequence[str] | str | os.PathLike[str] | None = None,
        *,
        backend: Literal["torch"] = "torch",
        **options: Any,
    ) -> Detector: ...

    @overload
    @classmethod
    def load(
        cls,
        cfg: str | os.PathLike[str],
        weights: str | os.PathLike[str] | None = None,
        names: Sequence[str] | str | os.PathLike[str] | None = None,
        *,
        backend: str,
        **options: Any,
    ) -> Finder: ...

    @classmethod  # type: ignore[misc]  # the options have no types but these
    def load(
        cls,
        cfg: str | os.PathLike[str],
        weights: str | os.PathLike[str] | None = None,
        names: Sequence[str] | str | os.PathLike[str] | None = None,
        *,
        dialect: str | Dialect | None = None,
        device: str | torch.device | None = None,
        thresh: float | None = None,
        nms: float = 0.45,
        hier: float = 0.5,
        letterbox: bool | None = None,
        half: bool = False,
        backend: str = "torch",
        int8: bool = False,
        calibration: str | os.PathLike[str] | None = None,
    ) -> Finder:
        """The detector of a .cfg and a .weights file, or of an official model.

        Args:
            cfg: the network's .cfg file; or the name of an official model, such as "yolov4",
                whose weights are downloaded once (docs/download.md).
            weights: its .weights file; None: `cfg` is a name.
            names: the classes' names, as a list or a file with one a line; None: those of the
                model that is named, else their numbers.
            dialect: "pjreddie" or "alexeyab"; None: found from the cfg.
            device: where it runs; None: on the GPU, if PyTorch finds one.
            thresh: see `Detector`.
            nms: see `Detector`.
            hier: see `Detector`.
            letterbox: see `Detector`.
            half: see `Detector`.
            backend: what runs the network: "torch"; "onnxruntime" or "openvino", for which it is
                converted once and kept (docs/backends.md); or "auto", the fastest of them here.
            int8: compute convolutions with 8 bits, by "openvino" (the default then) or
                "onnxruntime".
            calibration: the folder of pictures that `int8` finds its ranges on.

        Returns:
            A `Detector`; for another backend than torch a `runtime.detector.ModelDetector`.

        Raises:
            DarknetError: a file is wrong, or there is no such device.
        """
        cfg, weights, names = find_files(cfg, weights, names)
        if backend != "torch" or int8:
            source = make_source(cfg, weights, dialect, half, int8, calibration)
            backend = "openvino" if backend == "torch" else backend
            place = None if device is None else str(device)
            return open_finder(
                source,
                backend,
                names,
                place,
                thresh=thresh,
                nms=nms,
                hier=hier,
                letterbox=letterbox,
            )
        network = Network.from_cfg(cfg, dialect, initialize=False)
        detector = cls(
            network, names, thresh=thresh, nms=nms, hier=hier, letterbox=letterbox, half=half
        )
        detector._fill(weights, device)
        return detector

    @property
    def head_types(self) -> list[tuple[int, str]]:
        """The number and the section's type of each head, in order."""
        return [(head.index, head.section.type) for head in self.layout.heads]

    def run(self, inputs: np.ndarray) -> list[torch.Tensor]:
        """The heads' outputs for prepared inputs, `(batch, channels, height, width)`.

        In memory their channels may lie last.
        """
        if self.compiled is not None:
            return self.compiled(torch.from_numpy(inputs))
        heads = [head.index for head in self.layout.heads]
        return run_batch(self.layout, inputs, heads, self.half, self._file, ordered=False)

    def settle(self) -> None:
        """Be as fast from now on as after many runs."""
        settle(self.layout)

    def compile(self) -> None:
        """Run as machine code of the network's own from now on (docs/speed.md).

        It is made for the first batch, or found on disk; without a compiler there is a warning.
        """
        from darknet_py.compiled import compile_runner

        heads = [head.index for head in self.network.heads]
        self.compiled = compile_runner(self.network, heads, self.half)

    def decode(self, outputs: Sequence[torch.Tensor]) -> Detections:
        """The boxes in one sample of the heads' outputs, relative to the network's input."""
        return join_detections(
            [
                head.decode(output, self.layout.image, self.thresh, self.hier)
                for head, output in zip(self.layout.heads, outputs, strict=True)
            ]
        )

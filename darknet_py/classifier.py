"""Classify pictures: which of a network's classes, and how probable (C: classifier.c)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal, get_args, overload

import numpy as np
import torch

from darknet_py.backends import open_scorer
from darknet_py.dialect import Dialect
from darknet_py.errors import CfgError, DarknetError
from darknet_py.hierarchy import multiply_down
from darknet_py.inputs import run_batch, settle
from darknet_py.layers.convolutional import Convolutional
from darknet_py.layers.cost import Cost
from darknet_py.layers.softmax import Softmax
from darknet_py.loaded import Loaded, find_files, make_source
from darknet_py.network import Network
from darknet_py.pictures import Fit
from darknet_py.scorer import Scorer, fit_names


class Classifier(Loaded, Scorer):
    """A network that scores whole pictures.

    >>> classifier = Classifier.load("tiny.cfg", "tiny.weights", "imagenet.shortnames.list")
    >>> classifier.classify("dog.jpg", top=1)
    [Classification(class_id=14, name='malamute', probability=0.1418...)]
    """

    def __init__(
        self,
        network: Network,
        names: Sequence[str] | None = None,
        preprocess: Fit | None = None,
        *,
        half: bool = False,
    ) -> None:
        """Take a network that holds its weights.

        Args:
            network: with an image as input and one probability for each class as output.
            names: of the classes, in order; None: their numbers. Of a longer list the first ones
                count, as in C: ImageNet's names 21842 classes, of which most networks know 1000.
            preprocess: how pictures are fitted to the input. "letterbox" keeps the aspect ratio
                on grey, "crop" cuts the middle out of the picture resized by its shorter side,
                "resize_min" resizes the network to that, as the program of 2016 did, and sums
                convolutions in C's order, slowly, so that every digit printed then comes out;
                "squash" stretches. None: as the dialect's `classifier predict` does.
            half: calculate with 16 bits: bfloat16 on the CPU, float16 elsewhere.

        Raises:
            DarknetError: the network is no classifier, or `preprocess` is none of these.
        """
        self.layout, self.half = network, half
        self.preprocess: Fit = preprocess or network.dialect.classify_fit
        if self.preprocess not in get_args(Fit):
            known = ", ".join(get_args(Fit))
            raise DarknetError(f"preprocess must be one of {known}, got {preprocess!r}")
        for layer in network:
            if isinstance(layer, Convolutional):
                layer.in_c_order = self.preprocess == "resize_min"
        head, last = network.sections[0], network[network.output_index]
        if network.heads:
            raise CfgError(f"{head.path}: finds objects and is no classifier: use Detector")
        if not network.image.is_image:
            raise CfgError(f"{head.path}: takes {network.image} values and no picture")
        self.classes = last.out_shape.size
        # PARITY: `output in cfg` is the last layer's l.c, which a cost layer leaves at 0
        # (C: AlexeyAB's classifier.c:predict_classifier).
        final = network[len(network) - 1]
        self.channels = 0 if isinstance(final, Cost) else final.in_shape.channels
        self.names = fit_names(names, self.classes)
        trees = [layer.tree for layer in network if isinstance(layer, Softmax) and layer.tree]
        self.tree = trees[-1] if trees else None

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
    ) -> Classifier: ...

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
    ) -> Scorer: ...

    @classmethod  # type: ignore[misc]  # the options have no types but these
    def load(
        cls,
        cfg: str | os.PathLike[str],
        weights: str | os.PathLike[str] | None = None,
        names: Sequence[str] | str | os.PathLike[str] | None = None,
        *,
        dialect: str | Dialect | None = None,
        device: str | torch.device | None = None,
        preprocess: Fit | None = None,
        half: bool = False,
        backend: str = "torch",
        int8: bool = False,
        calibration: str | os.PathLike[str] | None = None,
    ) -> Scorer:
        """The classifier of a .cfg and a .weights file, or of an official model.

        Args:
            cfg: the network's .cfg file; or the name of an official model, such as "darknet53",
                whose weights are downloaded once (docs/download.md).
            weights: its .weights file; None: `cfg` is a name.
            names: the classes' names, as a list or a file with one a line; None: those of the
                model that is named, else their numbers.
            dialect: "pjreddie" or "alexeyab"; None: found from the cfg.
            device: where it runs; None: on the GPU, if PyTorch finds one.
            preprocess: how pictures are fitted to the input, see `Classifier`.
            half: calculate with 16 bits, see `Classifier`.
            backend: what runs the network: "torch"; "onnxruntime" or "openvino", for which it is
                converted once and kept (docs/backends.md); or "auto", the fastest of them here.
            int8: compute convolutions with 8 bits, by "openvino" (the default then) or
                "onnxruntime".
            calibration: the folder of pictures that `int8` finds its ranges on.

        Returns:
            A `Classifier`; for another backend than torch a `runtime.classifier.ModelClassifier`.

        Raises:
            DarknetError: a file is wrong, or there is no such device.
        """
        cfg, weights, names = find_files(cfg, weights, names)
        if backend != "torch" or int8:
            source = make_source(cfg, weights, dialect, half, int8, calibration)
            backend = "openvino" if backend == "torch" else backend
            place = None if device is None else str(device)
            return open_scorer(source, backend, names, place, preprocess=preprocess)
        network = Network.from_cfg(cfg, dialect, initialize=False)
        classifier = cls(network, names, preprocess, half=half)
        classifier._fill(weights, device)
        return classifier

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """The probabilities for prepared inputs, `(batch, channels, height, width)`.

        Raises:
            CfgError: a layer cannot take images of this size.
        """
        network, before = self.layout, self.layout.image
        size = inputs.shape[2:]
        if size != (before.height, before.width):
            network.resize(*size)
        try:
            if self.compiled is not None:
                (y,) = self.compiled(torch.from_numpy(inputs))
            else:
                (y,) = run_batch(network, inputs, None, self.half, self._file)
        finally:
            if size != (before.height, before.width):
                network.resize(before.height, before.width)
        scores: np.ndarray = y.float().flatten(1).cpu().numpy().copy()
        if self.tree is not None:
            multiply_down(scores, self.tree, leaves_only=network.dialect.classify_leaves)
        return scores

    def settle(self) -> None:
        """Be as fast from now on as after many runs."""
        settle(self.layout)

    def compile(self) -> None:
        """Run as machine code of the network's own from now on (docs/speed.md).

        It is made for the first batch, or found on disk; without a compiler there is a warning.

        Raises:
            DarknetError: with `preprocess` "resize_min" sums are those of C's loops.
        """
        from darknet_py.compiled import compile_runner

        if self.preprocess == "resize_min":
            raise DarknetError("preprocess resize_min sums in C's order: it is not compiled")
        self.compiled = compile_runner(self.network, None, self.half)

"""Classify pictures with a converted model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import get_args

import numpy as np

from darknet_py.datafile import make_tree, read_names
from darknet_py.dialect import Dialect, get_dialect
from darknet_py.errors import DarknetError
from darknet_py.hierarchy import multiply_down
from darknet_py.pictures import Fit
from darknet_py.runtime import open_model
from darknet_py.runtime.model import Model
from darknet_py.scorer import Scorer, fit_names
from darknet_py.shape import Shape


class ModelClassifier(Scorer):
    """A converted network that scores whole pictures; `darknet_py.Classifier` without torch.

    >>> classifier = ModelClassifier.load("tiny.onnx")
    >>> classifier.classify("dog.jpg", top=1)
    [Classification(class_id=14, name='malamute', probability=0.1418...)]
    """

    def __init__(
        self,
        model: Model,
        names: Sequence[str] | None = None,
        preprocess: Fit | None = None,
    ) -> None:
        """Take a model; what is None is as its metadata says.

        Args:
            model: of a network that gives each class a probability.
            names: of the classes, in order.
            preprocess: how pictures are fitted to the input, see `darknet_py.Classifier`;
                "resize_min" needs a model of `--dynamic-size`.

        Raises:
            DarknetError: the model is no classifier, or `preprocess` is not known.
        """
        metadata = model.metadata
        if metadata.task != "classify":
            raise DarknetError(f"{model.path}: holds no network that classifies pictures")
        self.preprocess = preprocess or metadata.fit
        if self.preprocess not in get_args(Fit):
            known = ", ".join(get_args(Fit))
            raise DarknetError(f"preprocess must be one of {known}, got {preprocess!r}")
        self.model, self.metadata = model, metadata
        self.classes = len(metadata.names)
        last = metadata.cfg.rpartition("\n[")[2]
        self.channels = 0 if last.startswith("cost]") else self.classes
        self.names = list(metadata.names) if names is None else fit_names(names, self.classes)
        parents = metadata.tree
        self.tree = make_tree([""] * len(parents), parents) if parents else None
        self._dialect = get_dialect(metadata.dialect)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        names: Sequence[str] | str | os.PathLike[str] | None = None,
        *,
        device: str | None = None,
        preprocess: Fit | None = None,
    ) -> ModelClassifier:
        """The classifier of an .onnx or .xml file.

        Args:
            path: as `darknet-py convert` wrote it.
            names: the classes' names, as a list or a file with one a line.
            device: see `runtime.open_model`.
            preprocess: see `ModelClassifier`.

        Raises:
            DarknetError: a file is wrong, or a package is missing.
        """
        if isinstance(names, str | os.PathLike):
            names = read_names(names)
        return cls(open_model(path, device), names, preprocess)

    @property
    def image(self) -> Shape:
        """The network's input."""
        return self.model.shape

    @property
    def dialect(self) -> Dialect:
        """Whose rules hold."""
        return self._dialect

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """The probabilities for prepared inputs, `(batch, channels, height, width)`."""
        scores = self.model.run(inputs)[0].reshape(len(inputs), -1).copy()
        if self.tree is not None:
            multiply_down(scores, self.tree, leaves_only=self._dialect.classify_leaves)
        return scores

"""Which library runs a network: PyTorch, onnxruntime, OpenVINO, or the fastest of them here.

Nothing here imports torch, unless PyTorch is chosen or a network is converted for the first time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from darknet_py.backends.choice import choose
from darknet_py.backends.converted import Say, open_cached
from darknet_py.backends.identity import Source
from darknet_py.errors import DarknetError

if TYPE_CHECKING:
    from darknet_py.finder import Finder
    from darknet_py.scorer import Scorer

BACKENDS = ("torch", "onnxruntime", "openvino", "auto")


def open_finder(
    source: Source,
    backend: str,
    names: Sequence[str] | None = None,
    device: str | None = None,
    say: Say = lambda line: None,
    **numbers: Any,
) -> Finder:
    """What finds objects with that library.

    Args:
        source: the network.
        backend: one of `BACKENDS`.
        names: of the classes.
        device: where it runs.
        say: takes each line that tells what is done, if anything is.
        numbers: thresh, nms, hier and letterbox, see `Detector`.

    Raises:
        DarknetError: a file is wrong, a package is missing, or the network cannot be converted.
    """
    if backend == "auto":

        def open_with(name: str) -> Finder:
            return open_finder(source, name, names, device, say, **numbers)

        return choose(source, open_with, device, say)
    if backend == "torch":
        from darknet_py.detector import Detector

        _refuse_int8(source)
        detector: Finder = Detector.load(
            source.cfg,
            source.weights,
            names,
            dialect=source.dialect,
            device=device,
            half=source.half,
            **numbers,
        )
        return detector
    from darknet_py.runtime.detector import ModelDetector

    model, about = open_cached(source, backend, device, say)
    found = ModelDetector(model, names, **numbers)
    found.about = about
    return found


def open_scorer(
    source: Source,
    backend: str,
    names: Sequence[str] | None = None,
    device: str | None = None,
    say: Say = lambda line: None,
    preprocess: Any = None,
) -> Scorer:
    """What scores whole pictures with that library; see `open_finder`.

    Raises:
        DarknetError: a file is wrong, a package is missing, or the network cannot be converted.
    """
    if backend == "auto":

        def open_with(name: str) -> Scorer:
            return open_scorer(source, name, names, device, say, preprocess)

        return choose(source, open_with, device, say)
    if backend == "torch":
        from darknet_py.classifier import Classifier

        _refuse_int8(source)
        return Classifier.load(
            source.cfg,
            source.weights,
            names,
            dialect=source.dialect,
            device=device,
            half=source.half,
            preprocess=preprocess,
        )
    if preprocess == "resize_min":
        raise DarknetError("preprocess resize_min, whose size changes, needs the backend torch")
    from darknet_py.runtime.classifier import ModelClassifier

    model, about = open_cached(source, backend, device, say)
    found = ModelClassifier(model, names, preprocess)
    found.about = about
    return found


def _refuse_int8(source: Source) -> None:
    if source.int8:
        raise DarknetError("int8 needs the backend openvino or onnxruntime")


__all__ = ["BACKENDS", "Source", "open_finder", "open_scorer"]

"""8 bit integers: calibration on pictures, OpenVINO's quantization, and what is lost by it."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from darknet_py.accuracy import match
from darknet_py.convert.extras import extra
from darknet_py.errors import DarknetError
from darknet_py.filetype import PICTURES
from darknet_py.pictures import fit_picture, read_picture
from darknet_py.runtime import open_model
from darknet_py.runtime.model import Model
from darknet_py.shape import Shape

if TYPE_CHECKING:
    from darknet_py.metadata import Metadata

MOST = 300
"""Pictures that are looked at."""
_SUMS = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul")
"""The operations that 8 bits are for."""


def check(metadata: Metadata) -> None:
    """See that the network can be quantized.

    Raises:
        DarknetError: it is recurrent, or takes no pictures.
    """
    if metadata.states or not metadata.input[1]:
        kind = "recurrent" if metadata.states else "without pictures as input"
        raise DarknetError(f"{metadata.cfg_path}: 8 bits are not for networks that are {kind}")


def find_pictures(folder: str | None) -> list[Path]:
    """The pictures in `folder`, in the order of their names.

    Raises:
        DarknetError: there is none.
    """
    if folder is None:
        raise DarknetError("int8 needs a folder of pictures to calibrate on: -calibration FOLDER")
    if not os.path.isdir(folder):
        raise DarknetError(f"{folder}: is no folder of pictures to calibrate on")
    found = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in PICTURES)
    if not found:
        raise DarknetError(f"{folder}: this folder holds no pictures ({' '.join(PICTURES)})")
    return found[:: -(-len(found) // MOST)]


def quantize(model: Any, metadata: Metadata, pictures: Sequence[Path]) -> Any:
    """`model` with convolutions in 8 bits, their ranges found on `pictures`.

    What comes after the last convolutions, the arithmetic of boxes, stays in 32 bits.
    """
    nncf = extra("nncf", "openvino")
    shape = Shape(*metadata.input)
    data = nncf.Dataset(pictures, lambda path: fit_picture(path, shape, metadata.fit))
    nncf.set_log_level(logging.ERROR)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # progress bars
        return nncf.quantize(
            model,
            data,
            subset_size=len(pictures),
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(names=_tail(model), validate=False),
        )


def _tail(model: Any) -> list[str]:
    """The operations behind the last convolutions."""
    feeds: dict[str, bool] = {}
    for operation in reversed(model.get_ordered_ops()):
        readers = [
            port.get_node() for output in operation.outputs() for port in output.get_target_inputs()
        ]
        feeds[operation.get_friendly_name()] = any(
            reader.get_type_name() in _SUMS or feeds[reader.get_friendly_name()]
            for reader in readers
        )
    inner = ("Constant", "Parameter", "Result", *_SUMS)
    return [
        operation.get_friendly_name()
        for operation in model.get_ordered_ops()
        if not feeds[operation.get_friendly_name()] and operation.get_type_name() not in inner
    ]


def report_loss(
    original: Path, quantized: Path, pictures: Sequence[Path], report: Callable[[str], None]
) -> None:
    """Run both models on `pictures` and tell how far the second is from the first."""
    models = [open_model(str(path)) for path in (original, quantized)]
    metadata = models[0].metadata
    where = f"8 bits against 32 on {len(pictures)} pictures"
    if metadata.head != "nms":
        gaps: dict[str, list[tuple[float, float]]] = {name: [] for name in metadata.outputs}
        shape = Shape(*metadata.input)
        for picture in pictures:
            inputs = fit_picture(picture, shape, metadata.fit)
            outputs = [model.run(inputs) for model in models]
            for name, a, b in zip(metadata.outputs, *outputs, strict=True):
                gap = np.abs(a - b)
                gaps[name].append((float(gap.max()), float(gap.mean())))
        parts = ", ".join(
            f"{name} {max(g[0] for g in gap):.2g} (mean {np.mean([g[1] for g in gap]):.1g})"
            for name, gap in gaps.items()
        )
        report(f"{where}: largest difference: {parts}")
    if metadata.task == "detect":
        report(f"{where}: {_compare_objects(models, pictures)}")
    elif metadata.task == "classify":
        report(f"{where}: {_compare_classes(models, pictures)}")


def _compare_objects(models: Sequence[Model], pictures: Sequence[Path]) -> str:
    from darknet_py.runtime.detector import ModelDetector

    first, second = (ModelDetector(model) for model in models)
    matches: list[tuple[float, float]] = []
    expected = others = 0
    for path in pictures:
        pixels = read_picture(path, first.image.channels)
        (a,), (b,) = first.find([pixels]), second.find([pixels])
        found = match(a, b)
        matches += found
        expected += int((a.scores > 0).sum())
        others += int((b.scores > 0).sum()) - len(found)
    overlap, gap = np.mean(matches, 0) if matches else (0.0, 0.0)
    return (
        f"{len(matches)} of {expected} objects found again, {others} others, "
        f"mean overlap {overlap:.3f}, mean difference of probability {gap:.3f}"
    )


def _compare_classes(models: Sequence[Model], pictures: Sequence[Path]) -> str:
    from darknet_py.runtime.classifier import ModelClassifier

    a, b = (ModelClassifier(model).predict(pictures) for model in models)
    same = int((a.argmax(1) == b.argmax(1)).sum())
    rows = np.arange(len(a))
    gap = np.abs(a[rows, a.argmax(1)] - b[rows, a.argmax(1)]).mean()
    return (
        f"the same best class for {same} of {len(a)}, mean difference of its probability {gap:.3f}"
    )

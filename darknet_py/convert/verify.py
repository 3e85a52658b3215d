"""Proof of a conversion: original and converted run on the same inputs, and are compared."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from darknet_py import image as images
from darknet_py.boxes import Detections, join_detections, suppress
from darknet_py.candidates import select_boxes
from darknet_py.convert.describe import describe
from darknet_py.convert.extras import extra
from darknet_py.convert.program import Program, first_states, fold
from darknet_py.errors import DarknetError, DarknetWarning
from darknet_py.files import packaged
from darknet_py.metadata import Metadata
from darknet_py.network import Network

if TYPE_CHECKING:
    from darknet_py.convert import Options

TOLERANCE = {"fp32": 1e-4, "fp16": 0.1}
"""The largest difference that passes, over the value's size where that is above 1; 8 bit integers
are reported only."""
MOST = 2000
"""With more candidates above the threshold, as untrained weights give them, no detections are
compared."""
STEPS = 3
"""Time steps that a recurrent network runs."""

Arrays = list[np.ndarray]
Run = Callable[[Sequence[np.ndarray]], Arrays]


@dataclass(frozen=True)
class Difference:
    """What a comparison found."""

    outputs: dict[str, float]
    """For each output the largest difference, over the value's size where that is above 1."""
    expected: int = 0
    """How many detections the original has, over all samples."""
    found: int = 0
    """How many of them the converted model has too: same class, boxes that overlap."""
    extra: int = 0
    """How many it has besides."""
    detections: float = 0.0
    """The largest difference of a box's side or a probability among those found."""
    undefined: int = 0
    """How many values of the original's outputs are no numbers."""

    @property
    def largest(self) -> float:
        """Of the outputs; not a number if one has a value where the other has none."""
        return float(np.max(list(self.outputs.values())))

    def lines(self) -> list[str]:
        """What people read of it."""
        parts = ", ".join(f"{name} {value:.1e}" for name, value in self.outputs.items())
        lines = [f"largest difference: {parts}"] if parts else []
        if self.expected or self.extra:
            lines.append(
                f"detections: {self.found} of {self.expected} found again, {self.extra} others, "
                f"largest difference {self.detections:.1e}"
            )
        return lines


def verify(network: Network, path: Path, options: Options, *, name: str) -> Difference:
    """Compare the converted model in `path` with `network`, and report.

    Args:
        network: the original.
        path: of the model, .onnx or .xml.
        options: the conversion's.
        name: what the model is called in messages.

    Raises:
        DarknetError: it differs by more than the tolerance, or does not run.
    """
    metadata = describe(network, (), options)
    pictures = sample_inputs(network, options)
    try:
        run = open_runner(path, metadata)
        difference = compare(network, run, pictures, metadata)
    except DarknetError:
        raise
    except Exception as error:  # each library has error types of its own
        reason = " ".join(str(error).split())[:300]
        raise DarknetError(f"{name}: the converted model does not run: {reason}") from None
    if difference.undefined:
        message = (
            f"{name}: the network's own outputs hold {difference.undefined} values that are no "
            "numbers: are its weights whole?"
        )
        warnings.warn(message, DarknetWarning, stacklevel=2)
    for line in difference.lines():
        options.report(line)
    limit = TOLERANCE.get(metadata.precision)
    missed = limit is not None and (
        not difference.largest <= limit
        or (metadata.head == "nms" and (difference.found < difference.expected or difference.extra))
    )
    if missed:
        raise DarknetError(
            f"{name}: differs from the network by more than {limit:g}: "
            + "; ".join(difference.lines())
        )
    return difference


def open_runner(path: Path, metadata: Metadata) -> Run:
    """A function that runs the model in `path`: inputs and states in, outputs and states out."""
    if path.suffix == ".xml":
        openvino = extra("openvino")
        hint = {"INFERENCE_PRECISION_HINT": "f32"}
        model = openvino.Core().compile_model(str(path), "CPU", hint)
        return lambda inputs: [np.array(value) for value in model(list(inputs)).values()]
    ort = extra("onnxruntime", "onnx")
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    session = ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return lambda inputs: list(session.run(None, dict(zip(names, inputs, strict=True))))


def original_runner(network: Network, metadata: Metadata) -> Run:
    """The same for `network` itself; `--head nms` gives boxes, scores and objectness."""
    folded = fold(network, keep_batchnorm=True)
    program = Program(folded, "raw" if metadata.head == "raw" else "boxes")

    @torch.inference_mode()
    def run(inputs: Sequence[np.ndarray]) -> Arrays:
        return [value.numpy() for value in program(*(torch.from_numpy(a) for a in inputs))]

    return run


def compare(
    network: Network,
    run: Run,
    inputs: Sequence[np.ndarray],
    metadata: Metadata,
    original: Run | None = None,
) -> Difference:
    """The largest differences over all `inputs`, each the input of one run.

    Args:
        network: the original.
        run: the converted model.
        inputs: float32 `(batch, ...)` each.
        metadata: of the converted model: which outputs it has.
        original: runs the original; None: `original_runner`.
    """
    original = original or original_runner(network, metadata)
    worst = {} if metadata.head == "nms" else dict.fromkeys(metadata.outputs, 0.0)
    total, undefined = Difference({}), 0
    for x in inputs:
        states = first_states(network, torch.from_numpy(x))
        ours = theirs = [state.numpy() for state in states]
        for _ in range(STEPS if states else 1):
            expected = original([x, *ours])
            actual = run([x, *theirs])
            count = len(expected) - len(ours)
            undefined += sum(int(np.isnan(array).sum()) for array in expected[:count])
            for name, a, b in zip(worst, expected, actual, strict=False):
                worst[name] = float(np.maximum(worst[name], largest_difference(a, b)))
            ours, theirs = expected[count:], actual[count:]
        if network.heads:
            total = _add(total, _detections(network, expected, actual, metadata, len(x)))
    outputs = worst or {"scores": total.detections}
    return replace(total, outputs=outputs, undefined=undefined)


def largest_difference(expected: np.ndarray, actual: np.ndarray) -> float:
    """The largest one, over the value's size where that is above 1; NaN is equal to NaN."""
    if expected.shape != actual.shape:
        return float("nan")
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(expected - actual) / np.maximum(np.abs(expected), 1)
    same = (expected == actual) | (np.isnan(expected) & np.isnan(actual))
    return float(np.where(same, 0, gap).max(initial=0))


def _detections(
    network: Network, expected: Arrays, actual: Arrays, metadata: Metadata, batch: int
) -> Difference:
    """The detections in the outputs of one run, compared."""
    total = Difference({})
    for sample in range(batch):
        candidates = _candidates(network, [array[sample] for array in expected], metadata)
        if metadata.head != "nms" and candidates.scores.any(1).sum() > MOST:
            continue
        a = _suppressed(candidates, metadata)
        if metadata.head == "nms":
            b = _kept(actual, sample, a.scores.shape[1])
        else:
            arrays = [array[sample] for array in actual]
            b = _suppressed(_candidates(network, arrays, metadata), metadata)
        total = _add(total, _match(a, b))
    return total


def _candidates(network: Network, arrays: Arrays, metadata: Metadata) -> Detections:
    """One sample's detections before non-maximum suppression."""
    thresh, hier = metadata.thresh, metadata.hier
    if metadata.head == "raw":
        outputs = [torch.from_numpy(array) for array in arrays]
        parts = [
            head.decode(output, network.image, thresh, hier)
            for head, output in zip(network.heads, outputs, strict=False)
        ]
        return join_detections(parts)
    boxes, scores, objectness = arrays[:3]
    return select_boxes(boxes, scores, objectness, metadata, thresh, hier)


def _suppressed(found: Detections, metadata: Metadata) -> Detections:
    kind = "default" if metadata.head == "nms" else metadata.nms_kind  # as the graph has it
    return suppress(found, metadata.nms, kind, metadata.beta_nms)


def _kept(arrays: Arrays, sample: int, classes: int) -> Detections:
    """One sample's detections from the outputs of `--head nms`."""
    boxes, scores, class_ids, batch_ids = arrays
    mine = batch_ids == sample
    table = np.zeros((int(mine.sum()), classes), np.float32)
    table[np.arange(len(table)), class_ids[mine]] = scores[mine]
    return Detections(boxes[mine], np.ones(len(table), np.float32), table)


def _match(expected: Detections, actual: Detections) -> Difference:
    """How many scored boxes of `expected` stand in `actual` with the same class."""
    found, largest = 0, 0.0
    ours, theirs = expected.scores > 0, actual.scores > 0
    for k in np.flatnonzero(ours.any(0) | theirs.any(0)):
        a, b = np.flatnonzero(ours[:, k]), np.flatnonzero(theirs[:, k])
        free = np.ones(len(b), bool)
        for i in a:
            with np.errstate(invalid="ignore", over="ignore"):
                gaps = np.abs(expected.boxes[i] - actual.boxes[b]).max(1)
                gaps /= max(1.0, float(np.abs(expected.boxes[i]).max()))
                gaps = np.maximum(gaps, np.abs(expected.scores[i, k] - actual.scores[b, k]))
            gaps = np.where(free & ~np.isnan(gaps), gaps, np.inf)
            nearest = int(gaps.argmin()) if len(gaps) else -1
            if nearest >= 0 and gaps[nearest] < 0.5:
                found, largest = found + 1, max(largest, float(gaps[nearest]))
                free[nearest] = False
    return Difference({}, int(ours.sum()), found, int(theirs.sum()) - found, largest)


def _add(a: Difference, b: Difference) -> Difference:
    return Difference(
        {},
        a.expected + b.expected,
        a.found + b.found,
        a.extra + b.extra,
        max(a.detections, b.detections),
    )


def sample_inputs(network: Network, options: Options) -> list[np.ndarray]:
    """A picture, and two samples of noise."""
    shape = network.image
    random = np.random.default_rng(0)
    sides: tuple[Any, ...] = (shape.height, shape.width) if shape.is_image else ()
    noise = random.random((2, shape.channels, *sides), np.float32)
    path = Path(options.image) if options.image else packaged("data/signs.jpg")
    if path is None or not shape.is_image or shape.channels not in (1, 3):
        return [noise]
    pixels = images.to_float(images.load_image(path, shape.channels))
    fitted = images.letterbox(pixels, shape.width, shape.height)
    return [images.to_planar(fitted), noise]

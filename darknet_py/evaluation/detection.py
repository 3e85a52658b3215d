"""The average precision of a detector over a list of pictures with label files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from darknet_py.detector import Detector
from darknet_py.errors import DarknetWarning
from darknet_py.evaluation.average_precision import MapReport, PrecisionCounter
from darknet_py.evaluation.stream import Found, find_all
from darknet_py.finder import Finder
from darknet_py.labels import read_labels
from darknet_py.network import Network
from darknet_py.pictures import BATCH
from darknet_py.results import label_path

MAP_THRESH, MAP_NMS = 0.005, 0.45
"""What `detector map` keeps and suppresses (C: AlexeyAB's detector.c:validate_detector_map)."""


def evaluate_map(
    detector: Network | Finder,
    paths: Sequence[str],
    names: Sequence[str] | None = None,
    *,
    points: int = 0,
    thresh: float = 0.25,
    iou_thresh: float = 0.5,
    batch: int = BATCH,
    watch: Callable[[Found, np.ndarray], None] | None = None,
) -> MapReport:
    """What a detector is worth on pictures with label files.

    Args:
        detector: see `count_map`.
        paths: of the pictures.
        names: of the classes; None: the detector's, or numbers.
        points: of the curve; 0: the area under it, 11 as in VOC 2007, 101 as in COCO.
        thresh: for precision, recall and average IoU.
        iou_thresh: a box that overlaps a truth by more has found it.
        batch: how many run at once.
        watch: gets each picture's boxes and truths.

    Raises:
        DarknetError: a picture cannot be read.
    """
    counter = count_map(
        detector, paths, names, thresh=thresh, iou_thresh=iou_thresh, batch=batch, watch=watch
    )
    return counter.report(points)


def count_map(
    detector: Network | Finder,
    paths: Sequence[str],
    names: Sequence[str] | None = None,
    *,
    thresh: float = 0.25,
    iou_thresh: float = 0.5,
    difficult: Sequence[str] | None = None,
    batch: int = BATCH,
    watch: Callable[[Found, np.ndarray], None] | None = None,
) -> PrecisionCounter:
    """Run a detector over pictures and compare with their label files.

    Args:
        detector: a network, also one that is being trained: it is put back as it was; or a
            detector with a threshold of its own, which should be `MAP_THRESH`.
        paths: of the pictures.
        names: of the classes; None: the detector's, or numbers.
        thresh: for precision, recall and average IoU.
        iou_thresh: a box that overlaps a truth by more has found it.
        difficult: for each picture another, in whose label file difficult objects stand.
        batch: how many run at once.
        watch: gets each picture's boxes and truths.

    Raises:
        DarknetError: a picture cannot be read.
    """
    with _as_finder(detector) as finder:
        known = finder.names if names is None else names
        counter = PrecisionCounter(known, thresh=thresh, iou_thresh=iou_thresh)
        for found in find_all(finder, paths, batch):
            truths = find_labels(found.path)
            hard = None if difficult is None else find_labels(difficult[found.index])
            counter.add(found.detections, truths, hard)
            if watch is not None:
                watch(found, truths)
    return counter


@contextmanager
def _as_finder(detector: Network | Finder) -> Iterator[Finder]:
    if isinstance(detector, Finder):
        yield detector
        return
    training = detector.training
    detector.eval()
    detector.reset_state()
    letterbox = bool(detector.net.letter_box)
    try:
        yield Detector(detector, thresh=MAP_THRESH, nms=MAP_NMS, hier=0, letterbox=letterbox)
    finally:
        detector.train(training)
        detector.reset_state()


def find_labels(path: str) -> np.ndarray:
    """The boxes in a picture's label file, `(n, 5)`; none, with a warning, without a file."""
    labels = label_path(path)
    if not labels.is_file():
        labels = _other_label_path(path)
    if not labels.is_file():
        warnings.warn(f"{path}: has no label file {labels}", DarknetWarning, stacklevel=2)
        return np.empty((0, 5), np.float32)
    return read_labels(labels)


def _other_label_path(path: str) -> Path:
    """As pjreddie's program finds it (C: data.c:fill_truth_detection); C looks for .jpg, .png."""
    for old in ("images", "JPEGImages", "raw"):
        path = path.replace(old, "labels", 1)
    return Path(path).with_suffix(".txt")

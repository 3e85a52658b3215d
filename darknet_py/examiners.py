"""Scores of a network while it is being trained, in C's cadence (-map, -topk)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from darknet_py.classifier import Classifier
from darknet_py.evaluation.average_precision import MapReport
from darknet_py.evaluation.detection import evaluate_map
from darknet_py.evaluation.top_k import TopCounter, View, middle, score_all, short_side
from darknet_py.layers.recurrent import Recurrent
from darknet_py.network import Network
from darknet_py.session import Examiner


@dataclass
class MapExaminer(Examiner):
    """The mAP on the pictures of `valid=` (C: AlexeyAB's detector.c:train_detector)."""

    paths: Sequence[str]
    names: Sequence[str] | None
    pause: int
    """Iterations between two evaluations: `map_pause`."""
    burn_in: int = 0
    points: int = 0
    thresh: float = 0.25
    iou_thresh: float = 0.5
    watch: Callable[[], None] = lambda: None
    """Called after each picture; what it raises ends the evaluation."""
    report: MapReport | None = field(default=None, init=False)
    """The last one."""

    def __post_init__(self) -> None:
        self.title = f"mAP@{self.iou_thresh:.2f}"

    def next(self, scored: int) -> int:
        """The next evaluation after the one of iteration `scored`."""
        return max(scored + self.pause, self.burn_in)

    def score(self, network: Network) -> float:
        """The mean average precision."""
        with at_rest(network):
            self.report = evaluate_map(
                network,
                self.paths,
                self.names,
                points=self.points,
                thresh=self.thresh,
                iou_thresh=self.iou_thresh,
                watch=lambda found, truths: self.watch(),
            )
        return float(self.report.mean_average_precision)


@dataclass
class TopExaminer(Examiner):
    """How often the class is among the first `k` (C: AlexeyAB's classifier.c:train_classifier)."""

    paths: Sequence[str]
    labels: Sequence[str]
    k: int
    pause: int
    """Iterations between two evaluations: those of two epochs."""
    burn_in: int = 0
    watch: Callable[[], None] = lambda: None
    """Called after each picture; what it raises ends the evaluation."""
    top_1: float = field(default=0.0, init=False)
    """The share of first answers that were right, of the last evaluation."""

    def __post_init__(self) -> None:
        self.title = f"top{self.k}"

    def next(self, scored: int) -> int:
        """The next evaluation after the one of iteration `scored`."""
        return max(scored + self.pause, self.burn_in, 100)

    def score(self, network: Network) -> float:
        """The share of pictures with the right class among `k` answers."""
        view: View = middle if network.dialect.name == "pjreddie" else short_side
        with at_rest(network):
            scorer = Classifier(network, [str(i) for i in range(len(self.labels))])
            tree, scorer.tree = scorer.tree, None
            counter = TopCounter(self.labels, min(self.k, len(self.labels)))
            scores = score_all(scorer, self.paths, view, tree=tree)
            for path, row in zip(self.paths, scores, strict=True):
                counter.add(path, row)
                self.watch()
        self.top_1 = counter.top_1
        return counter.top


def map_pause(images: int, batch: int, epochs: int) -> int:
    """Iterations between two evaluations of a detector: those of so many epochs, at least 100."""
    return max(epochs * images // max(batch, 1), 100)


@contextmanager
def at_rest(network: Network) -> Iterator[None]:
    """A network that answers at its cfg's size; it goes on learning as it was."""
    training = [(layer, layer.training) for layer in network.modules()]
    memory = [
        (layer, name, getattr(layer, name))
        for layer in network.modules()
        if isinstance(layer, Recurrent)
        for name in layer.memory
    ]
    size = network.image
    network.eval()
    network.reset_state()
    if size.is_image and (size.height, size.width) != (network.net.height, network.net.width):
        network.resize(network.net.height, network.net.width)
    try:
        yield
    finally:
        if network.image != size:
            network.resize(size.height, size.width)
        for layer, mode in training:
            layer.training = mode
        for layer, name, state in memory:
            setattr(layer, name, state)

"""`classify`, `classifier predict` and `classifier try`."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Argument, Command
from darknet_py.cli.flags import (
    BACKEND,
    CFG,
    CFG_OR_MODEL,
    CLASSIFIER_ONLY,
    CUDA,
    DATA,
    IMAGES,
    MODEL,
    MODEL_DATA,
    MODEL_WEIGHTS,
    PREPROCESS,
    TOP,
    WEIGHTS,
    WINDOWS,
)
from darknet_py.cli.inputs import for_all_images, for_each_image
from darknet_py.cli.load import load_classifier, load_scorer, print_accuracy
from darknet_py.cli.model import open_data
from darknet_py.errors import DarknetError
from darknet_py.pipeline import batch_size

if TYPE_CHECKING:
    import numpy as np

    from darknet_py.classifier import Classifier
    from darknet_py.datafile import DataFile
    from darknet_py.results import Classification
    from darknet_py.scorer import Scorer


def _classify(args: Namespace) -> int:
    data = open_data(args, "cfg/imagenet1k.data")
    return _predict_images(args, data, _top(args, 5))


def _predict(args: Namespace) -> int:
    data = open_data(args, "")
    return _predict_images(args, data, _top(args, data.number("top", 1) if data else 1))


def _top(args: Namespace, default: int) -> int:
    """How many classes to print; -t 0 is the default, as in C."""
    if args.t < 0:
        raise DarknetError(f"-t must not be negative, got {args.t}")
    return args.t or max(default, 1)


def _predict_images(args: Namespace, data: DataFile | None, top: int) -> int:
    classifier = load_scorer(args, data)
    alexeyab = classifier.dialect.name == "alexeyab"
    if alexeyab:
        classes = classifier.classes if data is None else data.number("classes", 2)
        print(f" classes = {classes}, output in cfg = {classifier.channels} ")
    if args.accuracy is not None:
        print_accuracy(args, classifier)
        if not args.image:
            return 0
    answer, run = partial(_answer, classifier, top, alexeyab), partial(_run, classifier)
    if classifier.preprocess == "resize_min":  # each image gives the network another size

        def answer_one(path: str) -> Callable[[], None]:
            inputs = classifier.prepare(path)
            return answer(path, inputs, run([inputs])[0])

        return for_each_image(args.image, answer_one)
    batch = batch_size(classifier.image)
    prepare = classifier.prepare
    return for_all_images(args.image, prepare, run, answer, batch, quiet=args.quiet)


def _run(classifier: Scorer, batch: Sequence[np.ndarray]) -> list[tuple[np.ndarray, float]]:
    """Each picture's scores, and the seconds it took."""
    if not batch:
        return []
    start = time.perf_counter()
    scores = classifier.run(batch[0] if len(batch) == 1 else _join(batch))
    seconds = (time.perf_counter() - start) / len(batch)
    return [(row, seconds) for row in scores]


def _join(batch: Sequence[np.ndarray]) -> np.ndarray:
    import numpy as np

    return np.concatenate(batch)


def _answer(
    classifier: Scorer,
    top: int,
    alexeyab: bool,
    path: str,
    inputs: np.ndarray,
    output: tuple[np.ndarray, float],
) -> Callable[[], None]:
    from darknet_py.cli.report import number_lines, percent_lines

    scores, seconds = output
    best = _best(classifier, scores, top)

    def show() -> None:
        if alexeyab:
            print(inputs.shape[3], inputs.shape[2])
            print(f"{path}: Predicted in {seconds * 1000:f} milli-seconds.")
            lines = number_lines(best) if classifier.tree is None else _tree_lines(classifier, best)
        else:
            print(f"{path}: Predicted in {seconds:f} seconds.", file=sys.stderr)
            # The program of 2016, whose fit that is, printed all digits.
            old = classifier.preprocess == "resize_min"
            lines = number_lines(best) if old else percent_lines(best)
        for line in lines:
            print(line)

    return show


def _try(args: Namespace) -> int:
    data = open_data(args, "")
    assert data is not None
    classifier = load_classifier(args, data)
    top = _top(args, data.number("top", 1))
    return for_each_image([args.image], partial(_view, classifier, top, args.layer))


def _view(classifier: Classifier, top: int, layer: str, path: str) -> Callable[[], None]:
    from darknet_py.cli.report import number_lines
    from darknet_py.inspection import view_layer

    if not layer.lstrip("-").isdigit():
        raise DarknetError(f"LAYER must be a layer's number, got {layer!r}")
    start = time.perf_counter()
    view = view_layer(classifier, path, int(layer))
    seconds = time.perf_counter() - start

    def show() -> None:
        for row in view.statistics.tolist():
            print("{:f} {:f} {:f}".format(*row))
        print("\n".join(f"{value:f}" for value in view.output.tolist()))
        print(f"{path}: Predicted in {seconds:f} seconds.")
        for line in number_lines(_best(classifier, view.scores, top)):
            print(line)

    return show


def _best(classifier: Scorer, scores: np.ndarray, top: int) -> list[Classification]:
    from darknet_py.results import Classification
    from darknet_py.scorer import top_k

    return [Classification(i, classifier.names[i], float(scores[i])) for i in top_k(scores, top)]


def _tree_lines(classifier: Scorer, best: list[Classification]) -> list[str]:
    """`INDEX, name: 0.5, parent: name`, as AlexeyAB's fork prints the classes of a tree."""
    tree, lines = classifier.tree, []
    for answer in best:
        parent = tree.parents[answer.class_id] if tree is not None else -1
        above = classifier.names[parent] if parent >= 0 else "Root"
        lines.append(f"{answer.class_id}, {answer.name}: {answer.probability:f}, parent: {above} ")
    return lines


CLASSIFY = Command(
    "classify",
    "Name what an image shows: the five most probable ImageNet classes.",
    (CFG_OR_MODEL, MODEL_WEIGHTS, IMAGES),
    (TOP, PREPROCESS, *BACKEND, *MODEL, *WINDOWS, *CLASSIFIER_ONLY, *CUDA),
    _classify,
)
PREDICT = Command(
    "classifier predict",
    "Name what an image shows, with the classes of a .data file.",
    (MODEL_DATA, CFG_OR_MODEL, MODEL_WEIGHTS, IMAGES),
    (TOP, PREPROCESS, *BACKEND, *MODEL, *WINDOWS, *CLASSIFIER_ONLY, *CUDA),
    _predict,
)
TRY = Command(
    "classifier try",
    "Print batch norm's arrays and every output of one layer, and the classes. The image's short "
    "side becomes 256, 224 x 224 pixels are cut out and normalised as ImageNet's.",
    (
        DATA,
        CFG,
        WEIGHTS,
        Argument("image", "the image"),
        Argument("layer", "the layer's number"),
    ),
    (TOP, *MODEL, *WINDOWS, *CLASSIFIER_ONLY, *CUDA),
    _try,
)

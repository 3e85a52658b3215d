"""`cifar test`, `multi`, `csv`, `csvtrain`, `eval` and `extract`: CIFAR-10's own files."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Command, Flag, file_name
from darknet_py.cli.flags import CFG, WEIGHTS
from darknet_py.cli.weights import FLAGS, load
from darknet_py.errors import DarknetError

if TYPE_CHECKING:
    import numpy as np

BATCHES = "data/cifar/cifar-10-batches-bin"
LABELS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BATCH = 100


def _test(args: Namespace) -> int:
    pictures, classes = _read(args, ["test_batch.bin"])
    start = time.perf_counter()
    scores = _scores(args, pictures)
    seconds = time.perf_counter() - start
    print(f"top1: {_accuracy(scores, classes):f}, {seconds:f} seconds, {len(pictures)} images")
    return 0


def _multi(args: Namespace) -> int:
    pictures, classes = _read(args, ["test_batch.bin"])
    scores = _scores(args, pictures, mirrored=True)
    right = 0
    for i, found in enumerate(scores.argmax(1) == classes):
        right += int(found)
        print(f"{i:4d}: {100 * right / (i + 1):.2f}%")
    return 0


def _csv(files: list[str], args: Namespace) -> int:
    pictures, classes = _read(args, files)
    scores = _scores(args, pictures, mirrored=True) / 2
    for row in scores.tolist():
        print(",".join(f"{value:.17g}" for value in row))
    sys.stdout.flush()
    print(f"Accuracy: {_accuracy(scores, classes):f}", file=sys.stderr)
    return 0


def _eval(args: Namespace) -> int:
    import numpy as np

    _, classes = _read(args, ["test_batch.bin"])
    path = "results/combined.csv"
    try:
        scores = np.loadtxt(path, delimiter=",", ndmin=2, dtype=np.float32)
    except (OSError, ValueError) as error:
        raise DarknetError(f"{path}: cannot be read: {error}") from None
    print(f"{len(scores)} {scores.shape[1]}", file=sys.stderr)
    if len(scores) != len(classes):
        raise DarknetError(f"{path}: has {len(scores)} rows for {len(classes)} pictures")
    print(f"Accuracy: {_accuracy(scores, classes):f}", file=sys.stderr)
    return 0


def _extract(args: Namespace) -> int:
    from darknet_py.image import save_image

    for folder, files in (("train", TRAIN), ("test", ["test_batch.bin"])):
        pictures, classes = _read(args, files)
        target = Path("data/cifar") / folder
        target.mkdir(parents=True, exist_ok=True)
        for i, (picture, number) in enumerate(zip(pictures, classes.tolist(), strict=True)):
            save_image(picture.transpose(1, 2, 0), target / f"{i}_{LABELS[number]}.png")
    return 0


def _read(args: Namespace, files: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The pictures `(n, 3, 32, 32)` and their classes (C: data.c:load_cifar10_data)."""
    import numpy as np

    rows = []
    for name in files:
        path = Path(args.folder) / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DarknetError(f"{path}: cannot be opened: {error.strerror}") from None
        if not data or len(data) % 3073:
            raise DarknetError(f"{path}: must hold records of 3073 bytes, has {len(data)} bytes")
        rows.append(np.frombuffer(data, np.uint8).reshape(-1, 3073))
    records = np.concatenate(rows)
    if records[:, 0].max() >= len(LABELS):
        raise DarknetError(f"{args.folder}: a record is of class {records[:, 0].max()}, past 9")
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(int)


def _scores(args: Namespace, pictures: np.ndarray, *, mirrored: bool = False) -> np.ndarray:
    """The network's answers, summed with those for the mirror images."""
    import numpy as np

    from darknet_py.image import to_float
    from darknet_py.inputs import run_batch

    network = load(args)
    network.eval()
    parts = []
    for start in range(0, len(pictures), BATCH):
        inputs = to_float(pictures[start : start + BATCH])
        views = [inputs, np.ascontiguousarray(inputs[..., ::-1])] if mirrored else [inputs]
        outputs = [run_batch(network, view, None, False)[0].flatten(1).numpy() for view in views]
        parts.append(sum(outputs[1:], outputs[0]))
    scores = np.concatenate(parts)
    if scores.shape[1] < len(LABELS):
        raise DarknetError(f"{args.cfg}: gives {scores.shape[1]} values for 10 classes")
    return scores


def _accuracy(scores: np.ndarray, classes: np.ndarray) -> float:
    return float((scores.argmax(1) == classes).mean())


TRAIN = [f"data_batch_{number}.bin" for number in range(1, 6)]
FOLDER = Flag("folder", f"where CIFAR-10's files are (default: {BATCHES})", file_name, BATCHES)


def _command(name: str, doc: str, run: Callable[[Namespace], int], words: bool = True) -> Command:
    return Command(f"cifar {name}", doc, (CFG, WEIGHTS) if words else (), (FOLDER, *FLAGS), run)


COMMANDS = (
    _command("test", "Print how many of CIFAR-10's test pictures are classified right.", _test),
    _command("multi", "The same with mirror images summed, picture by picture.", _multi),
    _command(
        "csv", "Print all probabilities of the test pictures.", partial(_csv, ["test_batch.bin"])
    ),
    _command("csvtrain", "Print all probabilities of the training set.", partial(_csv, TRAIN)),
    _command("eval", "Score the probabilities in results/combined.csv.", _eval, False),
    _command("extract", "Write every picture to data/cifar/train and test.", _extract, False),
)

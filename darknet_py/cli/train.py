"""The train commands: `detector train`, `classifier train`, `yolo train`, `rnn train`, ..."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace

from darknet_py.cli.arguments import Argument, Command, Flag, file_name
from darknet_py.cli.cifar import BATCHES
from darknet_py.cli.flags import CFG, DATA, DIALECT, WINDOWS
from darknet_py.cli.train_session import Spec
from darknet_py.errors import DarknetError

TRAIN_DATA = replace(
    DATA,
    doc="the .data file: train= and valid= are lists of pictures, names= or labels= of classes, "
    "backup= the folder for weights",
)
TRAIN_WEIGHTS = Argument(
    "weights",
    "the weights to start from: whole, or cut (darknet53.conv.74); NAME_last.weights goes on "
    "exactly where its run was, where NAME_last.state is beside it",
    required=False,
)
FLAGS = (
    Flag("clear", "forget how many images the weights have seen: start at iteration 0"),
    Flag(
        "resume",
        "go on from NAME_last.state in the folder for weights, if there is one; else start as "
        "without this flag",
    ),
    Flag("seed", "of all that is random (default: 0, or that of the run gone on with)", int),
    Flag(
        "out", "the folder for weights (default: backup= of the .data file, else backup)", file_name
    ),
    Flag("save_minutes", "save the state after so many minutes, too, 0: no (10)", float, 10.0),
    Flag("workers", "how many threads prepare pictures, 0: none (default: 2)", int, 2),
    Flag("processes", "prepare pictures in processes instead of threads"),
    Flag("amp", "compute in bfloat16 where that is safe"),
    Flag(
        "max_norm",
        "scale the gradients of an update down to this length per image where they are longer, "
        "which keeps a high learning rate from running away; 0: as C, no limit (0)",
        float,
        0.0,
    ),
    Flag("c_lines", "print what C prints, line by line, in the dialect's format"),
    Flag("tensorboard", "write TensorBoard's files to this folder (needs the extra)", file_name),
    Flag("chart", "an older chart.png to draw on", file_name),
    Flag("no_chart", "write no chart.png and chart_NAME.png"),
    Flag("mjpeg_port", "show the chart to browsers at this port", int, -1),
    Flag("show_imgs", "write the first mini-batch's pictures, as the network sees them"),
    Flag("benchmark_layers", "print at the end how long each layer took"),
    DIALECT,
    Flag("i", "the GPU to use, where there is one (default: 0)", int),
    Flag(
        "gpus",
        "GPUs, as 0,1: each trains on its part of every mini-batch, in a process of its own",
        str,
    ),
    Flag(
        "syncbn",
        "in several processes (-gpus, torchrun): batch norm goes by the images of all of them",
    ),
    Flag("nogpu", "train on the CPU"),
    Flag("device", "a torch device, such as cpu, cuda:1 or mps", str),
    Flag("quiet", "do not print the table of layers and the loading of weights"),
)
MAP_FLAGS = (
    Flag("map", "compute the mAP on valid= now and then; the best goes to NAME_best.weights"),
    Flag("mAP_epochs", "epochs between two evaluations (default: 4)", int, 4),
    Flag("points", "of the mAP: 0 area under the curve, 11 VOC 2007, 101 COCO", int, 0),
    Flag("thresh", "for precision, recall and average IoU of -map (0.25)", float, 0.25),
    Flag("iou_thresh", "the overlap that counts as found in -map (default: 0.5)", float, 0.5),
)
TOP_FLAGS = (
    Flag(
        "topk",
        "compute the top-k accuracy on valid= now and then (top= of the .data file); the best "
        "goes to NAME_best.weights",
    ),
)
_IDLE = (
    *WINDOWS,
    Flag("c", kind=int, idle=True),
    Flag("s", kind=int, idle=True),
    Flag("t", kind=int, idle=True),
    Flag("avg", kind=int, idle=True),
    Flag("hier", kind=float, idle=True),
    Flag("display", idle=True),
    Flag("dontuse_opencv", idle=True),
    Flag("benchmark", idle=True),
    Flag("letter_box", idle=True),
    Flag("ext_output", idle=True),
    Flag("cuda_debug_sync", idle=True),
    Flag("prefix", kind=str, idle=True),
    Flag("json_port", kind=int, idle=True),
)


def _train(make: Callable[[], Spec], name: str, args: Namespace) -> int:
    from darknet_py.cli.training import run

    args.command = name
    args.map = getattr(args, "map", False)
    for flag in ("workers", "save_minutes"):
        if getattr(args, flag) < 0:
            raise DarknetError(f"-{flag} must be 0 or more, got {getattr(args, flag):g}")
    return run(make(), args)


def _detector() -> Spec:
    from darknet_py.checkpoints import Cadence

    cadences = {
        "pjreddie": Cadence(every=10000, early=100, backup=True),
        "alexeyab": Cadence(from_last=True),
    }
    return Spec("detector", cadences, "detector", "map")


def _classifier() -> Spec:
    from darknet_py.checkpoints import Cadence

    cadences = {
        "pjreddie": Cadence(last_every=1000, epochs=True, backup=True, plain=True),
        "alexeyab": Cadence(every=1000, from_last=True, at_multiples=False),
    }
    return Spec("classifier", cadences, "classifier", "top")


def _by_epochs(kind: str, keep: float = 0.9, last: int = 100) -> Callable[[], Spec]:
    """The commands that save at each epoch."""

    def make() -> Spec:
        from darknet_py.checkpoints import Cadence

        cadence = Cadence(last_every=last, epochs=True, backup=True, plain=True)
        return Spec(kind, dict.fromkeys(("pjreddie", "alexeyab"), cadence), "epochs", keep=keep)

    return make


def _counted(kind: str, early: int) -> Callable[[], Spec]:
    """`yolo`, `coco` and `super`."""

    def make() -> Spec:
        from darknet_py.checkpoints import Cadence

        cadence = Cadence(every=1000, early=early, backup=True)
        return Spec(kind, dict.fromkeys(("pjreddie", "alexeyab"), cadence), "counted")

    return make


def _rnn() -> Spec:
    from darknet_py.checkpoints import Cadence

    cadences = {
        "pjreddie": Cadence(every=10000, backup=True),
        "alexeyab": Cadence(last_every=10, every=1000, backup=True),
    }
    return Spec("rnn", cadences, "rnn")


def _list(default: str, what: str = "the list of pictures") -> Flag:
    return Flag("list", f"{what} (default: {default})", file_name, default)


def _command(
    name: str, doc: str, make: Callable[[], Spec], *own: Flag, with_data: bool = False
) -> Command:
    words = (TRAIN_DATA, CFG, TRAIN_WEIGHTS) if with_data else (CFG, TRAIN_WEIGHTS)
    live = {flag.name for flag in (*own, *FLAGS)}
    others = (*_IDLE, *(replace(flag, idle=True) for flag in (*MAP_FLAGS, *TOP_FLAGS)))
    idle = tuple(flag for flag in others if flag.name not in live)
    return Command(name, doc, words, (*own, *FLAGS, *idle), lambda args: _train(make, name, args))


COMMANDS = (
    _command(
        "detector train",
        "Train a detector. It can be killed at any moment and goes on exactly from its last "
        "checkpoint (docs/training.md).",
        _detector,
        *MAP_FLAGS,
        with_data=True,
    ),
    _command(
        "classifier train",
        "Train a classifier; tag=1 in the .data file: one of several tags.",
        _classifier,
        *TOP_FLAGS,
        with_data=True,
    ),
    _command("regressor train", "Train a network that gives numbers.", _by_epochs("regressor"),
             with_data=True),
    _command("segmenter train", "Train a network that gives a mask for each class.",
             _by_epochs("segmenter"), with_data=True),
    _command("isegmenter train", "Train a network that gives a mask for each object.",
             _by_epochs("isegmenter"), with_data=True),
    _command("yolo train", "Train a YOLOv1 network.", _counted("detector", 100),
             _list("data/voc/train.txt")),
    _command("coco train", "Train a YOLOv1 network on COCO.", _counted("detector", 100),
             _list("data/coco.trainval.txt")),
    _command("cifar train", "Train a classifier on CIFAR-10's own files.",
             _by_epochs("cifar", 0.95), _list(BATCHES, "the folder of data_batch_1.bin, ...")),
    _command(
        "rnn train",
        "Train a network that writes text.",
        _rnn,
        Flag("file", "the text (default: data/shakespeare.txt)", file_name, "data/shakespeare.txt",
             also=("list",)),
        Flag("tokenized", "the file holds numbers of tokens"),
    ),
    _command("tag train", "Train a network that gives several tags.", _by_epochs("tag"),
             _list("tag/train.list")),
    _command("super train", "Train a network that enlarges pictures.", _counted("super", 0),
             _list("data/imagenet/imagenet1k.train.list")),
    _command("go train", "Train a network that plays Go.", _by_epochs("go", 0.95, 1000),
             _list("backup/go.train", "the file of moves")),
    _command("writing train", "Train a network that marks handwriting.", _by_epochs("writing"),
             _list("figures.list")),
    _command("compare train", "Train a network that compares pictures.", _by_epochs("compare"),
             _list("data/compare.train.list")),
)  # fmt: skip

"""The data set that a network trains on: from its cfg and a .data file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from darknet_py.bad_list import BadList
from darknet_py.datafile import DataFile, read_list
from darknet_py.datasets.arrays import Cifar, GoMoves, read_cifar, read_moves
from darknet_py.datasets.base import Dataset
from darknet_py.datasets.blueprint import Blueprint
from darknet_py.datasets.classification import Classification
from darknet_py.datasets.detection import CroppedDetection, GridDetection, PlacedDetection
from darknet_py.datasets.masks import InstanceSegmentation, Segmentation
from darknet_py.datasets.pairs import Comparison, SuperResolution, Writing
from darknet_py.datasets.pictures import MEMORY
from darknet_py.datasets.sequences import Sequences
from darknet_py.datasets.text import Text, read_characters, read_tokens
from darknet_py.datasets.viewed import PlainClassification, Regression, Tagged
from darknet_py.errors import DataError

if TYPE_CHECKING:
    from darknet_py.network import Network

_BOX_HEADS = ("yolo", "Gaussian_yolo", "region")


def dataset_of(
    network: Network,
    data: DataFile | str | Path,
    kind: str | None = None,
    seed: int = 0,
    *,
    bad: Path | None = None,
    memory: int = MEMORY,
) -> Dataset:
    """The data that `network` is trained on.

    Args:
        network: its cfg says how images are varied and what the truth looks like.
        data: a .data file, or the list (text, binary file, folder) that its `train` would name.
        kind: one of `KINDS`; None: "detector" or "isegmenter" where the network has such a
            head, else "classifier", or "tag" where the .data file says tag=1.
        seed: of all that is random.
        bad: the folder where bad.list and bad_label.list are written; None: nowhere.
        memory: bytes of decoded pictures that are kept.

    Raises:
        DataError: the data do not fit the network, or cannot be read.
        CfgError: a list cannot be opened.
    """
    builder = Blueprint(network, data, seed, BadList(bad), memory)
    kind = kind or builder.find_kind()
    if kind not in KINDS:
        raise DataError(f"the kind of data must be one of {', '.join(KINDS)}, got {kind!r}")
    return KINDS[kind](builder)


def _detector(b: Blueprint) -> Dataset:
    layers = [layer for layer in b.network if layer.section.type in _BOX_HEADS]
    layer = layers[-1] if layers else b.network[len(b.network) - 1]
    head: Any = layer.options
    if layer.section.type not in (*_BOX_HEADS, "detection"):
        raise DataError(
            f"{b.network.sections[0].path}: has no [yolo], [Gaussian_yolo], [region] or "
            "[detection] to train with boxes"
        )
    shared = {
        **b.listed(),
        "classes": head.classes,
        "rule": b.dialect.label_path,
        "options": b.window(head),
    }
    if layer.section.type == "detection":
        return GridDetection(**shared, side=head.side, least=b.dialect.least_grid_box)
    if b.dialect.detector_view == "placed":
        return PlacedDetection(**shared, most=head.max)
    o = b.options
    mixing: Literal["", "mixup", "mosaic"] = "mixup" if b.mixing == "mixup" else ""
    if "mosaic" in b.mixing:
        mixing = "mosaic"
    if mixing == "mosaic" and b.network.net.letter_box:
        raise b.network.sections[0].error("letter_box=1 and mosaic=1 do not go together", "mosaic")
    if "cutmix" in b.mixing:
        b.network.sections[0].warn("cutmix is for classifiers alone and is left out", "cutmix")
    return CroppedDetection(
        **shared,
        most=head.max,
        mixing=mixing,
        mosaic_bound=o.mosaic_bound,
        contrastive=o.contrastive,
        contrastive_jit_flip=o.contrastive_jit_flip,
        contrastive_color=o.contrastive_color,
        sequences=_sequences(b) if o.track else None,
    )


def _sequences(b: Blueprint) -> Sequences:
    s, form = b.schedule, b.form
    return Sequences(
        streams=b.streams,
        rows=form.images * form.subdivisions,
        subdivisions=form.subdivisions,
        sequential=s.sequential_subdivisions or form.subdivisions,
        speed=b.options.augment_speed,
        steps=s.steps,
        scales=s.seq_scales,
    )


def _classifier(b: Blueprint) -> Dataset:
    o, shared = b.options, b.ratios()
    if o.unsupervised:
        return Classification(**shared, unsupervised=b.outputs, contrastive=o.contrastive)
    return Classification(
        **shared,
        labels=b.labels(),
        tree=b.tree,
        smooth=o.label_smooth_eps,
        mixing=b.mixing,
        blur=o.blur,
        contrastive=o.contrastive,
    )


def _plain_classifier(b: Blueprint) -> Dataset:
    return PlainClassification(**b.listed(), labels=b.labels(), tree=b.tree)


def _tag(b: Blueprint) -> Dataset:
    return Tagged(**b.ratios(), count=b.outputs, rule=b.dialect.tag_path)


def _regressor(b: Blueprint) -> Dataset:
    count = b.data.number("classes", 1) if isinstance(b.data, DataFile) else b.outputs
    b.check_outputs(count)
    return Regression(**b.ratios(), count=count)


def _segmenter(b: Blueprint) -> Dataset:
    out = b.network[b.network.output_index].out_shape
    if not out.is_image or b.form.width % out.width or b.form.height % out.height:
        raise DataError(
            f"{b.network.sections[0].path}: the output must be a map whose sides divide the input's"
        )
    return Segmentation(**b.viewed(), classes=out.channels, divisor=b.form.width // out.width)


def _isegmenter(b: Blueprint) -> Dataset:
    layer = next((x for x in b.network if x.section.type == "iseg"), None)
    if layer is None:
        raise DataError(f"{b.network.sections[0].path}: has no [iseg] to train with masks")
    options: Any = layer.options
    divisor = b.form.width // layer.out_shape.width
    return InstanceSegmentation(**b.viewed(), classes=options.classes, divisor=divisor)


def _text(b: Blueprint, *, tokens: bool = False) -> Dataset:
    limit = b.network.image.size
    read = read_tokens if tokens else read_characters
    symbols = read(str(b.train), limit)
    return Text(**b.plain(), symbols=symbols, jump=b.dialect.stream_jump, path=str(b.train))


def _cifar(b: Blueprint) -> Dataset:
    path = b.train
    files = sorted(path.glob("data_batch_*.bin")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: holds no data_batch_1.bin")
    b.check_outputs(10)
    if (b.form.channels, b.form.height, b.form.width) != (3, 32, 32):
        raise DataError(f"{b.network.sections[0].path}: CIFAR's pictures are 3 x 32 x 32")
    pictures, classes = read_cifar(*map(str, files))
    return Cifar(**b.plain(), pictures=pictures, classes=classes, path=str(path))


def _go(b: Blueprint) -> Dataset:
    b.need_image((1, 3))
    moves = read_moves(str(b.train))
    return GoMoves(**b.plain(), moves=moves, outputs=b.outputs, path=str(b.train))


def _writing(b: Blueprint) -> Dataset:
    out = b.network[b.network.output_index].out_shape
    return Writing(**b.listed(), out=(out.height, out.width))


def _super(b: Blueprint) -> Dataset:
    out = b.network[b.network.output_index].out_shape
    return SuperResolution(**b.listed(), scale=max(out.width // b.form.width, 1))


def _compare(b: Blueprint) -> Dataset:
    b.need_image((6,))
    paths = tuple(read_list(b.train))
    pictures = b.pictures(3)
    return Comparison(**b.plain(), paths=paths, pictures=pictures, classes=b.outputs // 2)


KINDS: dict[str, Callable[[Blueprint], Dataset]] = {
    "detector": _detector,
    "classifier": _classifier,
    "plain classifier": _plain_classifier,
    "tag": _tag,
    "regressor": _regressor,
    "segmenter": _segmenter,
    "isegmenter": _isegmenter,
    "rnn": _text,
    "tokens": lambda b: _text(b, tokens=True),
    "cifar": _cifar,
    "go": _go,
    "writing": _writing,
    "super": _super,
    "compare": _compare,
}
"""What data can be, by the names of the commands that train on them."""

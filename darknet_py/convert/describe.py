"""The metadata that a network leaves with."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from darknet_py import __version__
from darknet_py.cfg import format_cfg, read_files
from darknet_py.errors import DarknetWarning
from darknet_py.layers.detection import Detection
from darknet_py.layers.recurrent import Recurrent
from darknet_py.layers.region import Region
from darknet_py.layers.softmax import Softmax
from darknet_py.layers.yolo_head import YoloHead
from darknet_py.metadata import Metadata, Objectness
from darknet_py.network import Network

if TYPE_CHECKING:
    from darknet_py.convert import HeadKind, Options
    from darknet_py.layers import Head


def describe(
    network: Network, names: Sequence[str], options: Options, *, folds: bool = False
) -> Metadata:
    """The metadata of `network`.

    Args:
        network: with its weights loaded.
        names: of the classes; numbers stand in where there are too few, more are left out.
        options: the conversion's.
        folds: whether the format folds batch norm into the weights, unless told not to.
    """
    dialect, shape, heads = network.dialect, network.image, network.heads
    last = network[network.output_index]
    classes = max((head.classes for head in heads), default=last.out_shape.size)
    head: HeadKind = options.head if heads else "raw"
    task = find_task(network)
    fit: Literal["letterbox", "crop", "squash"] = dialect.classify_fit
    if heads:
        fit = "letterbox" if dialect.letterbox or network.net.letter_box else "squash"
    nms = heads[-1].options if heads else None
    return Metadata(
        task=task,
        cfg=format_cfg(network.sections),
        cfg_path=network.sections[0].path,
        dialect=dialect.name,
        names=_fill(names, classes) if task != "other" else (),
        version=__version__,
        weights_header=(*network.version, network.seen),
        input=(shape.channels, shape.height, shape.width),
        fit=fit,
        head=head,
        outputs=output_names(network, head),
        states=tuple(state_names(network)),
        thresh=dialect.thresh if options.thresh is None else options.thresh,
        nms=options.nms,
        nms_kind=getattr(nms, "nms_kind", "default"),
        beta_nms=getattr(nms, "beta_nms", 0.6),
        objectness=_objectness(heads),
        anchors=tuple(_anchors(head) for head in heads),
        tree=_tree(network),
        files=tuple(read_files(network.sections).items()),
        folded=folds and not options.keep_batchnorm,
        precision="int8" if options.int8 else "fp16" if options.half else "fp32",
    )


def find_task(network: Network) -> Literal["detect", "classify", "other"]:
    """What a network is for: it has heads, or takes pictures and gives one score a class."""
    if network.heads:
        return "detect"
    shape = network[network.output_index].out_shape
    one_pixel = shape.height * shape.width <= 1
    return "classify" if network.image.is_image and one_pixel else "other"


def output_names(network: Network, head: HeadKind) -> tuple[str, ...]:
    """The outputs' names, in order."""
    if not network.heads:
        layer = network[network.output_index]
        task = find_task(network)
        return ("probabilities",) if task == "classify" else (layer_name(network, layer.index),)
    if head == "boxes":
        return ("boxes", "scores", "objectness")
    if head == "nms":
        return ("boxes", "scores", "class_ids", "batch_ids")
    return tuple(layer_name(network, layer.index) for layer in network.heads)


def layer_name(network: Network, index: int) -> str:
    """What a layer is called in other formats: `layer_82_yolo`."""
    return f"layer_{index}_{network[index].section.type}"


def state_names(network: Network) -> dict[str, tuple[int, str]]:
    """The names of what recurrent layers remember: of which layer, and in which buffer."""
    return {
        f"{layer_name(network, layer.index)}_{memory}": (layer.index, memory)
        for layer in network
        if isinstance(layer, Recurrent)
        for memory in layer.memory
    }


def _fill(names: Sequence[str], classes: int) -> tuple[str, ...]:
    if len(names) >= classes:
        return tuple(names[:classes])
    if names:
        message = f"{len(names)} names for {classes} classes: the classes are numbered"
        warnings.warn(message, DarknetWarning, stacklevel=4)
    return tuple(str(number) for number in range(classes))


def _objectness(heads: Sequence[Head]) -> Objectness:
    last = heads[-1] if heads else None
    if isinstance(last, Region):
        return "ones" if last.interleaved else "zeroed"
    return "kept" if isinstance(last, Detection) else "above"


def _anchors(head: Head) -> tuple[float, ...]:
    if isinstance(head, YoloHead):
        return tuple(head.anchors[list(head.mask)].ravel().tolist())
    return tuple(head.anchors.ravel().tolist()) if isinstance(head, Region) else ()


def _tree(network: Network) -> tuple[int, ...]:
    """The parents of the last class tree; the softmax of a classifier or a head has it."""
    trees = [layer.tree for layer in network if isinstance(layer, Softmax | Region) and layer.tree]
    return tuple(trees[-1].parents) if trees else ()

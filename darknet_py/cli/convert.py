"""`convert`."""

from __future__ import annotations

from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Argument, Command, Flag, UsageError, file_name
from darknet_py.cli.download import use_name
from darknet_py.cli.flags import DIALECT, NAMES
from darknet_py.cli.model import classifier_names, detector_names, resolve
from darknet_py.convert import FORMATS, Options, check_target, convert_network, target_name
from darknet_py.datafile import read_data
from darknet_py.download import check_name, is_name

if TYPE_CHECKING:
    from darknet_py.network import Network


def _convert(args: Namespace) -> int:
    if args.to is None:
        raise UsageError(f"convert needs --to FORMAT: {', '.join(FORMATS)}")
    path = Path(args.out) if args.out else target_name(args.weights or args.cfg, args.to)
    check_target(path, args.force, args.to)
    if args.weights is None and is_name(args.cfg):
        use_name(args)
    if args.weights is None:
        check_name(args.cfg)
    weights = None if args.weights is None else resolve(args.weights)
    from darknet_py.convert.source import read_source

    exact = args.to == "weights"
    network, names = read_source(resolve(args.cfg), weights, args.dialect, exact=exact)
    options = Options(
        head=args.head,
        dynamic_size=args.dynamic_size,
        half=args.half,
        keep_batchnorm=args.keep_batchnorm,
        verify=not args.no_verify,
        standalone=args.standalone,
        int8=args.int8,
        calibration=args.calibration,
        image=None if args.image is None else resolve(args.image),
        thresh=args.thresh,
        nms=args.nms,
        report=(lambda line: None) if args.quiet else partial(print, flush=True),
    )
    if args.names or args.data or not names:
        names = _names(network, args)
    convert_network(network, args.to, path, names=names, force=args.force, options=options)
    if not args.quiet:
        print(f"{path}: {path.stat().st_size:,} bytes")
    return 0


def _names(network: Network, args: Namespace) -> list[str]:
    """The classes' names, as the commands that answer find them."""
    from darknet_py.convert.describe import find_task

    data = read_data(resolve(args.data)) if args.data else None
    if data is None:
        del args.data  # to the functions below it would be asked for
    if network.heads:
        return detector_names(args, data, max(head.classes for head in network.heads))
    if find_task(network) == "classify":
        size = network[network.output_index].out_shape.size
        return classifier_names(args, data, size)
    return []


CONVERT = Command(
    "convert",
    "Write a network in another format, and prove that nothing changed. A model that carries its "
    "cfg (.safetensors, .pt, .onnx with -keep-batchnorm) stands alone in the place of CFG.",
    (
        Argument("cfg", "the .cfg file, a model that carries it, or a name that download knows"),
        Argument("weights", "the .weights file, .safetensors file or state_dict", required=False),
    ),
    (
        Flag(
            "to",
            "; ".join(f"{name}: {format.doc}" for name, format in FORMATS.items()),
            str,
            choices=tuple(FORMATS),
        ),
        Flag("out", "the file to write (default: the weights' name, with its suffix)", file_name),
        Flag(
            "head",
            "raw: each head's own tensor, as C has it; boxes: boxes and scores of all heads "
            "(default); nms: non-maximum suppression inside",
            str,
            "boxes",
            choices=("raw", "boxes", "nms"),
        ),
        Flag("thresh", "with -head nms: the least score (default: the dialect's)", float),
        Flag("nms", "with -head nms: the largest overlap (default: 0.45)", float, 0.45),
        Flag("dynamic-size", "onnx: leave height and width open"),
        Flag("half", "16 bit floats", also=("fp16",)),
        Flag("int8", "onnx and openvino: 8 bit integers; needs -calibration"),
        Flag("calibration", "the folder of pictures for -int8", file_name),
        Flag("keep-batchnorm", "onnx: do not fold batch norm, so that it can go back to Darknet"),
        Flag("standalone", "torch: the network as a Python file of its own, too"),
        Flag("no-verify", "do not run and compare the result"),
        Flag("image", "the picture to compare on (default: one of the package's)", file_name),
        Flag("force", "replace a file that exists"),
        Flag("quiet", "print nothing but errors and warnings"),
        DIALECT,
        NAMES,
        Flag("data", "the .data file that says where the names are", file_name),
    ),
    _convert,
)

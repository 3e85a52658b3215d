"""`nightmare`: a picture changed until a layer likes it."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Argument, Command, Flag
from darknet_py.cli.flags import CFG, WEIGHTS
from darknet_py.cli.weights import FLAGS, load, number

if TYPE_CHECKING:
    import numpy as np

    from darknet_py.network import Network
    from darknet_py.nightmare import Reconstruction


def _nightmare(args: Namespace) -> int:
    import numpy as np

    from darknet_py import nightmare
    from darknet_py.image import load_image, save_image, to_bytes, to_float

    layer = number(args, "layer")
    network = load(args)
    nightmare.check_layer(network, layer)
    network.eval()
    picture = to_float(load_image(args.image, network.image.channels))
    random = np.random.default_rng(args.seed)
    dream = nightmare.Dream(
        layer, args.range, args.octaves, args.rate, args.thresh, bool(args.norm)
    )
    reconstruction = None
    if args.reconstruct:
        picture, reconstruction = _start(network, picture, layer, args)
    base = f"{_base(args.image)}_{_base(args.cfg)}_{layer}"
    for round_ in range(args.rounds):
        print("Iteration: ", end="", file=sys.stderr, flush=True)
        for iteration in range(args.iters):
            print(f"{iteration}, ", end="", file=sys.stderr, flush=True)
            if reconstruction is None:
                picture = nightmare.dream_step(network, picture, dream, random)
                shape = network.image
                sizes = f"{shape.width} {shape.height}"
                print(f"\nnet: {sizes} {shape.size} im: {sizes} {shape.channels}")
            else:
                picture, length = reconstruction.step(picture)
                print(f"mag: {length:f}")
        print("done", file=sys.stderr)
        name = (
            f"{base}_{round_:06d}" if args.prefix is None else f"{args.prefix}/{base}_{round_:06d}"
        )
        print(f"{round_} {name}", flush=True)
        save_image(to_bytes(picture), Path(f"{name}.jpg"))
        picture = nightmare.turn_and_zoom(picture, args.rotate, args.zoom)
    return 0


def _start(
    network: Network, picture: np.ndarray, layer: int, args: Namespace
) -> tuple[np.ndarray, Reconstruction]:
    """The letterboxed picture, and what changes it."""
    from darknet_py.image import letterbox
    from darknet_py.nightmare import Reconstruction

    picture = letterbox(picture, network.image.width, network.image.height)
    # C cuts the network off before the layer (nightmare.c:run_nightmare, net->n = max_layer)
    reconstruction = Reconstruction(network, max(layer - 1, 0), args.rate, args.momentum)
    print(f"{reconstruction.start(picture)} features")
    return picture, reconstruction


def _base(path: str) -> str:
    """A file's name up to its first dot (C: utils.c:basecfg)."""
    return Path(path).name.partition(".")[0]


NIGHTMARE = Command(
    "nightmare",
    "Change an image so that a layer's strong outputs become stronger, and write it to "
    "IMAGE_CFG_LAYER_000000.jpg.",
    (
        CFG,
        WEIGHTS,
        Argument("image", "the image"),
        Argument("layer", "the layer's number"),
    ),
    (
        Flag("range", "each iteration draws a layer out of so many around LAYER (1)", int, 1),
        Flag("norm", "0: do not scale each change to the same size (1)", int, 1),
        Flag("rounds", "how many images to write, each made of the one before (1)", int, 1),
        Flag("iters", "how many changes a round (10)", int, 10),
        Flag("octaves", "each iteration draws one of so many sizes (4)", int, 4),
        Flag("zoom", "between rounds, enlarge this part of the middle (1: all)", float, 1.0),
        Flag("rate", "how much a change changes (0.04)", float, 0.04),
        Flag("thresh", "outputs so many deviations above the mean count (1)", float, 1.0),
        Flag("rotate", "between rounds, turn by so many radians (0)", float, 0.0),
        Flag("momentum", "of -reconstruct (0.9)", float, 0.9),
        Flag("prefix", "the folder to write to", str),
        Flag("reconstruct", "bring the image back to the outputs that it has"),
        Flag("seed", "of what is drawn (0)", int, 0),
        Flag("lambda", kind=float, idle=True),
        Flag("smooth", kind=int, idle=True),
        *FLAGS,
    ),
    _nightmare,
)

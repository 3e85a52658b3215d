"""The tools that change weights: `partial`, `average`, `denormalize` and the like."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Argument, Command, Flag
from darknet_py.cli.flags import CFG, DIALECT, WEIGHTS
from darknet_py.cli.model import print_loaded, print_table, resolve
from darknet_py.errors import DarknetError

if TYPE_CHECKING:
    from darknet_py.network import Network

OUT = Argument("out", "the .weights file to write")
QUIET = Flag("quiet", "do not print the table of layers, nor what is loaded and saved")
FLAGS = (DIALECT, QUIET, Flag("i", kind=int, idle=True), Flag("nogpu", idle=True))


def number(args: Namespace, name: str) -> int:
    """A word that must be a number from 0 on."""
    text: str = getattr(args, name)
    if not text.isdecimal():
        raise DarknetError(f"{name.upper()} must be a number of layers, got {text!r}")
    return int(text)


def build(args: Namespace, *, initialize: bool = True) -> Network:
    """The network of the line, with C's random weights; its table is printed."""
    from darknet_py.network import Network

    network = Network.from_cfg(resolve(args.cfg), args.dialect, initialize=initialize)
    if not args.quiet:
        print_table(network)
    return network


def load(args: Namespace) -> Network:
    """The network of the line with its weights; what C prints is printed."""
    network = build(args, initialize=False)
    _fill(network, args.weights, args)
    return network


def _fill(network: Network, weights: str, args: Namespace) -> None:
    from darknet_py.weights import load_weights

    load_weights(network, weights)
    if not args.quiet:
        print_loaded(network, weights)


def _save(network: Network, args: Namespace, cutoff: int | None = None) -> int:
    """Write the network with a header of today, as C does."""
    from darknet_py.weights import save_weights

    network.version = network.dialect.version
    if not args.quiet:
        print(f"Saving weights to {args.out}", file=sys.stderr)
    save_weights(network, args.out, cutoff)
    return 0


def _tool(name: str) -> Callable[[Namespace], int]:
    """The command that loads, changes by `surgery.name`, and saves."""

    def run(args: Namespace) -> int:
        from darknet_py import surgery

        network = load(args)
        getattr(surgery, name)(network)
        return _save(network, args)

    return run


def _partial(args: Namespace) -> int:
    count = number(args, "n")
    network = load(args)
    network.seen = 0
    return _save(network, args, count)


def _average(args: Namespace) -> int:
    from darknet_py.surgery import average

    other, network = build(args, initialize=False), build(args, initialize=False)
    first, *rest = args.weights
    _fill(network, first, args)

    def others() -> Iterator[Network]:
        for path in rest:
            _fill(other, path, args)
            yield other

    average(network, others())
    return _save(network, args)


def _oneoff(args: Namespace) -> int:
    from darknet_py.surgery import load_shifted

    network = build(args)
    filters = load_shifted(network, args.weights)
    if not args.quiet:
        print_loaded(network, args.weights)
    print(filters)
    return _save(network, args)


def _oneoff2(args: Namespace) -> int:
    from darknet_py.surgery import load_twice

    layer = number(args, "layer")
    network = build(args)
    load_twice(network, args.weights, layer)
    for _ in range(0 if args.quiet else 2):
        print_loaded(network, args.weights)
    return _save(network, args)


PARTIAL = Command(
    "partial",
    "Write the first N layers' weights, to start another training with.",
    (CFG, WEIGHTS, OUT, Argument("n", "how many layers")),
    FLAGS,
    _partial,
)
AVERAGE = Command(
    "average",
    "Write the mean of several weights files of one cfg.",
    (CFG, OUT, Argument("weights", "the .weights files", many=True)),
    FLAGS,
    _average,
)
DENORMALIZE = Command(
    "denormalize",
    "Work batch norm into the weights and leave it out of the file. The file is for the same cfg "
    "without batch_normalize=1.",
    (CFG, WEIGHTS, OUT),
    FLAGS,
    _tool("denormalize"),
)
NORMALIZE = Command(
    "normalize",
    "Give convolutional and connected layers batch norm. The file is for the same cfg with "
    "batch_normalize=1; the variance is 0, as C writes it.",
    (CFG, WEIGHTS, OUT),
    FLAGS,
    _tool("normalize"),
)
RESCALE = Command(
    "rescale",
    "Change the first convolution from images of 0 to 1 to images of -1 to 1.",
    (CFG, WEIGHTS, OUT),
    FLAGS,
    _tool("rescale"),
)
RESET = Command(
    "reset",
    "Work batch norm into the weights; it stays in the file and does nothing.",
    (CFG, WEIGHTS, OUT),
    FLAGS,
    _tool("reset"),
)
RGBGR = Command(
    "rgbgr",
    "Change the first convolution from RGB to BGR, or back.",
    (CFG, WEIGHTS, OUT),
    FLAGS,
    _tool("swap_red_and_blue"),
)
ONEOFF = Command(
    "oneoff",
    "Load a classifier's filters into the three anchors of a network of boxes. The last layer but "
    "one takes them five filters further on.",
    (CFG, WEIGHTS, OUT),
    FLAGS,
    _oneoff,
)
ONEOFF2 = Command(
    "oneoff2",
    "Load a file as it is and once more from layer L on, and write the network.",
    (CFG, WEIGHTS, OUT, Argument("layer", "the layer L that the file's start goes to")),
    FLAGS,
    _oneoff2,
)
COMMANDS = (
    PARTIAL,
    AVERAGE,
    DENORMALIZE,
    NORMALIZE,
    RESCALE,
    RESET,
    RGBGR,
    ONEOFF,
    ONEOFF2,
)

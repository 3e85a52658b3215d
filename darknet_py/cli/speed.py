"""`speed`: how long a network takes, and with -profile where its time goes."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Argument, Command, Flag, file_name
from darknet_py.cli.flags import CFG
from darknet_py.cli.inputs import write_text
from darknet_py.cli.weights import FLAGS, build, load, number
from darknet_py.errors import DarknetError

if TYPE_CHECKING:
    from torch import Tensor

    from darknet_py.network import Network
    from darknet_py.profiling import Profile, Share


def _speed(args: Namespace) -> int:
    import torch

    from darknet_py.weight_views import count_operations

    if args.tics is None and args.weights is not None and args.weights.isdecimal():
        args.tics, args.weights = args.weights, None  # as in C, where no weights are loaded
    if args.batch < 1 or (args.threads is not None and args.threads < 1):
        raise DarknetError("-batch and -threads must be at least 1")
    if args.out is not None and not args.profile:
        raise DarknetError("-out is for -profile")
    if args.threads:
        torch.set_num_threads(args.threads)
    network = load(args) if args.weights else build(args)
    if args.profile:
        return _profile(args, network)
    tics = (number(args, "tics") if args.tics else 0) or 1000
    run, x = _runner(args, network)
    if args.compile:
        run(x)  # compiled, or found on disk
    start = time.perf_counter()
    for _ in range(tics):
        run(x)
    seconds = time.perf_counter() - start
    print(f"\n{tics} evals, {seconds:f} Seconds")
    if network.dialect.name == "pjreddie":
        billions = args.batch * count_operations(network) / 1e9
        print(f"Floating Point Operations: {billions:.2f} Bn")
        print(f"FLOPS: {billions * tics / seconds:.2f} Bn")
    print(f"Speed: {seconds / tics:f} sec/eval")
    print(f"Speed: {tics / seconds:f} Hz")
    return 0


def _runner(args: Namespace, network: Network) -> tuple[Callable[[Tensor], list[Tensor]], Tensor]:
    """What runs, and an empty batch."""
    import torch

    from darknet_py.lower import prepare

    image = network.image
    sides = (image.channels, image.height, image.width)[: 3 if image.height else 1]
    x = torch.zeros(args.batch, *sides)
    dtype = torch.bfloat16 if args.half else torch.float32
    if not args.compile:
        return prepare(network, dtype=dtype), x
    from darknet_py.compiled import CompiledNetwork

    return CompiledNetwork(network, lambda: prepare(network, dtype=dtype), dtype=dtype), x


def _profile(args: Namespace, network: Network) -> int:
    from darknet_py.lower import Lowered
    from darknet_py.profiling import profile

    if args.compile:
        raise DarknetError("-profile shows the layers; after -compile there are none")
    lowered, x = _runner(args, network)
    assert isinstance(lowered, Lowered)
    x.uniform_()  # weights of 0 and pictures of 0 may be quicker than others
    found = profile(network, lowered, x)
    for line in _report(found):
        print(line)
    if args.out is not None:
        write_text(Path(args.out), json.dumps(found.to_dict(), indent=1) + "\n")
    return 0


def _report(found: Profile) -> Iterator[str]:
    """The tables of a profile."""
    wide = max(len("layer"), *(len(share.kind) for share in found.shares))
    head = f"{'':>9} {'layer':<{wide}} {'output':>14} {'ms':>9} {'%':>6} {'GFLOP':>8} "
    yield f"{head}{'GFLOP/s':>8} {'% of peak':>9}"
    for share in found.shares:
        numbers = "+".join(map(str, share.layers))
        yield f"{numbers:>9} {share.kind:<{wide}} {share.output:>14} {_figures(share, found)}"
    yield ""
    yield f"{'':>9} {'together':<{wide}} {'':>14} {'ms':>9} {'%':>6} {'GFLOP':>8} {'GFLOP/s':>8}"
    for share in found.kinds():
        count = len(share.layers)
        yield f"{count:>8}x {share.kind:<{wide}} {'':>14} {_figures(share, found)}"
    rest = found.milliseconds - found.measured
    rate = found.operations / found.milliseconds / 1e6
    yield ""
    yield (
        f"a batch of {found.batch}, {found.threads} threads, {found.dtype}: "
        f"{found.milliseconds:.3f} ms (least {found.fastest:.3f}), of them {rest:.3f} ms between "
        f"the layers; {found.operations / 1e9:.2f} GFLOP, {rate:.1f} GFLOP/s, "
        f"{100 * rate / found.peak:.0f} % of the peak"
    )
    yield (
        f"the machine, measured in between: {found.matmul:.1f} GFLOP/s in a product of matrices, "
        f"{found.convolution:.1f} in a convolution; the peak is the most of all, {found.peak:.1f}"
    )


def _figures(share: Share, found: Profile) -> str:
    part = 100 * share.milliseconds / found.measured if found.measured else 0.0
    text = f"{share.milliseconds:>9.3f} {part:>6.1f}"
    if not share.operations:
        return text
    billions = share.operations / 1e9
    return f"{text} {billions:>8.3f} {share.rate:>8.1f} {100 * share.rate / found.peak:>9.0f}"


SPEED = Command(
    "speed",
    "Run a network on an empty image and print how long it takes; with -profile, how long each "
    "layer takes, beside what the machine can do. Layers that run as one stand in one line.",
    (
        CFG,
        Argument("weights", "the .weights file (default: random weights), or TICS", required=False),
        Argument("tics", "how many times (default: 1000)", required=False),
    ),
    (
        *FLAGS,
        Flag("profile", "print milliseconds, GFLOP/s and share of each layer"),
        Flag("out", "with -profile: a JSON file for its figures", file_name),
        Flag("batch", "how many images at once (default: 1)", int, 1),
        Flag("threads", "how many threads (default: as PyTorch finds)", int),
        Flag("half", "compute with bfloat16"),
        Flag("compile", "compile the network first, or take it from disk (docs/speed.md)"),
    ),
    _speed,
)

"""`net` and `doctor`: look at a network without running it."""

from __future__ import annotations

from argparse import Namespace

from darknet_py.cli.arguments import Argument, Command
from darknet_py.cli.flags import CFG, DIALECT
from darknet_py.cli.model import resolve


def _net(args: Namespace) -> int:
    from darknet_py.network import Network
    from darknet_py.table import summary, table

    network = Network.from_cfg(resolve(args.cfg), args.dialect, initialize=False)
    for line in (*table(network), *summary(network)):
        print(line)
    return 0


def _doctor(args: Namespace) -> int:
    from darknet_py.doctor import examine

    weights, data = args.weights, args.data
    if data is None and weights is not None and weights.endswith(".data"):
        weights, data = None, weights
    findings = examine(
        resolve(args.cfg), weights, None if data is None else resolve(data), dialect=args.dialect
    )
    for finding in findings:
        print(finding)
    errors, warnings = (
        sum(finding.level == level for finding in findings) for level in ("error", "warning")
    )
    print(f"{_count(errors, 'error')}, {_count(warnings, 'warning')}")
    return 1 if errors else 0


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}" + ("" if number == 1 else "s")


NET = Command(
    "net",
    "Print a cfg's table of layers, its operations, parameters and the size of its weights.",
    (CFG,),
    (DIALECT,),
    _net,
)
DOCTOR = Command(
    "doctor",
    "Check that a cfg, its weights and its data file agree, and say what to mend. Filters, masks, "
    "anchors, classes, names and the weights' size are looked at; the exit status is 1 if "
    "something is wrong.",
    (
        CFG,
        Argument("weights", "the .weights file", required=False),
        Argument("data", "the .data file", required=False),
    ),
    (DIALECT,),
    _doctor,
)

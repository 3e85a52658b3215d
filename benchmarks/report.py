"""results.md: the measured cells as tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from rivals import RIVALS

OURS = ("ours", "ours bf16")
TITLES = {
    "load": "Loading weights",
    "start": "Cold start: whole processes",
    "memory": "Peak memory",
    "pictures": "Many pictures, end to end",
    "growth": "Growth",
}


def brief(measured: dict[str, Any]) -> str:
    """One line of medians."""
    parts = [
        f"{name} {cell['median']:.3g}" if "median" in cell else f"{name} -"
        for name, cell in measured.items()
    ]
    return ", ".join(parts)


def faster(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Of two passes, for each rival, that with the smaller median; else that in which it ran."""
    found = dict(before)
    for name, cell in now.items():
        if cell.get("median", math.inf) < before.get(name, {}).get("median", math.inf):
            found[name] = cell
    return found


def text(data: dict[str, Any]) -> str:
    """The whole page."""
    parts = ["# Results of `make bench`", f"Measured on {data.get('date', '?')}.", _facts(data)]
    parts.append(
        "Milliseconds for a batch: median, and in brackets the least and the quartiles. All "
        "rivals of a cell run in turns (A B A B ...) on the same files and picture, in processes "
        "kept to the same CPUs. Every cell is measured several times, minutes apart; of "
        "each column that pass counts in which it was fastest: neighbours of a virtual machine "
        "slow it down for minutes (C runs in the first pass only). Batch norm is folded "
        "everywhere but in C. **Bold**: the fastest of its precision. The ratio is that of the "
        "fastest rival that is not darknet-py to the torch-only default: above 1 we are "
        "ahead."
    )
    for threads in sorted({c["threads"] for c in data["cells"].values()}, reverse=True):
        for batch in sorted({c["batch"] for c in data["cells"].values()}):
            parts += _tables(data, batch, threads)
    parts += _cannot(data)
    for name, title in TITLES.items():
        rows = data["sections"].get(name)
        if rows:
            parts += [f"## {title}", *_groups(rows)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(data: dict[str, Any]) -> str:
    return table(("", ""), data.get("machine", {}).items())


def _tables(data: dict[str, Any], batch: int, threads: int) -> list[str]:
    cells = [c for c in data["cells"].values() if (c["batch"], c["threads"]) == (batch, threads)]
    if not cells:
        return []
    parts = [f"## Batch {batch}, {threads} thread{'s' if threads > 1 else ''}"]
    for dtype, title in (("f32", "float32"), ("bf16", "bfloat16")):
        columns = [
            r for r in RIVALS if r.dtype == dtype and any(r.name in c["rivals"] for c in cells)
        ]
        if columns:
            head = ("network", *(rival.name for rival in columns), "ratio")
            parts += [f"### {title}", table(head, [_row(cell, columns) for cell in cells])]
    return parts


def _row(cell: dict[str, Any], columns: Sequence[Any]) -> list[str]:
    found = {r.name: cell["rivals"].get(r.name, {}) for r in columns}
    medians = {name: one["median"] for name, one in found.items() if "median" in one}
    best = min(medians.values(), default=0)
    words = [cell["network"]]
    for name, one in found.items():
        if "median" not in one:
            words.append("cannot run" if "cannot" in one else "-")
            continue
        spread = f"{one['min']:.3g}; {one['low']:.3g}-{one['high']:.3g}"
        median = f"{one['median']:.3g}"
        words.append(f"{f'**{median}**' if medians[name] == best else median} ({spread})")
    return [*words, ratio(found, columns)]


def ratio(found: dict[str, Any], columns: Sequence[Any]) -> str:
    """The best rival's median over the torch-only default's."""
    ours = [found[name] for name in OURS if "median" in found.get(name, {})]
    theirs = [found[r.name]["median"] for r in columns if not r.mine and "median" in found[r.name]]
    return f"{min(theirs) / ours[0]['median']:.2f}" if ours and theirs else ""


def _cannot(data: dict[str, Any]) -> list[str]:
    """Why a rival cannot run, and how far each output is from the plain network's."""
    reasons: dict[tuple[str, str], set[str]] = {}
    differences: dict[str, dict[str, float]] = {}
    for cell in data["cells"].values():
        for name, one in cell["rivals"].items():
            if "cannot" in one:
                reasons.setdefault((name, one["cannot"]), set()).add(cell["network"])
            elif one.get("difference") is not None:
                row = differences.setdefault(cell["network"], {})
                row[name] = max(row.get(name, 0.0), one["difference"])
    parts = []
    if reasons:
        rows = [(name, ", ".join(sorted(who)), why) for (name, why), who in reasons.items()]
        parts += ["## What cannot run", table(("rival", "networks", "reason"), sorted(rows))]
    if differences:
        names = [r.name for r in RIVALS if any(r.name in row for row in differences.values())]
        cells = [
            [network, *(f"{row[name]:.1e}" if name in row else "" for name in names)]
            for network, row in differences.items()
        ]
        parts += [
            "## Largest difference",
            "Of the heads' (else the last layer's) outputs from those of the network as it is, "
            "unfused float32, in standard deviations of the output.",
            table(("network", *names), cells),
        ]
    return parts


def _groups(rows: list[dict[str, Any]]) -> list[str]:
    """A table for each run of rows that have the same columns."""
    groups: list[list[dict[str, Any]]] = []
    for row in rows:
        if not groups or groups[-1][0].keys() != row.keys():
            groups.append([])
        groups[-1].append(row)
    return [table(group[0], [list(row.values()) for row in group]) for group in groups]


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table of Markdown; the first column is to the left."""
    head = list(head)
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(_word(word) for word in line) + " |" for line in lines)


def _word(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "/")

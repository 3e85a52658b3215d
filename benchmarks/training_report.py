"""training.md: what training.py measured, as tables."""

from __future__ import annotations

from typing import Any

from report import table

TITLES = {
    "fashion": "Fashion-MNIST",
    "bccd": "BCCD: blood cells",
    "steps": "A training step",
}
NOTES = {
    "fashion": (
        "`benchmarks/fashion.cfg` on the 60,000 training pictures of Debian's "
        "dataset-fashion-mnist, scored on the 10,000 others. The wall time is that of the whole "
        "command, from start to end. C's is extrapolated from the iterations that it does in a "
        "minute; it uses one thread."
    ),
    "bccd": (
        "320 x 320, trained on train and val, scored on the test list with `-points 0`. Wall "
        "time: `detector train` from start to end. The share of the time that training waits "
        "for pictures leaves out the first iteration's."
    ),
    "steps": (
        "Milliseconds of forward, backward and update of one mini-batch, the least of those "
        "measured. `torch`: the same layers with PyTorch's convolution, batch norm and SGD, and "
        "a mean square as loss. C prints its seconds; it ran smaller mini-batches, and the time "
        "is scaled by the number of pictures. The ratio is to our first column."
    ),
}
CHARTS = {
    "bccd": "bccd_chart.png",
    "bccd-best": "bccd_best_chart.png",
    "bccd-scratch": "bccd_scratch_chart.png",
}
GROUPS = {"fashion": ["fashion"], "bccd": ["bccd", "bccd-best", "bccd-scratch"], "steps": ["steps"]}


def text(sections: dict[str, Any]) -> str:
    """The whole page."""
    parts = ["# Results of `make bench-training`"]
    for name, members in GROUPS.items():
        found = [sections[member] for member in members if member in sections]
        if not found:
            continue
        parts += [f"## {TITLES[name]}", NOTES[name]]
        parts += [_table([row for section in found for row in section["rows"]])]
        for member in members:
            if member in sections and member in CHARTS:
                parts.append(f"Loss of `{member}`: ![loss of {member}]({CHARTS[member]})")
        parts += [_facts(section, member) for member, section in zip(members, found, strict=False)]
    return "\n\n".join(parts) + "\n"


def _table(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return table(columns, [[row.get(column, "") for column in columns] for row in rows])


def _facts(section: dict[str, Any], name: str) -> str:
    machine = section["machine"]
    words = [f"{key} {machine[key]}" for key in ("CPU", "CPUs", "torch", "darknet-py")]
    load = machine["load before"]
    return f"`{name}` measured on {section['date']}: {', '.join(words)}; load before it {load}."

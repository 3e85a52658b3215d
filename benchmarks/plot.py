"""results.svg: the table of batch 1 and all threads as bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rivals import RIVALS


def draw(data: dict[str, Any], path: Path) -> None:
    """Draw the medians, relative to the torch-only default; nothing without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        print("no plot: pip install 'darknet-py[bench]' brings matplotlib")
        return
    matplotlib.use("svg")
    from matplotlib import pyplot

    cells = [cell for cell in data["cells"].values() if cell["batch"] == 1]
    most = max((cell["threads"] for cell in cells), default=0)
    cells = [c for c in cells if c["threads"] == most and "median" in c["rivals"].get("ours", {})]
    names = [r.name for r in RIVALS if any("median" in c["rivals"].get(r.name, {}) for c in cells)]
    if not cells:
        return
    figure, axes = pyplot.subplots(figsize=(10, 1.2 + 0.14 * len(cells) * (len(names) + 2)))
    for number, name in enumerate(names):
        places, values = [], []
        for row, cell in enumerate(cells):
            one = cell["rivals"].get(name, {})
            if "median" in one:
                places.append(row * (len(names) + 2) + number)
                values.append(one["median"] / cell["rivals"]["ours"]["median"])
        axes.barh(places, values, height=0.9, label=name)
    middles = [row * (len(names) + 2) + len(names) / 2 for row in range(len(cells))]
    axes.set_yticks(middles, [cell["network"] for cell in cells])
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel(f"time relative to ours (torch alone, float32), batch 1, {most} threads")
    axes.legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)

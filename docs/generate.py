"""Write docs/cfg.md, the reference of every cfg key, from the options that the layers declare."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

from darknet_py.augment import AugmentOptions
from darknet_py.layers import ALEXEYAB_SECTIONS, SECTIONS, Layer
from darknet_py.network import NetOptions
from darknet_py.options import LayerOptions, keys
from darknet_py.schedule import ScheduleOptions

OUTPUT = Path(__file__).parent / "cfg.md"

HEAD = """# The cfg language

Written by `make docs` from the option classes in `darknet_py`; do not edit.

A `.cfg` file is lines of text. `[name]` opens a section, `key=value` sets a key in it, and a line
that starts with `#` or `;` is a comment. Blanks do not count, not even inside a line. The first
section is `[net]` (or `[network]`), each of the others makes one layer, numbered from 0.

- Of a repeated key the first counts. A line that ends in its first `=` is ignored, and a key
  without `=` keeps its default; both warn.
- A number may be followed by anything: `filters=112 #96` is 112. A whole number is cut off at its
  point: `0.9` is 0. What starts with no number is an error.
- A list is separated by commas and ends at a `#`.
- A key or section that one fork does not read is ignored in that fork's dialect, with a warning.
  The dialect is AlexeyAB's where the cfg uses a section or key that only that fork reads.

`fork` says who reads a key: both, pjreddie or AlexeyAB. Two defaults are written
"pjreddie / AlexeyAB"; "required" means that there is none.
"""

TYPES = {"int": "number", "float": "real", "bool": "0 or 1", "str": "text"}
FORKS = {None: "both", "pjreddie": "pjreddie", "alexeyab": "AlexeyAB"}


def reference() -> str:
    """The whole page."""
    return "\n".join(line for part in _parts() for line in part)


def _parts() -> Iterator[list[str]]:
    yield [HEAD]
    yield ["## [net], [network]", ""]
    for title, schema in (
        ("The network", NetOptions),
        ("Training", ScheduleOptions),
        ("Augmentation", AugmentOptions),
    ):
        yield [f"### {title}", "", *_table(schema, set()), ""]
    yield ["## Every layer", "", "Every section but [net] reads these, too.", ""]
    yield [*_table(LayerOptions, set()), ""]
    for names, layer in _sections():
        title = ", ".join(f"[{name}]" for name in names)
        yield [f"## {title}", "", _summary(layer), ""]
        if set(names) <= ALEXEYAB_SECTIONS:
            yield ["Only AlexeyAB's fork knows this section.", ""]
        table = _table(layer.Options, set(keys(LayerOptions)))
        yield [*table, ""] if table else ["No keys of its own.", ""]


def _sections() -> list[tuple[list[str], type[Layer]]]:
    found: dict[type[Layer], list[str]] = {}
    for name, layer in SECTIONS.items():
        found.setdefault(layer, []).append(name)
    return sorted(
        ((sorted(names, key=lambda n: (-len(n), n)), layer) for layer, names in found.items()),
        key=lambda item: item[0][0].lower(),
    )


def _summary(layer: type[Layer]) -> str:
    """The first sentence of the layer's docstring."""
    return " ".join((layer.__doc__ or "").strip().split("\n\n")[0].split())


def _table(schema: type[Any], inherited: set[str]) -> list[str]:
    """The rows of `schema`; an inherited key only where the section declares it anew."""
    hints = get_type_hints(schema)
    base = keys(LayerOptions)
    rows = []
    for name, declared in keys(schema).items():
        if name in inherited and declared.metadata == base[name].metadata:
            continue
        data = declared.metadata
        cells = (
            f"`{name}`",
            _type(hints[declared.name]),
            _default(declared),
            FORKS[data["only"]],
            data["doc"],
        )
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    head = ["| key | type | default | fork | meaning |", "|---|---|---|---|---|"]
    return [*head, *rows] if rows else []


def _type(hint: Any) -> str:
    text = getattr(hint, "__name__", "") if isinstance(hint, type) else str(hint)
    text = str(hint) if str(hint).startswith("tuple") else text
    if text.startswith("tuple"):
        return "list of numbers" if "int" in text else "list of reals"
    return TYPES.get(text.replace(" | None", ""), "text")


def _default(declared: dataclasses.Field[Any]) -> str:
    values = [declared.default]
    if declared.metadata["alexeyab"] is not dataclasses.MISSING:
        values.append(declared.metadata["alexeyab"])
    return " / ".join(_value(value) for value in values)


def _value(value: Any) -> str:
    if value is dataclasses.MISSING:
        return "required"
    if value is None or value in ((), ""):
        return "-"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return ",".join(map(_value, value))
    if isinstance(value, float):
        return f"{value:.7g}"
    return str(value)


if __name__ == "__main__":
    OUTPUT.write_text(reference(), encoding="utf-8")
    print(f"wrote {OUTPUT}", file=sys.stderr)

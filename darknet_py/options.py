"""A cfg section as a frozen dataclass: every key declared once, with type, default and meaning."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from functools import cache
from typing import Any, TypeVar, cast, get_type_hints

from darknet_py.cfg import Section, quote
from darknet_py.dialect import Dialect

T = TypeVar("T")
N = TypeVar("N", int, float)

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"([+-]?)0*([0-9]*)")
_INT_LIMIT = 2**31
_FLOAT_LIMIT = 3.4028235677973366e38  # from here on float32 rounds to infinity


def key(
    doc: str,
    default: Any = MISSING,
    *,
    only: str | None = None,
    alexeyab: Any = MISSING,
    decisive: bool = True,
) -> Any:
    """Declare a cfg key.

    Args:
        doc: its line in docs/cfg.md.
        default: its value where the cfg does not give it; without one the key is required.
        only: the one fork ("pjreddie" or "alexeyab") that reads this key; None: both.
        alexeyab: AlexeyAB's default, where it differs.
        decisive: whether a cfg that has this key must be of the fork `only`; False for a key
            that the other fork's own cfgs give too, though nothing there reads it.
    """
    metadata = {"doc": doc, "only": only, "alexeyab": alexeyab, "decisive": decisive}
    return field(default=default, metadata=metadata, kw_only=True)


@dataclass(frozen=True)
class LayerOptions:
    """The keys that every layer section reads (C: parser.c:parse_network_cfg)."""

    truth: bool = key("the layer's output is the network's truth", False, only="pjreddie")
    onlyforward: bool = key("no gradient flows through this layer", False)
    stopbackward: int = key("the layers before this one are frozen", 0)
    dont_update: int = key("trains only after this iteration", 0, only="alexeyab")
    burnin_update: int = key("trains only once burn_in is over", 0, only="alexeyab")
    train_only_bn: bool = key(
        "up to here nothing trains but batch norm's rolling values", False, only="alexeyab"
    )
    dontsave: bool = key("left out when weights are saved", False, only="pjreddie")
    dontload: bool = key("left out when weights are loaded", False)
    dontloadscales: bool = key("batch norm's arrays are left out when weights are loaded", False)
    numload: int = key("filters held by the file, where fewer than `filters`", 0, only="pjreddie")
    learning_rate: float = key("multiplies the network's learning rate in this layer", 1.0)
    smooth: float = key("label smoothing", 0.0, only="pjreddie")
    clip: float = key("largest absolute value of a weight, 0: no limit", 0.0, only="alexeyab")


def keys(schema: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    """The cfg keys that `schema` declares; a trailing `_` of a field name is Python's (`from_`)."""
    return {f.name.rstrip("_"): f for f in dataclasses.fields(schema)}


def parse_options(schema: type[T], section: Section, dialect: Dialect, *others: type[Any]) -> T:
    """Read `section` into `schema`.

    A key that neither `schema` nor one of `others` declares warns (C: "Unused field"), and
    so does one that only the other fork reads; its value is then not used.

    Raises:
        CfgError: a value of the wrong kind, or a required key that is missing.
    """
    known: dict[str, dataclasses.Field[Any]] = {}
    for other in (*others, schema):
        known |= keys(other)
    for name in section.options:
        _warn_unless_read(section, name, known, dialect)
    return read_options(schema, section, dialect)


def read_options(schema: type[T], section: Section, dialect: Dialect) -> T:
    """Read only the keys of `schema`, without a word on the others.

    Raises:
        CfgError: a value of the wrong kind, or a required key that is missing.
    """
    hints = _hints(cast("Any", schema))  # mypy: a type[T] is not Hashable
    values = {f.name: _value(section, name, f, hints, dialect) for name, f in keys(schema).items()}
    return schema(**values)


@cache
def _hints(schema: type[Any]) -> dict[str, Any]:
    """The fields' types: slow to find, and asked for by every section."""
    return get_type_hints(schema)


def _warn_unless_read(
    section: Section, name: str, known: dict[str, dataclasses.Field[Any]], dialect: Dialect
) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        section.warn(f"unknown key {quote(name)} is ignored{hint}", name)
    elif known[name].metadata["only"] not in (None, dialect.name):
        section.warn(f"{name!r} is not read in dialect {dialect.name} and is ignored", name)
    elif section.options[name].value is None:
        # PARITY: a line without `=` leaves the default (C: option_list.c:option_find).
        section.warn(f"{name!r} is given no value and keeps its default", name)


def _value(
    section: Section,
    name: str,
    declared: dataclasses.Field[Any],
    hints: dict[str, Any],
    dialect: Dialect,
) -> Any:
    entry = section.options.get(name)
    is_read = declared.metadata["only"] in (None, dialect.name)
    if entry is None or entry.value is None or not is_read:
        other = declared.metadata["alexeyab"]
        default = other if dialect.name == "alexeyab" and other is not MISSING else declared.default
        if default is MISSING:
            raise section.error(f"{name} is required: {declared.metadata['doc']}")
        return default
    hint = hints[declared.name]
    read = _READ.get(str(hint), _READ.get(getattr(hint, "__name__", ""), _text))
    try:
        return read(entry.value)
    except ValueError as expected:
        message = f"{name} must be {expected}, got {quote(entry.value)}"
        raise section.error(message, name) from None


def _text(text: str) -> str:
    return text


def _float(text: str) -> float:
    """The number that `text` starts with: cfgs in the wild hold `filters=112#96` (C: atof)."""
    number = _NUMBER.match(text)
    if number is None:
        raise ValueError("a number")
    value = float(number[0])
    if abs(value) >= _FLOAT_LIMIT:
        raise ValueError("a number that float32 can hold")
    return value


def _int(text: str) -> int:
    """The whole number that `text` starts with; a fraction is cut off (C: atoi)."""
    digits = _INTEGER.match(text)
    if digits is None or not _NUMBER.match(text):
        raise ValueError("a number")
    sign, number = digits.groups()
    value = int(f"{sign}{number or 0}") if len(number) < 11 else _INT_LIMIT
    if not -_INT_LIMIT <= value < _INT_LIMIT:
        raise ValueError("a whole number between -2147483648 and 2147483647")
    return value


def _bool(text: str) -> bool:
    return _int(text) != 0


def _items(text: str) -> list[str]:
    """The parts of a comma list up to a `#`; one trailing comma adds none."""
    items = text.partition("#")[0].split(",")
    return items[:-1] if items[-1] == "" else items


def _ints(text: str) -> tuple[int, ...]:
    return _numbers(text, _int)


def _floats(text: str) -> tuple[float, ...]:
    return _numbers(text, _float)


def _numbers(text: str, read: Callable[[str], N]) -> tuple[N, ...]:
    try:
        return tuple(read(item) for item in _items(text))
    except ValueError as expected:
        raise ValueError(f"a comma list, each {expected}") from None


_READ: dict[str, Callable[[str], Any]] = {
    "int": _int,
    "int | None": _int,
    "float": _float,
    "float | None": _float,
    "bool": _bool,
    "str": _text,
    "str | None": _text,
    "tuple[int, ...]": _ints,
    "tuple[float, ...]": _floats,
}

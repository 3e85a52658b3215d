"""What the checks report, and how messages and numbers of a section are read for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from darknet_py.cfg import Section


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: where, what it is, and how to mend it (empty: nothing to)."""

    level: Literal["error", "warning", "note"]
    where: str
    what: str
    mend: str = ""

    def __str__(self) -> str:
        """One line."""
        mend = f" -> {self.mend}" if self.mend else ""
        return f"{self.level}: {self.where}: {self.what}{mend}"


def at(
    level: Literal["error", "warning"], section: Section, what: str, mend: str, key: str
) -> Finding:
    """A finding at the line of `key`, or of the section where it is not given."""
    where, text = split(section.located(what, key), "")
    return Finding(level, where, text, mend)


def split(message: str, default: str) -> tuple[str, str]:
    """A message as (where, what): `file:line: [section]: text`, or `file: text`."""
    match = re.match(r"(?s)(.+?:\d+: \[[^\]]*\]|.+?:\d+(?=: )|[^:]+(?=: )): ?(.*)", message)
    return (match[1], match[2]) if match else (default, message)


def number_of(section: Section, key: str, default: int) -> int:
    """The whole number that the value of `key` starts with."""
    values = numbers_of(section, key)
    return int(max(min(values[0], 2e9), -2e9)) if values else default


def numbers_of(section: Section, key: str) -> list[float]:
    """The numbers in the value of `key`, whatever stands between them."""
    entry = section.options.get(key)
    text = (entry.value or "") if entry else ""
    found = re.findall(r"[+-]?(?:\d+\.?\d*|\.\d+)", text.split("#")[0])
    return [float(number) for number in found[:10000]]

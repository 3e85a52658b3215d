"""Darknet's .cfg text: lines in, sections out, and back.

The language is C's (parser.c:read_cfg, option_list.c:read_option, utils.c:strip):
all white space inside a line is dropped, a line that starts with `#` or `;` is a
comment, `[name]` opens a section, the rest are `key=value`; of a repeated key the
first counts.
"""

from __future__ import annotations

import codecs
import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, TextIO

from darknet_py.errors import CfgError, DarknetWarning

FILE_KEYS = ("tree", "map")
"""The keys whose values are files that a network needs beside its cfg."""

_BLANKS = str.maketrans("", "", " \t\r\n\0")
_TEXT_LIMIT = 16 * 2**20
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Entry:
    """One `key=value` line; `value` is None where the line has no `=` (C: a null value)."""

    key: str
    value: str | None
    line: int


@dataclass(frozen=True)
class Section:
    """One `[type]` with its entries in file order, and where it stands.

    `path` is the file as the user gave it, `line` counts from 1.
    """

    type: str
    entries: tuple[Entry, ...]
    path: str
    line: int
    files: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """The texts of files that it names, where the model brings them along."""

    @cached_property
    def options(self) -> dict[str, Entry]:
        """The entry that counts for each key: the first, as in C (option_list.c:option_find)."""
        found: dict[str, Entry] = {}
        for entry in self.entries:
            found.setdefault(entry.key, entry)
        return found

    def error(self, message: str, key: str | None = None) -> CfgError:
        """An error at the line of `key`, or of the section itself."""
        return CfgError(self.located(message, key))

    def located(self, message: str, key: str | None = None) -> str:
        """`message` with file, line and section before it."""
        entry = self.options.get(key) if key is not None else None
        name = self.type if self.type.isprintable() and len(self.type) < 60 else quote(self.type)
        return f"{self.path}:{entry.line if entry else self.line}: [{name}]: {message}"

    def warn(self, message: str, key: str | None = None) -> None:
        """Warn at the line of `key`, or of the section itself."""
        warnings.warn(self.located(message, key), DarknetWarning, stacklevel=3)


def read_cfg(source: str | os.PathLike[str] | TextIO | BinaryIO) -> list[Section]:
    """Read a .cfg file, given by its path or as an open file.

    Raises:
        CfgError: the file cannot be opened, or is no cfg.
    """
    if isinstance(source, (str, os.PathLike)):
        text, path = read_text(source), os.fspath(source)
    else:
        content, path = source.read(), str(getattr(source, "name", "<cfg>"))
        text = _decode(content) if isinstance(content, bytes) else content
    if len(text) > _TEXT_LIMIT:
        raise CfgError(f"{path}: is too large to be a Darknet cfg")
    return parse_cfg(text, path)


def parse_cfg(text: str, path: str = "<cfg>") -> list[Section]:
    """The sections of cfg `text`; `path` is named in errors.

    Raises:
        CfgError: an entry before the first section, no section at all, or a file
            whose first section is not [net] or [network].
    """
    sections: list[Section] = []
    name, start = "", 0
    entries: list[Entry] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = strip_blanks(line)
        if line.startswith("["):
            if start:
                sections.append(Section(name, tuple(entries), path, start))
            if not line.endswith("]") or len(line) < 3:
                raise CfgError(f"{path}:{number}: a section is written [name], got {quote(line)}")
            name, start, entries = line[1:-1], number, []
        elif line and line[0] not in "#;":
            entry = parse_entry(line, number, path)
            if entry is None:
                continue
            if not start:
                what = f"{quote(line)} stands before the first [section]"
                if not line.isprintable():
                    what = "holds binary data"
                raise CfgError(f"{path}:{number}: {what}: is it a Darknet cfg?")
            entries.append(entry)
    if start:
        sections.append(Section(name, tuple(entries), path, start))
    if not sections:
        raise CfgError(f"{path}: holds no [section]: is it a Darknet cfg?")
    if sections[0].type not in ("net", "network"):
        first = sections[0]
        raise first.error("the first section must be [net] or [network]")
    return sections


def parse_entry(line: str, number: int, path: str) -> Entry | None:
    """One stripped line as an entry; None, with a warning, for a line that ends in its first `=`.

    PARITY: C reports such a line and goes on without it (parser.c:read_cfg).
    """
    key, equals, value = line.partition("=")
    if equals and not value:
        message = f"{path}:{number}: {quote(key)} has no value; the line is ignored"
        warnings.warn(message, DarknetWarning, stacklevel=3)
        return None
    return Entry(key, value if equals else None, number)


def format_cfg(sections: Iterable[Section]) -> str:
    """Cfg text that reads back to the same sections, keys (duplicates too), values and order."""
    blocks = []
    for section in sections:
        lines = [e.key if e.value is None else f"{e.key}={e.value}" for e in section.entries]
        blocks.append("\n".join([f"[{section.type}]", *lines]) + "\n")
    return "\n".join(blocks)


def quote(text: str) -> str:
    """`text` for an error message: in quotes, on one line, at most 60 characters of it."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def strip_blanks(line: str) -> str:
    """`line` without any blank, inside it too (C: utils.c:strip)."""
    return line.translate(_BLANKS)


def read_text(path: str | os.PathLike[str]) -> str:
    """A text file's content without a byte order mark; names and comments may hold any bytes.

    Raises:
        CfgError: the file cannot be opened.
    """
    return _decode(read_bytes(path))


def _decode(data: bytes) -> str:
    """A file's bytes as text."""
    if data.startswith(_UTF16):
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8", errors="surrogateescape").removeprefix("\ufeff")


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """A file's bytes.

    Raises:
        CfgError: the file cannot be opened.
    """
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CfgError(f"{os.fspath(path)}: cannot be opened: {reason}") from None


def find_file(name: str, named_in: str | os.PathLike[str]) -> Path:
    """The file that a cfg or .data file calls `name`.

    Looked up from the working directory, as C does, then from the folder of the
    file that names it, then one folder up from there. Where none exists, the first.
    """
    folder = Path(named_in).parent
    candidates = [Path(name), folder / name, folder / ".." / name]
    return next((path for path in candidates if path.is_file()), candidates[0])


def read_files(sections: Iterable[Section]) -> dict[str, str]:
    """The texts of all files that `sections` name and that are here, by those names."""
    texts: dict[str, str] = {}
    for section in sections:
        for name in (section.options[key].value for key in FILE_KEYS if key in section.options):
            if name is None:
                continue
            path = find_file(name, section.path)
            if name in section.files:
                texts[name] = section.files[name]
            elif path.is_file():
                texts[name] = read_text(path)
    return texts


def bring_files(sections: Iterable[Section], texts: Mapping[str, str]) -> list[Section]:
    """`sections` with the texts of the files that they name."""
    return [replace(section, files=texts) for section in sections]

"""Darknet's small text files: .data, .names, .tree, .map and lists of paths."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from darknet_py.cfg import Entry, find_file, parse_entry, read_bytes, read_text, strip_blanks
from darknet_py.errors import CfgError

PathName = str | os.PathLike[str]

_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")


@dataclass(frozen=True)
class Tree:
    """Classes as a tree; nodes stand in file order, a parent before its children (C: tree.c).

    A group is a run of lines with the same parent: the classes one softmax chooses from.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    """The parent of each node; -1 at the top."""
    groups: tuple[tuple[int, int], ...]
    """The (first node, number of nodes) of each group."""
    group_of: tuple[int, ...]
    """The group of each node."""
    child: tuple[int, ...]
    """The group of each node's children; -1 for a leaf."""

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self.names)

    @cached_property
    def leaves(self) -> tuple[bool, ...]:
        """Whether each node has no children."""
        parents = set(self.parents)
        return tuple(node not in parents for node in range(len(self)))


@dataclass(frozen=True)
class DataFile:
    """A .data file: `key=value` lines that name the lists, names and folders of a data set."""

    path: str
    entries: tuple[Entry, ...]

    @cached_property
    def options(self) -> dict[str, str]:
        """The value that counts for each key: the first (C: option_list.c:option_find)."""
        first: dict[str, str | None] = {}
        for entry in self.entries:
            first.setdefault(entry.key, entry.value)
        return {key: value for key, value in first.items() if value is not None}

    def __contains__(self, key: str) -> bool:
        """Whether `key` has a value."""
        return key in self.options

    def __getitem__(self, key: str) -> str:
        """The value of `key`.

        Raises:
            CfgError: the file does not give it.
        """
        if key not in self.options:
            raise CfgError(f"{self.path}: has no line {key}=...")
        return self.options[key]

    def get(self, key: str, default: str | None = None) -> str | None:
        """The value of `key`, or `default`."""
        return self.options.get(key, default)

    def find(self, key: str) -> Path | None:
        """The file that `key` names, looked up as `cfg.find_file` does; None without that key."""
        value = self.options.get(key)
        return None if value is None else find_file(value, self.path)

    def number(self, key: str, default: int) -> int:
        """The whole number that `key` starts with, or `default`.

        Raises:
            CfgError: its value is no number.
        """
        if key not in self.options:
            return default
        number = _INTEGER.match(self.options[key])
        if number is None:
            line = next(entry.line for entry in self.entries if entry.key == key)
            text = self.options[key]
            raise CfgError(f"{self.path}:{line}: {key} must be a whole number, got {text!r}")
        return int(number[0])


def read_data(path: PathName) -> DataFile:
    """Read a .data file (C: option_list.c:read_data_cfg).

    Blanks are dropped, inside values too; lines that start with `#` or `;` are comments.

    Raises:
        CfgError: the file cannot be opened.
    """
    name = os.fspath(path)
    entries = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        line = strip_blanks(line)
        entry = parse_entry(line, number, name) if line and line[0] not in "#;" else None
        if entry is not None:
            entries.append(entry)
    return DataFile(name, tuple(entries))


def read_tree(path: PathName, text: str | None = None) -> Tree:
    """Read a .tree file: lines of `name parent`, where parent counts lines from 0, or is -1.

    `text` is its content, where that is known already.

    Raises:
        CfgError: the file cannot be opened or is empty, a line has no parent number, or one
            that does not stand before it. PARITY: C takes a missing number for -1 and writes
            past its array for a late one (tree.c:read_tree).
    """
    names: list[str] = []
    parents: list[int] = []
    for node, line in enumerate(_lines(path) if text is None else _split(text)):
        name, parent = _tree_line(line, node, path)
        names.append(name)
        parents.append(parent)
    if not names:
        raise CfgError(f"{os.fspath(path)}: is empty; a tree has lines of 'name parent'")
    return make_tree(names, parents)


def make_tree(names: Sequence[str], parents: Sequence[int]) -> Tree:
    """The tree of nodes with these names and parents, each parent before its children."""
    starts: list[int] = []
    group_of: list[int] = []
    child = [-1] * len(parents)
    for node, parent in enumerate(parents):
        if node == 0 or parent != parents[node - 1]:
            starts.append(node)
        group_of.append(len(starts) - 1)
        if parent >= 0:
            child[parent] = group_of[-1]
    ends = [*starts[1:], len(parents)]
    groups = tuple((start, end - start) for start, end in zip(starts, ends, strict=True))
    return Tree(tuple(names), tuple(parents), groups, tuple(group_of), tuple(child))


def _tree_line(line: str, node: int, path: PathName) -> tuple[str, int]:
    where = f"{os.fspath(path)}:{node + 1}:"
    words = line.split()
    number = _INTEGER.match(words[1]) if len(words) > 1 else None
    if number is None:
        raise CfgError(f"{where} a tree line is 'name parent', with a number, got {line!r}")
    parent = int(number[0])
    if not -1 <= parent < node:
        raise CfgError(f"{where} parent {parent} must be -1 or a line before this one (0 is first)")
    return words[0], parent


def read_map(path: PathName, text: str | None = None) -> tuple[int, ...]:
    """Read a .map file: one class number a line (C: utils.c:read_map).

    `text` is its content, where that is known already.

    Raises:
        CfgError: the file cannot be opened, or a line is no number.
    """
    numbers = []
    for count, line in enumerate(_lines(path) if text is None else _split(text), start=1):
        number = _INTEGER.match(line.strip())
        if number is None:
            raise CfgError(f"{os.fspath(path)}:{count}: must be a class number, got {line!r}")
        numbers.append(int(number[0]))
    return tuple(numbers)


def read_names(path: PathName) -> list[str]:
    """Read a list of class names, one a line; blank lines count, except at the end.

    Raises:
        CfgError: the file cannot be opened.
    """
    return _lines(path, printable=True)


def read_list(path: PathName) -> list[str]:
    """Read a list of paths, one a line; blank lines are left out (C: data.c:get_paths).

    Raises:
        CfgError: the file cannot be opened.
    """
    return [line for line in _lines(path) if line.strip()]


def _lines(path: PathName, *, printable: bool = False) -> list[str]:
    """The lines without their ends and without the blank ones at the end of the file."""
    if printable:  # names get printed: bytes that are no UTF-8 must become characters
        data = read_bytes(path)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    else:
        text = read_text(path)
    return _split(text)


def _split(text: str) -> list[str]:
    lines = text.split("\n")
    if "\r" in text or "\0" in text:
        lines = [line.rstrip("\r").replace("\0", "") for line in lines]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines

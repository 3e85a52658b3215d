"""docs/parity.md is whole: every dialect field, every quirk's file, and tests that exist."""

import re
from dataclasses import fields

from helpers import ROOT

from darknet_py.dialect import Dialect

TEXT = (ROOT / "docs" / "parity.md").read_text(encoding="utf-8")


def rows():
    for line in TEXT.splitlines():
        if line.startswith("|") and not set(line) <= set("|-: "):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_every_row_has_four_cells():
    assert all(len(row) == 4 for row in rows()), [row for row in rows() if len(row) != 4]


def test_the_tests_named_exist():
    missing = []
    for row in rows():
        file = ""
        for name, test in re.findall(r"`(tests/[\w/]+\.py)?::(\w+)`", row[3]):
            file = name or file  # `::name` alone: of the file before it
            path = ROOT / file
            if not path.is_file() or f"def {test}(" not in path.read_text(encoding="utf-8"):
                missing.append(f"{file}::{test}")
    assert not missing, missing


def test_every_row_names_a_test():
    bare = [row[0] for row in rows() if row[3] != "test" and "tests/" not in row[3]]
    assert not bare, bare


def test_every_dialect_field_is_listed():
    missing = [f.name for f in fields(Dialect) if f"`{f.name}`" not in TEXT and f.name != "name"]
    assert not missing, missing


def test_every_file_with_a_quirk_is_mentioned():
    files = sorted((ROOT / "darknet_py").rglob("*.py"))
    quirky = [p for p in files if "PARITY:" in p.read_text(encoding="utf-8")]
    missing = [p.name for p in quirky if not is_named(p)]
    assert not missing, missing


def is_named(path):
    """Whether the page names the file, or the section that a layer's file is for."""
    section = path.parent.name == "layers" and f"[{path.stem}]" in TEXT
    return section or re.search(rf"\b{re.escape(path.name)}\b", TEXT) is not None

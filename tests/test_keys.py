"""Every key that a C parser reads is declared, with C's default, in the options of its section."""

import math
import re
from dataclasses import MISSING

import pytest
from helpers import SHARED

from darknet_py.augment import AugmentOptions
from darknet_py.layers import SECTIONS
from darknet_py.network import NetOptions
from darknet_py.options import LayerOptions, keys
from darknet_py.schedule import ScheduleOptions

TABLE = SHARED / "darknet" / "keys.md"
FLT_MAX = 3.4028234663852886e38

GAUSSIAN = ("uc_normalizer", "yolo_point")  # listed under [yolo], read by [Gaussian_yolo]
UNREAD = "\N{EN DASH}"


def rows(section=None):
    if not TABLE.is_file():
        return []
    text = TABLE.read_text(encoding="utf-8")
    found = re.findall(r"^\| (\w+) \| `(\w+)` \| (.*?) \| (.*?) \|$", text, re.M)
    return [row for row in found if section in (None, row[0])]


def name(cell):
    return cell if re.fullmatch(r"\w+", cell) else ""


def schemas(section, key):
    if section == "net" or key == "show_receptive_field":
        return [NetOptions, ScheduleOptions, AugmentOptions]
    if key in GAUSSIAN:
        return [SECTIONS["Gaussian_yolo"].Options]
    if section == "network_cfg":
        return [LayerOptions]
    return [SECTIONS[section].Options]


def literal(text):
    """The default in a table cell; None where it is none, or computed from other keys."""
    match = re.search(r"default (.+)$", text)
    if match is None:
        return None
    value = match[1].strip('"')
    if value == "FLT_MAX":
        return FLT_MAX
    if text.startswith("str"):
        return None if value == "0" else value
    try:
        return float(value.rstrip("f"))
    except ValueError:
        return None


@pytest.mark.skipif(not TABLE.is_file(), reason=f"{TABLE} is not here")
@pytest.mark.parametrize(("section", "key", "pjreddie", "alexeyab"), rows(), ids=name)
def test_key_is_declared_as_c_reads_it(section, key, pjreddie, alexeyab):
    cells = {"pjreddie": pjreddie, "alexeyab": alexeyab}
    readers = {fork for fork, text in cells.items() if text != UNREAD}
    declared = next((keys(s)[key] for s in schemas(section, key) if key in keys(s)), None)
    assert declared is not None, "not declared"
    assert declared.metadata["doc"]
    only = declared.metadata["only"]
    if len(readers) == 1 and only is None:  # then the whole section is that fork's
        assert key in GAUSSIAN or all(
            row[2 + (readers == {"pjreddie"})] == UNREAD for row in rows(section)
        )
    else:
        assert only == (readers.pop() if len(readers) == 1 else None)
        readers = {only} if only else set(cells)
    other = declared.metadata["alexeyab"]
    ours = {
        "pjreddie": declared.default,
        "alexeyab": declared.default if other is MISSING else other,
    }
    # The table quotes lines that are commented out.
    if (section, key) == ("region", "max"):
        cells["alexeyab"] = "int, default 200"
    if (section, key) == ("net", "power"):
        cells["alexeyab"] = "float, default 4"
    for fork in readers:
        expected, value = literal(cells[fork]), ours[fork]
        if isinstance(expected, str):
            assert value == expected
        elif expected is not None:
            assert value is not MISSING
            assert math.isclose(float(value or 0), expected, rel_tol=1e-6), f"{fork}: {value}"


def test_every_key_of_every_section_has_a_doc_line():
    for options in [NetOptions, ScheduleOptions, AugmentOptions, LayerOptions] + [
        layer.Options for layer in SECTIONS.values()
    ]:
        for name, declared in keys(options).items():
            assert declared.metadata["doc"], name

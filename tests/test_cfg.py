import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import c_parser as c_parser_program
import pytest
from helpers import SHARED
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darknet_py.cfg import find_file, format_cfg, parse_cfg, read_cfg
from darknet_py.errors import CfgError, DarknetWarning

CFGS = sorted((SHARED / "golden").glob("*/cfg/*.cfg"))

key = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\t \0=[#;"), min_size=1)
value = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\t \0"), min_size=1)
option = st.one_of(key, st.builds("{}={}".format, key | st.just(""), value))
noise = st.sampled_from(["", "# note", ";x=1", "  ", "\t#[net]"])
line = st.one_of(option, noise, st.just("[maxpool]"), st.just("[ route ]"))
cfg_text = st.lists(line).map(lambda lines: "\n".join(["[net]", *lines]))


def content(sections):
    return [(s.type, [(e.key, e.value) for e in s.entries]) for s in sections]


def raises(message):
    return pytest.raises(CfgError, match=f"^{re.escape(message)}$")


def test_the_language():
    text = (
        "\ufeff# a comment\r\n ; another\r\n[ne t]\r\n\tbatch = 6 4 # x\r\nbatch=1\r\n"
        "pad\r\n=5\r\na=b=c\r\n\r\n[route]\nlayers = -1, 8 ### P4"
    )
    net, route = parse_cfg(text, "a.cfg")
    assert (net.type, net.line, net.path) == ("net", 3, "a.cfg")
    assert [(e.key, e.value, e.line) for e in net.entries] == [
        ("batch", "64#x", 4),
        ("batch", "1", 5),
        ("pad", None, 6),
        ("", "5", 7),
        ("a", "b=c", 8),
    ]
    assert net.options["batch"].value == "64#x"
    assert content([route]) == [("route", [("layers", "-1,8###P4")])]


def test_a_line_that_ends_in_its_equals_sign_is_ignored():
    with pytest.warns(DarknetWarning, match=r"^a\.cfg:2: 'pad' has no value; the line is ignored$"):
        (net,) = parse_cfg("[net]\npad = \nx=1=", "a.cfg")
    assert content([net]) == [("net", [("x", "1=")])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.cfg: holds no [section]: is it a Darknet cfg?"),
        ("batch=1\n[net]", "a.cfg:1: 'batch=1' stands before the first [section]: is it a "
         "Darknet cfg?"),
        ("[net]\n[route", "a.cfg:2: a section is written [name], got '[route'"),
        ("[net]\n[]", "a.cfg:2: a section is written [name], got '[]'"),
        ("[net] # x", "a.cfg:1: a section is written [name], got '[net]#x'"),
        ("\n[route]", "a.cfg:2: [route]: the first section must be [net] or [network]"),
        ("[a\x0bb]", r"a.cfg:1: ['a\x0bb']: the first section must be [net] or [network]"),
        ("\x89PNG" * 50, "a.cfg:1: holds binary data: is it a Darknet cfg?"),
    ],
)  # fmt: skip
def test_errors(text, message):
    with raises(message):
        parse_cfg(text, "a.cfg")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(tmp_path, encoding):
    path = tmp_path / "é.cfg"
    path.write_bytes("[net]\r\n# café\r\nbatch=1\0\r\n".encode(encoding))
    assert content(read_cfg(path)) == [("net", [("batch", "1")])]
    with path.open(encoding=encoding) as file:
        (net,) = read_cfg(file)
    assert net.path == str(path)
    with path.open("rb") as file:
        assert content(read_cfg(file)) == [("net", [("batch", "1")])]


def test_a_file_that_cannot_be_read(tmp_path):
    with raises(f"{tmp_path}: cannot be opened: Is a directory"):
        read_cfg(tmp_path)
    large = tmp_path / "yolo.weights"
    with large.open("wb") as file:
        file.truncate(17 * 2**20)
    with raises(f"{large}: is too large to be a Darknet cfg"):
        read_cfg(large)


@given(cfg_text)
def test_round_trip(text):
    sections = parse_cfg(text)
    again = parse_cfg(format_cfg(sections))
    assert content(again) == content(sections)
    assert format_cfg(again) == format_cfg(sections)


@pytest.mark.skipif(not CFGS, reason="needs the goldens' cfgs")
def test_round_trip_of_real_cfgs():
    for path in CFGS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DarknetWarning)  # some have lines without a value
            sections = read_cfg(path)
        assert content(parse_cfg(format_cfg(sections))) == content(sections), path


@pytest.fixture(scope="module")
def c_parser():
    command = [sys.executable, c_parser_program.__file__]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet, text=True
    ) as process:

        def parse(path):
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield parse
        process.stdin.close()


@pytest.mark.skipif(c_parser_program.LIBRARY is None, reason="needs Darknet's library")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(text=cfg_text)
def test_reads_as_the_c_parser_does(text, tmp_path, c_parser):
    path = tmp_path / "a.cfg"
    path.write_text(text + "\n", encoding="utf-8", newline="")
    expected = [
        (name[1:-1], [(key, value) for key, value in options]) for name, options in c_parser(path)
    ]
    assert content(read_cfg(path)) == expected


def test_find_file(tmp_path, monkeypatch):
    (tmp_path / "cfg").mkdir()
    (tmp_path / "data").mkdir()
    cfg, tree = tmp_path / "cfg" / "a.cfg", tmp_path / "data" / "mine.tree"
    assert find_file("data/mine.tree", cfg) == Path("data/mine.tree")
    tree.touch()
    assert find_file("data/mine.tree", cfg).samefile(tree)
    near = tmp_path / "cfg" / "mine.tree"
    near.touch()
    assert find_file("mine.tree", cfg).samefile(near)
    here = tmp_path / "data" / "near"
    here.mkdir()
    (here / "mine.tree").touch()
    monkeypatch.chdir(here)
    assert find_file("mine.tree", cfg) == Path("mine.tree")

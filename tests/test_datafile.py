import re

import pytest
from helpers import SHARED

from darknet_py.datafile import read_data, read_list, read_map, read_names, read_tree
from darknet_py.errors import CfgError, DarknetWarning


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def raises(message):
    return pytest.raises(CfgError, match=f"^{re.escape(message)}$")


def naive_tree(parents):
    """tree.c:read_tree, statement for statement in effect: groups are closed when a parent ends."""
    last, size, groups, group_of, child = -1, 0, [], [], []
    for n, parent in enumerate(parents):
        child.append(-1)
        if parent != last:
            groups.append((n - size, size))
            size, last = 0, parent
        group_of.append(len(groups))
        if parent >= 0:
            child[parent] = len(groups)
        size += 1
    groups.append((len(parents) - size, size))
    return tuple(groups), tuple(group_of), tuple(child)


def test_tree_groups_are_runs_of_one_parent(write):
    parents = (-1, -1, 0, 0, 1, 0, 4, 4, -1)
    lines = [f"n{i} {parent}" for i, parent in enumerate(parents)]
    tree = read_tree(write("a.tree", "\r\n".join(lines) + "\n\n"))
    assert tree.names == tuple(f"n{i}" for i in range(9))
    assert tree.parents == parents
    assert (tree.groups, tree.group_of, tree.child) == naive_tree(parents)
    assert tree.child[0] == 3  # of two runs with the same parent the last counts
    assert tree.leaves == (False, False, True, True, False, True, True, True, True)
    assert len(tree) == 9


@pytest.mark.skipif(not (SHARED / "names").is_dir(), reason="needs the shared names")
def test_tree_of_9000_classes():
    tree = read_tree(SHARED / "names" / "9k.tree")
    assert len(tree) == 9418
    assert (tree.groups, tree.group_of, tree.child) == naive_tree(tree.parents)
    assert len(read_names(SHARED / "names" / "9k.names")) == 9418
    assert len(read_map(SHARED / "names" / "coco9k.map")) == 80


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a -1\nb\n", ":2: a tree line is 'name parent', with a number, got 'b'"),
        ("a -1\n\nb 0\n", ":2: a tree line is 'name parent', with a number, got ''"),
        ("a -1\nb x\n", ":2: a tree line is 'name parent', with a number, got 'b x'"),
        ("a -1\nb 1\n", ":2: parent 1 must be -1 or a line before this one (0 is first)"),
        ("a -2\n", ":1: parent -2 must be -1 or a line before this one (0 is first)"),
        ("\n", ": is empty; a tree has lines of 'name parent'"),
    ],
)
def test_bad_tree_names_the_line(write, text, message):
    path = write("a.tree", text)
    with raises(f"{path}{message}"):
        read_tree(path)


def test_map(write):
    assert read_map(write("a.map", "5177\n3768 \r\n-1\n12x\n\n")) == (5177, 3768, -1, 12)
    path = write("b.map", "1\ntwo\n")
    with raises(f"{path}:2: must be a class number, got 'two'"):
        read_map(path)


def test_names_keep_blanks_inside_and_blank_lines(write):
    path = write("a.names", b"\xef\xbb\xbftraffic light\r\n\r\n bear\ncaf\xc3\xa9\n\n\n")
    assert read_names(path) == ["traffic light", "", " bear", "café"]
    assert read_names(write("b.names", b"caf\xe9\n")) == ["café"]
    assert read_names(write("empty.names", "")) == []


def test_list_leaves_out_blank_lines(write):
    path = write("train.txt", "images/a b.jpg\r\n\n  \nimages/c.jpg")
    assert read_list(path) == ["images/a b.jpg", "images/c.jpg"]


def test_data(write, monkeypatch, tmp_path):
    path = write(
        "cfg/coco.data",
        "\ufeffclasses = 80 # of them\r\n;x=1\n#y=2\ntrain = tr ain.txt\ntrain = other.txt\n"
        "names=data/mine.names\nbackup\neval=",
    )
    names = write("data/mine.names", "person\n")
    train = write("cfg/train.txt", "")
    with pytest.warns(DarknetWarning, match=r"coco\.data:8: 'eval' has no value; the line is"):
        data = read_data(path)
    assert data.options == {
        "classes": "80#ofthem",
        "train": "train.txt",
        "names": "data/mine.names",
    }
    assert data.number("classes", 2) == 80
    assert data.number("top", 2) == 2
    assert data.find("names").samefile(names)  # one folder up from the .data file
    assert data.find("train").samefile(train)
    assert data.find("valid") is None
    assert "valid" not in data and data.get("valid", "x") == "x"
    monkeypatch.chdir(tmp_path)
    here = write("train.txt", "")
    assert data.find("train").samefile(here)  # the working directory comes first
    with raises(f"{path}: has no line valid=..."):
        data["valid"]


def test_data_number_must_be_one(write):
    path = write("a.data", "\nclasses=many")
    with raises(f"{path}:2: classes must be a whole number, got 'many'"):
        read_data(path).number("classes", 2)


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "no.names"
    for read in (read_names, read_list, read_tree, read_map, read_data):
        with raises(f"{path}: cannot be opened: No such file or directory"):
            read(path)

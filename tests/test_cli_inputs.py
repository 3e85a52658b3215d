"""Images from words, folders, lists and prompts; what stops at none of them."""

import io
from pathlib import Path

import pytest

from darknet_py.cli.inputs import expand, for_each_image, write_text
from darknet_py.errors import DarknetError, ImageError
from darknet_py.files import packaged


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.PNG", "a.jpg", "notes.md"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "list.txt").write_text("a.jpg\r\n\n  b.PNG \n")
    (tmp_path / "none").mkdir()
    (tmp_path / "none.txt").write_text("\n")


def answer(path):
    if path == "bad.jpg":
        raise ImageError("bad.jpg: is empty")
    return lambda: print(f"seen {path}")  # noqa: T201 - it stands for a command


def test_words_folders_and_lists():
    assert expand(".") == ["a.jpg", "b.PNG"]
    assert expand("list.txt") == ["a.jpg", "b.PNG"]
    assert expand("anything.gif") == ["anything.gif"]
    assert expand("data/shapes.jpg") == [str(packaged("data/shapes.jpg"))]
    with pytest.raises(ImageError, match=r"^none: this folder holds no images \("):
        expand("none")
    with pytest.raises(ImageError, match=r"^none\.txt: this list names no images$"):
        expand("none.txt")


def test_one_bad_image_of_many(capsys):
    assert for_each_image(["a.jpg", "bad.jpg", "list.txt"], answer) == 1
    out, err = capsys.readouterr()
    assert out == "seen a.jpg\nseen a.jpg\nseen b.PNG\n"
    assert err == "darknet-py: bad.jpg: is empty\n"
    assert for_each_image(["a.jpg"], answer) == 0


def test_prompting_until_the_end_of_input(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("a.jpg\r\n\nbad.jpg\nb.jpg"))
    assert for_each_image([], answer) == 1
    out, err = capsys.readouterr()
    ask = "Enter Image Path: "
    assert out == f"{ask}seen a.jpg\n{ask}{ask}{ask}seen b.jpg\n{ask}"
    assert err == "darknet-py: bad.jpg: is empty\n"


def test_a_bar_on_a_terminal_only(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    for_each_image(["a.jpg", "b.jpg"], answer)
    assert "\r[###############               ] 1/2" in capsys.readouterr().err

    monkeypatch.setenv("COLUMNS", "15")
    for_each_image(["a.jpg", "b.jpg"], answer)
    assert "\r[####    ] 1/2\r" in capsys.readouterr().err
    monkeypatch.setenv("COLUMNS", "6")
    for_each_image(["a.jpg", "b.jpg"], answer)
    assert capsys.readouterr().err == "\r0/2\r   \r\r1/2\r   \r"


def test_text_is_written_whole_or_not_at_all(tmp_path):
    write_text(Path("x.txt"), "ä\n")
    assert Path("x.txt").read_bytes() == "ä\n".encode()
    with pytest.raises(DarknetError, match=r"^no/x\.txt: cannot be written: No such file"):
        write_text(Path("no/x.txt"), "")
    assert not list(tmp_path.glob("*.part"))

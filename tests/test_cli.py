"""The command line's own behaviour: help, flags, errors, exit statuses."""

import os
import subprocess
import sys
import warnings

import pytest

from darknet_py import __version__
from darknet_py.cli import COMMANDS, classifier, main
from darknet_py.cli.arguments import Argument, Command, Flag, UsageError
from darknet_py.errors import DarknetError, DarknetWarning

COMMAND = Command(
    "look at",
    "Look. At it.",
    (Argument("cfg", "the cfg"), Argument("image", "images", required=False, many=True)),
    (Flag("thresh", "how sure", float, 0.5), Flag("quiet", "say less"),
     Flag("c", "the camera", int),
     Flag("t", "how many", int, 0, also=("top",)), Flag("kind", "which", str, choices=("a", "b"))),
    lambda args: 0,
)  # fmt: skip


def python(*words, **options):
    command = [sys.executable, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_flags_stand_anywhere_with_one_dash_or_two():
    for line in (
        "net.cfg a.jpg b.jpg -thresh .25 -quiet -t 3 -c -1",
        "-thresh .25 net.cfg -quiet a.jpg -t 3 b.jpg -c=-1",
        "--quiet net.cfg --thresh=.25 a.jpg --top 3 -c -1 b.jpg",
    ):
        args = COMMAND.parse(line.split())
        assert (args.cfg, args.image, args.thresh) == ("net.cfg", ["a.jpg", "b.jpg"], 0.25)
        assert (args.quiet, args.t, args.c, args.kind) == (True, 3, -1, None)
    args = COMMAND.parse(["net.cfg"])
    assert (args.image, args.thresh, args.quiet) == ([], 0.5, False)


@pytest.mark.parametrize(
    "line, message",
    [
        ("", "CFG is missing (usage: darknet-py look at CFG [IMAGE ...] [flags])"),
        ("a -tresh 1", "look at: unknown flag -tresh; did you mean -thresh?"),
        ("a --thres 1", "look at: unknown flag --thres; did you mean -thresh?"),
        ("a -xyz", "look at: unknown flag -xyz"),
        ("a -thresh high", "argument -thresh: invalid float value: 'high' (usage: darknet-py look "
         "at CFG [IMAGE ...] [flags])"),
        ("a -thresh", "argument -thresh: expected one argument (usage: darknet-py look at CFG "
         "[IMAGE ...] [flags])"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read(line, message):
    with pytest.raises(UsageError) as caught:
        COMMAND.parse(line.split())
    assert str(caught.value) == message


def test_help_of_a_command():
    assert COMMAND.help().splitlines() == [
        "usage: darknet-py look at CFG [IMAGE ...] [flags]",
        "",
        "Look. At it.",
        "",
        "  CFG                     the cfg",
        "  IMAGE                   images",
        "",
        "flags, at any place in the line, with one dash or two:",
        "",
        "  -thresh X               how sure",
        "  -quiet                  say less",
        "  -c N                    the camera",
        "  -t, -top N              how many",
        "  -kind a|b               which",
    ]


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_a_doc_for_every_flag(name, capsys):
    assert main([*name, "--help"]) == 0
    assert capsys.readouterr().out == COMMANDS[name].help()
    for flag in COMMANDS[name].flags:
        assert flag.idle or flag.doc, flag
    spellings = [spelling for flag in COMMANDS[name].flags for spelling in flag.spellings]
    assert len(set(spellings)) == len(spellings)


def test_the_overview_lists_every_command(capsys):
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    lines = listed.replace("\n", " \n")
    assert all(f"\n  {' '.join(name)} " in lines for name in COMMANDS)
    assert main([]) == 0
    assert capsys.readouterr().out == listed
    assert main(["detector", "--help"]) == 0
    assert "yolo test" not in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"darknet-py {__version__}\n"


def test_minus_h_with_a_number_is_the_height_of_a_window(capsys):
    assert main(["detect", "-h"]) == 0
    assert main(["detect", "none.cfg", "none.weights", "x.jpg", "-h", "480"]) == 1
    assert capsys.readouterr().err.startswith("darknet-py: none.cfg: cannot be opened")


@pytest.mark.parametrize(
    "line, message",
    [
        ("detct", "unknown command 'detct'; did you mean 'detect'?"),
        ("zzz", "unknown command 'zzz'; darknet-py --help lists the commands"),
        ("yolo", "yolo needs one more word: test, demo, train, valid, recall"),
        ("classifier pedict", "unknown command 'classifier pedict'; did you mean "
         "'classifier predict'?"),
        ("net", "CFG is missing (usage: darknet-py net CFG [flags])"),
        ("detect x.WEIGHTS x.cfg a.jpg", "x.WEIGHTS stands in the place of CFG (usage: darknet-py "
         "detect CFG WEIGHTS [IMAGE ...] [flags])"),
        ("detector test x.cfg x.weights a.jpg", "x.cfg stands in the place of DATA (usage: "
         "darknet-py detector test DATA CFG WEIGHTS [IMAGE ...] [flags])"),
        ("net a b", "'b' is one word too many (usage: darknet-py net CFG [flags])"),
    ],
)  # fmt: skip
def test_wrong_usage_is_status_2(line, message, capsys):
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"darknet-py: {message}\n")


@pytest.mark.parametrize(
    "error, status, message",
    [
        (DarknetError("x.cfg:3: [yolo]: no"), 1, "darknet-py: x.cfg:3: [yolo]: no\n"),
        (MemoryError(), 1, "darknet-py: there is not enough memory\n"),
        (OSError(28, "No space left on device", "a.jpg"), 1,
         "darknet-py: a.jpg: No space left on device\n"),
        (KeyboardInterrupt(), 130, ""),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 1,
         "darknet-py: the package torch is not installed: pip install torch\n"),
        (RuntimeError("a\n  b"), 1,
         "darknet-py: unexpected RuntimeError: a b (DARKNET_PY_TRACEBACK=1 shows where)\n"),
    ],
)  # fmt: skip
def test_errors_become_one_line(error, status, message, monkeypatch, capsys):
    def fail(args):
        raise error

    command = Command("net", "Look.", (), (), fail)
    monkeypatch.setitem(COMMANDS, ("net",), command)
    assert main(["net"]) == status
    assert capsys.readouterr() == ("", message)


def test_warnings_become_one_line_each(monkeypatch, capsys):
    def warn(args):
        for _ in range(2):
            warnings.warn("twice", DarknetWarning, stacklevel=2)
        warnings.warn("of another package", UserWarning, stacklevel=2)
        return 0

    monkeypatch.setitem(COMMANDS, ("net",), Command("net", "Look.", (), (), warn))
    assert main(["net"]) == 0
    assert capsys.readouterr().err == "darknet-py: warning: twice\n" * 2


def test_help_is_instant_and_loads_no_torch():
    code = (
        "import sys; from darknet_py.cli import main; main(['detect', '--help']); "
        "sys.exit(bool({'torch', 'numpy', 'cv2'} & set(sys.modules)))"
    )
    assert python("-c", code).returncode == 0
    answer = python("-m", "darknet_py", "--version")
    assert (answer.returncode, answer.stdout) == (0, f"darknet-py {__version__}\n")


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX pipe")
def test_a_reader_that_goes_away_is_no_error():
    line = f"{sys.executable} -m darknet_py net cfg/tiny.cfg | head -1"
    answer = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert answer.stderr == ""
    assert answer.stdout.startswith("layer ")


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_closed_streams():
    for line, out in (("net cfg/tiny.cfg >&-", ""), ("net none.cfg 2>&-", ""), ("foo >&-", "")):
        line = f"{sys.executable} -m darknet_py {line}"
        answer = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
        assert answer.stdout == out
        assert "Traceback" not in answer.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs file names of any bytes")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_of_any_bytes_are_printed(encoding):
    line = [sys.executable, "-m", "darknet_py", "net", b"\xe9.cfg"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    answer = subprocess.run(line, capture_output=True, check=False, env=environment)
    name = b"\xe9" if encoding == "utf-8" else b"\\udce9"
    message = b"darknet-py: %s.cfg: cannot be opened: No such file or directory\n"
    assert (answer.returncode, answer.stderr) == (1, message % name)


def test_classifier_commands_share_their_flags():
    assert {flag.name for flag in classifier.TRY.flags} < {f.name for f in classifier.PREDICT.flags}


@pytest.mark.parametrize("words, status", [(["--version"], 0), (["nosuch"], 2)])
def test_a_process_ends_with_what_was_registered_for_its_end(words, status, tmp_path):
    code = (
        "import atexit, sys, threading, time; from darknet_py.__main__ import run\n"
        "def late(): time.sleep(0.2); print('thread')\n"
        "atexit.register(print, 'registered'); threading.Thread(target=late).start()\n"
        f"sys.argv[1:] = {words}; run()"
    )
    done = python("-c", code, cwd=tmp_path)
    assert done.returncode == status
    assert done.stdout.split()[-2:] == ["thread", "registered"]

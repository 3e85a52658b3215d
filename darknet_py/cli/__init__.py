"""The command line, `darknet-py`: the table of commands, and how errors become one line."""

from __future__ import annotations

import contextlib
import difflib
import gc
import os
import sys
import warnings
from collections.abc import Sequence

from darknet_py import __version__
from darknet_py.cli import (
    anchors,
    cifar,
    classifier,
    classifier_demo,
    classifier_valid,
    convert,
    demo,
    detector,
    detector_draw,
    download,
    evaluate,
    go,
    nightmare,
    others,
    others_demo,
    rnn,
    speed,
    tools,
    train,
    views,
    weights,
)
from darknet_py.cli.arguments import Command, UsageError
from darknet_py.errors import DarknetError, DarknetWarning

COMMANDS: dict[tuple[str, ...], Command] = {
    tuple(command.name.split()): command
    for command in (
        classifier.CLASSIFY,
        classifier.PREDICT,
        classifier.TRY,
        *classifier_valid.COMMANDS,
        classifier_demo.DEMO,
        detector.DETECT,
        detector.TEST,
        detector_draw.DRAW,
        detector.YOLO,
        detector.COCO,
        *demo.COMMANDS,
        *train.COMMANDS,
        *evaluate.COMMANDS,
        anchors.CALC_ANCHORS,
        convert.CONVERT,
        download.DOWNLOAD,
        tools.NET,
        tools.DOCTOR,
        speed.SPEED,
        *weights.COMMANDS,
        *views.COMMANDS,
        *rnn.COMMANDS,
        *go.COMMANDS,
        nightmare.NIGHTMARE,
        *cifar.COMMANDS,
        *others.COMMANDS,
        *others_demo.COMMANDS,
    )
}


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line; the exit status is 0, 1 (it failed) or 2 (it cannot be read)."""
    words = sys.argv[1:] if words is None else list(words)
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name may hold what the terminal cannot show
            is_utf8 = (stream.encoding or "").lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if is_utf8 else "backslashreplace")
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="surrogateescape")
    rhythm = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)  # importing PyTorch makes much and drops little
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", DarknetWarning)
            warnings.showwarning = _show_warning
            return _guarded(words)
    finally:
        gc.set_threshold(*rhythm)


def _open_streams() -> None:
    """Give what is closed (`>&-`, a program without a console) a place to print to."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _guarded(words: Sequence[str]) -> int:
    try:
        status = _run(words)
        sys.stdout.flush()
        return status
    except UsageError as error:
        return _fail(str(error), 2)
    except DarknetError as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader has gone: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        return _fail("there is not enough memory", 1)
    except OSError as error:
        name = f"{error.filename}: " if error.filename is not None else ""
        return _fail(f"{name}{error.strerror or error}", 1)
    except ModuleNotFoundError as error:
        return _fail(f"the package {error.name} is not installed: pip install {error.name}", 1)
    except Exception as error:
        if os.environ.get("DARKNET_PY_TRACEBACK"):
            raise
        text = " ".join(str(error).split())
        hint = "DARKNET_PY_TRACEBACK=1 shows where"
        return _fail(f"unexpected {type(error).__name__}: {text} ({hint})", 1)


def _run(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "-help", "--help", "help"):
        print(overview(), end="")
        return 0
    if words[0] in ("-version", "--version"):
        print(f"darknet-py {__version__}")
        return 0
    command, rest = find_command(words)
    if command is None or _asks_for_help(rest):
        print(command.help() if command else overview(words[0]), end="")
        return 0
    args = command.parse(rest)
    args.words = list(words)
    return command.run(args)


def find_command(words: Sequence[str]) -> tuple[Command | None, list[str]]:
    """The command that `words` start with, and the words after it; None: help for a group.

    Raises:
        UsageError: there is none of that name.
    """
    for length in (2, 1):
        if tuple(words[:length]) in COMMANDS:
            return COMMANDS[tuple(words[:length])], list(words[length:])
    group = [name for name in COMMANDS if len(name) > 1 and name[0] == words[0]]
    if group and _asks_for_help(words[1:2]):
        return None, []
    if group and len(words) == 1:
        wanted = ", ".join(name[1] for name in group)
        raise UsageError(f"{words[0]} needs one more word: {wanted}")
    asked = " ".join(words[:2]) if group else words[0]
    names = [" ".join(name) for name in (group or COMMANDS)]
    close = difflib.get_close_matches(asked, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "; darknet-py --help lists the commands"
    raise UsageError(f"unknown command {asked!r}{hint}")


def overview(group: str | None = None) -> str:
    """The list of commands, or of those of one group."""
    lines = ["usage: darknet-py COMMAND ...", ""]
    for name, command in COMMANDS.items():
        if group in (None, name[0]):
            words = " ".join([command.name, *(argument.usage for argument in command.arguments)])
            lines += [f"  {words}", f"      {command.doc.partition('. ')[0].rstrip('.')}."]
    lines += [
        "",
        "darknet-py COMMAND --help shows a command's flags, darknet-py --version the version.",
    ]
    return "\n".join(lines) + "\n"


def _asks_for_help(words: Sequence[str]) -> bool:
    """Whether help is asked for; `-h N` is C's height of a window."""
    if "--help" in words or "-help" in words:
        return True
    if "-h" not in words:
        return False
    after = words[words.index("-h") + 1 :]
    return not after or not after[0].isdigit()


def _fail(message: str, status: int) -> int:
    with contextlib.suppress(OSError):  # what could not be printed may be the failure
        sys.stdout.flush()
    print(f"darknet-py: {message}", file=sys.stderr)
    return status


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    sys.stdout.flush()
    print(f"darknet-py: warning: {message}", file=sys.stderr)

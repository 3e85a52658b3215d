"""What a command takes: its words and its flags in Darknet's spelling, and their help."""

from __future__ import annotations

import argparse
import difflib
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, NoReturn

MODELS = (".onnx", ".xml", ".safetensors")
"""The endings of converted models that run as they are."""

ENDINGS = {".cfg": "cfg", ".weights": "weights", ".data": "data", ".jpg": "image", ".png": "image"}
"""The places of files with these endings."""


class UsageError(Exception):
    """A command line that cannot be read; its text is one line."""


@dataclass(frozen=True)
class Argument:
    """A word that stands by its place."""

    name: str
    doc: str
    required: bool = True
    many: bool = False
    in_model: bool = False
    """Whether a model in the place of the cfg (`is_model`) holds it, too: it is left out, then."""

    @property
    def usage(self) -> str:
        """As the usage line shows it."""
        name = self.name.upper() + (" ..." if self.many else "")
        return name if self.required else f"[{name}]"


@dataclass(frozen=True)
class Flag:
    """A `-flag`, at any place in the line; without `kind` it is a switch.

    A flag that is `idle` is one of C's that changes nothing here: it is accepted.
    """

    name: str
    doc: str = ""
    kind: Callable[[str], Any] | None = None
    default: Any = None
    choices: tuple[str, ...] | None = None
    also: tuple[str, ...] = ()
    idle: bool = False

    @property
    def spellings(self) -> list[str]:
        """`-thresh`, and its other names."""
        return [f"-{name}" for name in (self.name, *self.also)]

    @property
    def dest(self) -> str:
        """Its name in the parsed line."""
        return self.name.replace("-", "_")

    @property
    def usage(self) -> str:
        """As the help shows it."""
        values = {int: " N", float: " X", str: " TEXT"}
        value = values.get(self.kind, " FILE") if self.kind else ""  # type: ignore[call-overload]
        if self.choices:
            value = " " + "|".join(self.choices)
        return ", ".join(self.spellings) + value


def is_model(word: str) -> bool:
    """Whether a word stands for cfg, weights and names: a converted model, or an official name."""
    if word.lower().endswith(MODELS):
        return True
    from darknet_py.download import is_name

    return is_name(word)


def file_name(text: str) -> str:
    """The kind of a flag that names a file."""
    return text


@dataclass(frozen=True)
class Command:
    """One command: how its line is read, and what it then runs.

    `run` takes the parsed line and gives the exit status.
    """

    name: str
    doc: str
    arguments: tuple[Argument, ...]
    flags: tuple[Flag, ...]
    run: Callable[[argparse.Namespace], int]

    @property
    def usage(self) -> str:
        """The usage line."""
        return " ".join(["darknet-py", self.name, *(a.usage for a in self.arguments), "[flags]"])

    def parse(self, words: Iterable[str]) -> argparse.Namespace:
        """Read the words after the command's name.

        Raises:
            UsageError: an unknown flag, a missing word, a value of the wrong kind.
        """
        parser = _Parser(usage=self.usage, add_help=False, allow_abbrev=False)
        parser.add_argument("words", nargs="*")
        for flag in self.flags:
            if flag.kind is None:
                parser.add_argument(*flag.spellings, dest=flag.dest, action="store_true")
            else:
                parser.add_argument(
                    *flag.spellings,
                    dest=flag.dest,
                    type=flag.kind,
                    default=flag.default,
                    choices=flag.choices,
                )
        args = parser.parse_intermixed_args(self._spelled(words))
        self._place(args)
        return args

    def _place(self, args: argparse.Namespace) -> None:
        """Give the words their names."""
        words = list(args.words)
        value: list[str] | str | None
        for argument in self.arguments:
            if argument.in_model and is_model(getattr(args, "cfg", "".join(words[:1]))):
                setattr(args, argument.name, None)
                continue
            if argument.many:
                value, words = words, []
            else:
                value = words.pop(0) if words else None
            if argument.required and not value:
                self._check_name(args)
                raise UsageError(f"{argument.name.upper()} is missing (usage: {self.usage})")
            setattr(args, argument.name, value)
        if words:
            raise UsageError(f"{words[0]!r} is one word too many (usage: {self.usage})")
        self._check_order(args)

    def _check_name(self, args: argparse.Namespace) -> None:
        """A misspelt model in the place of the cfg leaves too few words."""
        from darknet_py.download import check_name

        if any(argument.in_model for argument in self.arguments):
            check_name(getattr(args, "cfg", None) or "")

    def _check_order(self, args: argparse.Namespace) -> None:
        """A file whose ending belongs to another place: the order is wrong, or one is missing."""
        for argument in self.arguments:
            word = getattr(args, argument.name)
            if argument.required and argument.name in ENDINGS.values() and isinstance(word, str):
                kind = ENDINGS.get(PurePath(word).suffix.lower(), argument.name)
                if kind != argument.name:
                    self._check_name(args)
                    raise UsageError(
                        f"{word} stands in the place of {argument.name.upper()} "
                        f"(usage: {self.usage})"
                    )

    def _spelled(self, words: Iterable[str]) -> list[str]:
        """The words with `--flag` written as C writes it.

        argparse takes the beginning of a single-dash flag for the flag itself; here it is unknown.
        """
        flags = {spelling: flag for flag in self.flags for spelling in flag.spellings}
        spelled: list[str] = []
        value_follows = False
        for word in words:
            if value_follows or not word.startswith("-") or len(word) < 2 or _is_number(word):
                spelled.append(word)
                value_follows = False
                continue
            name, equals, value = word.partition("=")
            name = "-" + name.lstrip("-")
            if name not in flags:
                close = difflib.get_close_matches(name, flags, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise UsageError(f"{self.name}: unknown flag {word.partition('=')[0]}{hint}")
            spelled.append(name + equals + value)
            value_follows = flags[name].kind is not None and not equals
        return spelled

    def help(self) -> str:
        """The text of `COMMAND --help`."""
        live = [flag for flag in self.flags if not flag.idle]
        idle = [spelling for flag in self.flags if flag.idle for spelling in flag.spellings]
        parts = [f"usage: {self.usage}", textwrap.fill(self.doc, 90)]
        words = [(argument.name.upper(), argument.doc) for argument in self.arguments]
        parts.append(_columns(words))
        parts.append("flags, at any place in the line, with one dash or two:")
        parts.append(_columns([(flag.usage, flag.doc) for flag in live]))
        if idle:
            parts.append("accepted and without effect here:")
            parts.append(
                textwrap.fill(
                    " ".join(idle),
                    90,
                    initial_indent="  ",
                    subsequent_indent="  ",
                    break_on_hyphens=False,
                )
            )
        return "\n\n".join(parts) + "\n"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report through UsageError, so that main decides what is printed."""
        raise UsageError(f"{message} (usage: {self.usage})")


def _columns(rows: Iterable[tuple[str, str]]) -> str:
    lines = []
    for name, doc in rows:
        first, *rest = textwrap.wrap(doc, 64)
        if len(name) > 23:
            lines += [f"  {name}", f"{'':26}{first}"]
        else:
            lines.append(f"  {name:<24}{first}")
        lines += [f"{'':26}{line}" for line in rest]
    return "\n".join(lines)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True

"""`rnn generate`, `generatetactic`, `valid`, `validtactic` and `vec`."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Argument, Command, Flag, file_name
from darknet_py.cli.flags import CFG
from darknet_py.cli.weights import FLAGS, build, load

if TYPE_CHECKING:
    from darknet_py.textgenerate import TextGenerator


def _open(args: Namespace, temperature: float = 1.0) -> TextGenerator:
    """The network of the line, with random weights where it names none, as in C."""
    from darknet_py.textgenerate import TextGenerator

    print(Path(args.cfg).name.partition(".")[0], file=sys.stderr)
    network = load(args) if args.weights else build(args)
    return TextGenerator(network, temperature=temperature, seed=getattr(args, "srand", None))


def _generate(args: Namespace) -> int:
    generator = _open(args, args.temp)
    show = _printer(args.tokens)
    for symbol in generator.generate(_bytes(args.seed), args.len):
        show(symbol)
    _print(b"\n")
    return 0


def _generate_tactic(args: Namespace) -> int:
    generator = _open(args, args.temp)
    show = _printer(args.tokens)
    for symbol in generator.go_on(_read_input(), args.len):
        show(symbol)
    _print(b"\n")
    return 0


def _valid(tactics: bool, args: Namespace) -> int:
    from darknet_py.textgenerate import measure

    generator = _open(args)
    for symbol in _bytes(args.seed):
        generator.feed(symbol)
    pjreddie = generator.network.dialect.name == "pjreddie"
    for found in measure(generator, _read_input(), tactics=tactics):
        first = f"{found.words}" if tactics else f"BPC: {found.bits_per_character:4.4f}  "
        shown = f"{found.count} {first} " if tactics or pjreddie else f"{found.count} "
        print(
            f"{shown}Perplexity: {found.per_character:4.4f}    "
            f"Word Perplexity: {found.per_word:4.4f}",
            flush=True,
        )
    return 0


def _vec(args: Namespace) -> int:
    generator = _open(args)
    blanks = b" \t\n" + (b"\r" if generator.network.dialect.name == "alexeyab" else b"")
    lines = _read_input().split(b"\n")
    for line in lines[: len(lines) - (not lines[-1])]:
        line = line.translate(None, blanks)
        generator.network.reset_state()
        values = [generator.feed(symbol, 0) for symbol in _bytes(args.seed) + line + b" "][-1]
        _print(line + "".join(f",{value:g}" for value in values.tolist()).encode() + b"\n")
    return 0


def _read_input() -> bytes:
    """All of standard input."""
    if sys.stdin is None:
        return b""
    buffer = getattr(sys.stdin, "buffer", None)
    return sys.stdin.read().encode() if buffer is None else bytes(buffer.read())


def _printer(tokens: str | None) -> Callable[[int], None]:
    """What shows one symbol: a byte, or a token and a blank (C: rnn.c:print_symbol)."""
    if tokens is None:
        return lambda symbol: _print(bytes((symbol % 256,)))
    from darknet_py.textgenerate import read_tokens

    words = read_tokens(tokens)
    return lambda symbol: _print(
        f"{words[symbol] if symbol < len(words) else symbol} ".encode("utf-8", "surrogateescape")
    )


def _bytes(text: str) -> bytes:
    return os.fsencode(text)


def _print(data: bytes) -> None:
    """Bytes as they are; the text may be no UTF-8."""
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        print(data.decode("latin-1"), end="")
        return
    buffer.write(data)
    buffer.flush()


SEED = Flag("seed", "what it reads first (default: two ends of lines)", str, "\n\n")
LENGTH = Flag("len", "how many characters to write (default: 1000)", int, 1000)
TEMPERATURE = Flag("temp", "below 1 the probable becomes more so (default: 0.7)", float, 0.7)
SRAND = Flag("srand", "the start of the drawing (default: another one each time)", int)
TOKENS = Flag("tokens", "a list of tokens, one a line, that stand for characters", file_name)
OWN = (SEED, LENGTH, TEMPERATURE, SRAND, TOKENS)
OPTIONAL_WEIGHTS = Argument("weights", "the .weights file (default: random weights)", False)


def _command(name: str, doc: str, run: Callable[[Namespace], int], *flags: Flag) -> Command:
    """A command; the flags it has not are C's and do nothing."""
    idle = [Flag(f.name, kind=f.kind, idle=True) for f in OWN if f not in flags]
    more = [Flag(other, kind=str, idle=True) for other in ("file", "gpus")]
    more += [Flag(other, idle=True) for other in ("clear", "tokenized")]
    return Command(f"rnn {name}", doc, (CFG, OPTIONAL_WEIGHTS), (*flags, *FLAGS, *idle, *more), run)


COMMANDS = (
    _command(
        "generate", "Print -seed, and what the network writes after it.", _generate, *OWN
    ),
    _command(
        "generatetactic",
        "Print what the network writes after the text on standard input, up to a line that ends "
        "in a full stop.",
        _generate_tactic,
        *OWN[1:],
    ),
    _command(
        "valid",
        "Print the perplexity of the text on standard input, character by character.",
        partial(_valid, False),
        SEED,
    ),
    _command(
        "validtactic",
        "The same for what stands between >> and a line that ends in a full stop.",
        partial(_valid, True),
        SEED,
    ),
    _command(
        "vec",
        "Print each line of standard input, and the first layer's outputs after it.",
        _vec,
        SEED,
    ),
)  # fmt: skip

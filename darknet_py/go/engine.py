"""The Go Text Protocol (C: go.c:engine_go)."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from darknet_py.errors import DarknetError
from darknet_py.go.board import (
    PASS,
    SIZE,
    empty_board,
    format_board,
    is_legal,
    place,
    point_name,
    read_point,
)
from darknet_py.go.player import Player
from darknet_py.go.search import Node, Search

HANDICAP = (72, 288, 300, 60, 180, 174, 186, 66, 294)
"""Where the stones of `fixed_handicap` stand."""
HURRY = 2.5
"""Seconds a move, when 30 or less are left of the game."""


class Engine:
    """Answers one line after the other."""

    def __init__(
        self,
        player: Player,
        *,
        iterations: int = 500,
        seconds: float = 0,
        temperature: float = 0.1,
        exploration: float = 5.0,
        resign: int = 175,
        multi: bool = False,
        anonymous: bool = False,
        seed: int | None = None,
    ) -> None:
        """Start a game; see `go engine` for what the numbers mean."""
        if temperature <= 0:
            raise DarknetError(f"-temp must be above 0, got {temperature}")
        self.player, self.iterations, self.seconds = player, iterations, seconds
        self.temperature, self.resign, self.multi = temperature, resign, multi
        self.random = np.random.default_rng(seed)
        self.search = Search(player, self.random, exploration)
        self.name = "The Fool!" if anonymous else "DarkGo"
        self.notes: list[str] = []
        """What the last answer has to say on stderr."""
        self.stopped = False
        self.left = {1: 0, -1: 0}
        """Seconds that a side has; 0: as many as it wants."""
        self._clear()
        self.commands: dict[str, Callable[[list[str]], str]] = {
            "protocol_version": lambda words: "2",
            "name": lambda words: self.name,
            "version": lambda words: "1.0",
            "known_command": lambda words: str(words[0] in self.commands).lower(),
            "list_commands": lambda words: "\n".join(self.commands),
            "quit": self._quit,
            "boardsize": self._size,
            "clear_board": lambda words: self._clear(),
            "komi": lambda words: "",
            "fixed_handicap": self._handicap,
            "showboard": lambda words: "\n" + format_board(self.board).rstrip("\n"),
            "play": lambda words: self._play(_side(words[0]), words[1]),
            "black": lambda words: self._play(1, words[0]),
            "white": lambda words: self._play(-1, words[0]),
            "genmove": lambda words: self._move(_side(words[0])),
            "genmove_black": lambda words: self._move(1),
            "genmove_white": lambda words: self._move(-1),
            "time_settings": lambda words: "",
            "time_left": self._time,
        }

    def answer(self, line: str) -> str | None:
        """What to print for a line; None: nothing."""
        self.notes = []
        words = re.sub(r"#.*", "", line).split()
        number = words.pop(0) if words and words[0].isdigit() else ""
        if not words:
            return None
        command = self.commands.get(words[0])
        if command is None:
            return f"?{number} unknown command\n\n"
        self.notes.append(words[0])
        try:
            return f"={number} {command(words[1:])}\n\n"
        except (DarknetError, IndexError, ValueError) as error:
            text = str(error) if isinstance(error, DarknetError) else "syntax error"
            return f"?{number} {text}\n\n"

    def _quit(self, words: list[str]) -> str:
        self.stopped = True
        return ""

    def _clear(self) -> str:
        self.board, self.before = empty_board(), empty_board()
        self.tree: Node | None = None
        self.moves = 0
        self.passed = False
        return ""

    def _size(self, words: list[str]) -> str:
        if int(words[0]) != SIZE:
            raise DarknetError("unacceptable size")
        return self._clear()

    def _handicap(self, words: list[str]) -> str:
        for index in HANDICAP[: int(words[0])]:
            self.board[divmod(index, SIZE)] = 1
            self.moves += 1
        self.tree = None
        return " ".join(point_name(index) for index in HANDICAP[: int(words[0])])

    def _time(self, words: list[str]) -> str:
        self.left[_side(words[0])] = int(words[1])
        return ""

    def _play(self, side: int, name: str) -> str:
        move = read_point(name)
        if move is None:
            raise DarknetError("syntax error")
        if move != PASS and self.board[divmod(move, SIZE)]:
            raise DarknetError("illegal move")
        self._do(side, move)
        return ""

    def _do(self, side: int, move: int) -> None:
        """Make a move, whoever chose it."""
        self.moves += 1
        self.passed = move == PASS
        if self.tree is not None:
            self.tree = self.tree.children.get(move) if self.tree.side == side else None
        if move != PASS:
            self.before, self.board = self.board, place(self.board, side, *divmod(move, SIZE))

    def _move(self, side: int) -> str:
        if not self.player.has_chance:
            move = PASS if self.passed else self._draw(side)
            self._do(side, move)
            return point_name(move)
        if self.tree is None or self.tree.side != side:
            self.tree = self.search.expand(self.board, side)
        root = self.tree
        hurry = 0 < self.left[side] <= 30
        before = self.before if self.moves else None
        self.search.run(root, before, self.iterations, HURRY if hurry else self.seconds)
        move, shares = self.search.pick(root, self.temperature)
        self.notes.append(format_board(self.board, np.argsort(-shares)[:10].tolist()).rstrip())
        self.notes.append(
            f"{point_name(move)}, Result: {root.result:f}, Prior: {root.prior[move]:f}, "
            f"Prob: {shares[move]:f}, Mean Value: {root.mean[move]:f}, "
            f"Visited: {root.visits[move]}"
        )
        mean, chance = (float(root.mean[move]) + 1) / 2, (root.result + 1) / 2
        self._do(side, move)
        if self.moves > self.resign and max(mean, chance) < 0.1:
            return "resign"
        return point_name(move)

    def _draw(self, side: int) -> int:
        before = self.before if self.moves else None
        move = self.player.draw(self.board, before, side, self.random, multi=self.multi)
        if move != PASS and not is_legal(self.board, before, side, *divmod(move, SIZE)):
            return PASS
        return move


def _side(color: str) -> int:
    return 1 if color[0] in "bB" else -1

"""The rules of Go, and files of moves (C: go.c)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from darknet_py.cfg import read_bytes
from darknet_py.datafile import PathName
from darknet_py.errors import DarknetError

SIZE = 19
POINTS = SIZE * SIZE
PASS = POINTS
"""The number of the move that places no stone."""
COLUMNS = "ABCDEFGHJKLMNOPQRST"
"""There is no I."""


def empty_board() -> np.ndarray:
    """A board without stones; black ones are 1, white ones -1, `(19, 19)` int8."""
    return np.zeros((SIZE, SIZE), np.int8)


def _neighbours(row: int, column: int) -> Iterator[tuple[int, int]]:
    for r, c in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
        if 0 <= r < SIZE and 0 <= c < SIZE:
            yield r, c


def find_group(board: np.ndarray, row: int, column: int) -> tuple[set[tuple[int, int]], int]:
    """The stones connected with one, and how many free points they have around them."""
    side = board[row, column]
    group, free, waiting = {(row, column)}, set(), [(row, column)]
    while waiting:
        for point in _neighbours(*waiting.pop()):
            if board[point] == side and point not in group:
                group.add(point)
                waiting.append(point)
            elif board[point] == 0:
                free.add(point)
    return group, len(free)


def place(board: np.ndarray, side: int, row: int, column: int) -> np.ndarray:
    """The board after a stone of `side` was placed, without the stones it captures."""
    board = board.copy()
    board[row, column] = side
    for point in _neighbours(row, column):
        if board[point] == -side:
            group, free = find_group(board, *point)
            if not free:
                for stone in group:
                    board[stone] = 0
    return board


def is_legal(
    board: np.ndarray, before: np.ndarray | None, side: int, row: int, column: int
) -> bool:
    """Whether a stone may be placed: not on another, not without freedom, not repeating `before`.

    Args:
        board: as it is.
        before: the board before the other side's last move.
        side: that moves.
        row: from 0, the upper one.
        column: from 0, the left one.
    """
    if board[row, column]:
        return False
    after = place(board, side, row, column)
    if not find_group(after, row, column)[1]:
        return False
    return before is None or not np.array_equal(after, before)


def point_name(move: int) -> str:
    """`D4` of a move's number, or `pass`."""
    if move == PASS:
        return "pass"
    row, column = divmod(move, SIZE)
    return f"{COLUMNS[column]}{SIZE - row}"


def read_point(text: str) -> int | None:
    """The number of a move such as `D4` or `pass`; None: it is none."""
    text = text.strip().upper()
    if text.startswith("P") and not text[1:].isdigit():
        return PASS
    if not text or text[0] not in COLUMNS or not text[1:].strip().isdigit():
        return None
    row = SIZE - int(text[1:])
    return row * SIZE + COLUMNS.index(text[0]) if 0 <= row < SIZE else None


def format_board(board: np.ndarray, marks: list[int] | None = None) -> str:
    """A board as C prints it: black is X; `marks` are the moves to number from 1.

    C: go.c:print_board.
    """
    numbers = {move: i + 1 for i, move in enumerate(marks or [])}
    lines = ["   " + "".join(f"{letter} " for letter in COLUMNS)]
    for row in range(SIZE):
        cells = []
        for column in range(SIZE):
            mark = numbers.get(row * SIZE + column)
            stone = (" .", " X", " O")[int(board[row, column])]
            cells.append(stone if mark is None else f" {mark}")
        lines.append(f"{SIZE - row:2d}" + "".join(cells))
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Record:
    """One position of a file of moves, and the move that was played."""

    board: np.ndarray
    """The stones of the side that moves are 1, the others -1."""
    side: int
    """1: black moves; -1: white, or it is not known."""
    move: int
    won: bool
    """Whether that side won; False where it is not known."""


def read_records(path: PathName, planes: int) -> list[Record]:
    """Read a file of moves (C: go.c:load_go_moves, string_to_board).

    Args:
        path: of the file.
        planes: those of the network; pjreddie's 3 come with records of 96 bytes, which say who
            moves and who won, AlexeyAB's one with records of 94.

    Raises:
        DarknetError: the file cannot be read, or is too short for one record.
    """
    length, start = (96, 4) if planes == 3 else (94, 2)
    data = read_bytes(path)
    if len(data) < length:
        raise DarknetError(f"{path}: has no record of {length} bytes")
    rows = np.frombuffer(data[: len(data) // length * length], np.uint8).reshape(-1, length)
    bits = np.unpackbits(rows[:, start : start + 91], axis=1, bitorder="little")
    pairs = bits.reshape(len(rows), -1, 2)[:, :POINTS].astype(np.int8)
    boards = np.where(pairs[..., 0] == 1, 1, -pairs[..., 1]).astype(np.int8)
    records = []
    for row, board in zip(rows.tolist(), boards, strict=True):
        player, result = row[0] - ord("0"), row[1] - ord("0")
        at = row[start - 2], row[start - 1]
        move = at[0] * SIZE + at[1] if max(at) < SIZE else PASS
        known = planes == 3
        side = 1 if known and player > 0 else -1
        records.append(Record(board.reshape(SIZE, SIZE), side, move, known and player == result))
    return records

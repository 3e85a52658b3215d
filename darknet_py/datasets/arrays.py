"""Data that is whole in memory: CIFAR-10's files, and go moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from darknet_py.augmentation import draws
from darknet_py.datasets.base import Dataset
from darknet_py.errors import DataError

CIFAR_CLASSES = 10
_CIFAR_ROW = 3073
_CIFAR_SMOOTH = np.float32(0.1)
BOARD = 19
_MOVE = 96


def _read(path: str, row: int) -> np.ndarray:
    """Rows of bytes.

    Raises:
        DataError: the file cannot be opened, or does not hold whole rows.
    """
    try:
        data = np.frombuffer(Path(path).read_bytes(), np.uint8)
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from None
    if not len(data) or len(data) % row:
        raise DataError(f"{path}: must hold rows of {row} bytes, got {len(data)} bytes")
    return data.reshape(-1, row)


def read_cifar(*paths: str) -> tuple[np.ndarray, np.ndarray]:
    """The pictures (n, 3072) uint8 and classes (n,) of CIFAR-10's binary files.

    C: data.c:load_cifar10_data, load_all_cifar10.

    Raises:
        DataError: a file is no such file.
    """
    rows = np.concatenate([_read(path, _CIFAR_ROW) for path in paths])
    if rows[:, 0].max() >= CIFAR_CLASSES:
        raise DataError(f"{paths[0]}: holds class {rows[:, 0].max()}, the last one is 9")
    return rows[:, 1:], rows[:, 0].astype(np.int64)


@dataclass
class Cifar(Dataset):
    """CIFAR-10's pictures, drawn at random, with smoothed classes.

    C: cifar.c:train_cifar, data.c:smooth_data.
    """

    pictures: np.ndarray = field(default_factory=lambda: np.zeros((0, 3072), np.uint8))
    classes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    path: str = ""

    @property
    def length(self) -> int:
        """How many pictures there are."""
        return len(self.pictures)

    @property
    def truths(self) -> int:
        """Ten classes."""
        return CIFAR_CLASSES

    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """Fill one row."""
        number = int(self.random(iteration, place).integers(self.length))
        np.divide(self.pictures[number].reshape(image.shape), np.float32(255), out=image)
        truth[:] = _CIFAR_SMOOTH / CIFAR_CLASSES
        truth[self.classes[number]] += 1 - _CIFAR_SMOOTH
        return f"{self.path}:{number}"


def read_moves(path: str) -> np.ndarray:
    """The moves in a file, 96 bytes each: player, result, row, column, and the board in 2 bits.

    C: go.c:load_go_moves.

    Raises:
        DataError: the file is no such file.
    """
    return _read(path, _MOVE)


@dataclass
class GoMoves(Dataset):
    """Boards with the move that was made, turned and mirrored at random.

    Input: my stones, theirs, and 1 everywhere for the player of colour 1. Truth: 361 places, pass,
    and whether the player won. A network of one plane sees my stones as 1, theirs as -1; one of
    362 outputs has no winner. C: go.c:random_go_moves.
    """

    moves: np.ndarray = field(default_factory=lambda: np.zeros((0, _MOVE), np.uint8))
    outputs: int = BOARD * BOARD + 2
    path: str = ""

    @property
    def length(self) -> int:
        """How many moves there are."""
        return len(self.moves)

    @property
    def truths(self) -> int:
        """The network's outputs."""
        return self.outputs

    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """Fill one row."""
        random = self.random(iteration, place)
        number = int(random.integers(self.length))
        player, result, row, column = self.moves[number, :4].tolist()
        bits = self.moves[number, 4:95, None] >> np.arange(0, 8, 2, dtype=np.uint8) & 3
        points = bits.ravel()[: BOARD * BOARD].reshape(BOARD, BOARD)
        board = np.zeros((3, BOARD, BOARD), np.float32)
        board[0], board[1] = points & 1, points == 2
        board[2] = player > ord("0")
        places = np.zeros((BOARD, BOARD), np.float32)
        if max(row, column) < BOARD:
            places[row, column] = 1
        mirrored, turns = draws.coin(random), draws.whole(random, 0, 3)
        if mirrored:
            board, places = board[:, :, ::-1], places[:, ::-1]
        board = np.rot90(board, -turns, (1, 2))
        planes = [board[0] - board[1]] if len(image) == 1 else [*board]
        image[:] = np.stack(planes)[: len(image)]
        answer = np.zeros(BOARD * BOARD + 2, np.float32)
        answer[: BOARD * BOARD] = np.rot90(places, -turns).ravel()
        answer[-2], answer[-1] = max(row, column) >= BOARD, player == result
        truth[:] = answer[: self.outputs]
        return f"{self.path}:{number}"

"""A network that says where to play, and who wins."""

from __future__ import annotations

import numpy as np
import torch

from darknet_py.errors import CfgError
from darknet_py.go.board import PASS, POINTS, SIZE, is_legal
from darknet_py.network import Network

TURNS = 8
"""The board can be turned and mirrored into so many others."""


class Player:
    """A network over boards.

    With 3 planes it sees its own stones, the other's, and whether it is black; with one plane its
    own are 1, the other's -1. It gives each point, then maybe the pass, then maybe its chance.
    """

    def __init__(self, network: Network) -> None:
        """Take a network that holds its weights.

        Raises:
            CfgError: its input is no board, or its output no moves.
        """
        image, path = network.image, network.sections[0].path
        if (image.height, image.width) != (SIZE, SIZE) or image.channels not in (1, 3):
            raise CfgError(f"{path}: takes {image} and no board of 19 x 19 x 1 or 3")
        self.outputs = network[network.output_index].out_shape.size
        if self.outputs < POINTS:
            raise CfgError(f"{path}: gives {self.outputs} values for the {POINTS} points")
        self.network, self.planes = network, image.channels
        network.eval()

    @property
    def has_chance(self) -> bool:
        """Whether it says who wins."""
        return self.outputs > PASS + 1

    def look(
        self, board: np.ndarray, side: int, turns: tuple[int, ...] = (0,)
    ) -> tuple[np.ndarray, float]:
        """How likely each move is, `(362,)`, and the chance to win (0.5: it does not say).

        Args:
            board: `(19, 19)`; black is 1.
            side: that moves.
            turns: how the board is turned, 0 to 7; the answers are averaged.
        """
        planes = self._planes(board * side, side)
        views = np.stack([_turn(planes, turn) for turn in turns])
        with torch.inference_mode():
            (output,) = self.network.run(torch.from_numpy(views))
        values = output.float().flatten(1).numpy()
        moves = np.zeros(POINTS + 1, np.float32)
        for turn, row in zip(turns, values, strict=True):
            moves[:POINTS] += _turn_back(row[:POINTS].reshape(SIZE, SIZE), turn).ravel()
            if self.outputs > PASS:
                moves[PASS] += row[PASS]
        moves /= len(turns)
        chance = float(values[:, PASS + 1].mean()) if self.has_chance else 0.5
        return moves, chance

    def _planes(self, own: np.ndarray, side: int) -> np.ndarray:
        if self.planes == 1:
            return own[None].astype(np.float32)
        black = np.full_like(own, side > 0)
        return np.stack([own == 1, own == -1, black]).astype(np.float32)

    def free(self, board: np.ndarray, side: int, *, multi: bool) -> tuple[np.ndarray, float]:
        """The same with 0 for points that hold a stone; `multi` looks at all turns (C: -multi)."""
        moves, chance = self.look(board, side, tuple(range(TURNS)) if multi else (0,))
        moves[:POINTS][board.ravel() != 0] = 0
        return moves, chance

    def draw(
        self,
        board: np.ndarray,
        before: np.ndarray | None,
        side: int,
        random: np.random.Generator,
        *,
        multi: bool = False,
        thresh: float = 0.1,
        temperature: float = 0.7,
    ) -> int:
        """A legal move by its probability alone (C: AlexeyAB's go.c:generate_move)."""
        moves = self.free(board, side, multi=multi)[0][:POINTS]
        moves = np.power(moves.astype(np.float64), 1 / temperature)
        for move in np.flatnonzero(moves).tolist():
            if not is_legal(board, before, side, *divmod(move, SIZE)):
                moves[move] = 0
        moves /= max(float(moves.sum()), 1e-300)
        if thresh > moves.max():
            thresh = float(np.sort(moves)[-5])
        moves[moves < thresh] = 0
        if not moves.any():
            return PASS
        return int(random.choice(POINTS, p=moves / moves.sum()))


def _turn(planes: np.ndarray, turn: int) -> np.ndarray:
    """The board turned by quarters, and mirrored from 4 on."""
    turned = np.rot90(planes, turn, (-2, -1))
    return np.ascontiguousarray(turned[..., ::-1] if turn >= 4 else turned)


def _turn_back(plane: np.ndarray, turn: int) -> np.ndarray:
    return np.rot90(plane[..., ::-1] if turn >= 4 else plane, -turn, (-2, -1))

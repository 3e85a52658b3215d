"""Monte-Carlo tree search over a network's moves and chances (C: go.c:run_mcts, select_mcts)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from darknet_py.go.board import PASS, POINTS, SIZE, is_legal, place
from darknet_py.go.player import TURNS, Player


@dataclass
class Node:
    """A position, and what the search knows of each move in it."""

    board: np.ndarray
    side: int
    """That moves."""
    prior: np.ndarray
    result: float
    """From -1, lost, to 1, as the network says."""
    visits: np.ndarray = field(default_factory=lambda: np.zeros(POINTS + 1, np.int64))
    value: np.ndarray = field(default_factory=lambda: np.zeros(POINTS + 1, np.float32))
    mean: np.ndarray = field(default_factory=lambda: np.zeros(POINTS + 1, np.float32))
    children: dict[int, Node] = field(default_factory=dict)
    total: int = 1
    passed: bool = False
    """Whether the move before was a pass."""
    done: bool = False


class Search:
    """Looks ahead with a network that says who wins."""

    def __init__(self, player: Player, random: np.random.Generator, exploration: float = 5.0):
        self.player, self.random, self.exploration = player, random, exploration

    def expand(self, board: np.ndarray, side: int) -> Node:
        """A position not seen before; the network looks at it from a random side."""
        turn = int(self.random.integers(TURNS))
        moves, chance = self.player.look(board, side, (turn,))
        node = Node(board, side, moves, 2 * chance - 1)
        taken = board.ravel() != 0
        node.mean[:] = node.result
        node.mean[:POINTS][taken] = node.value[:POINTS][taken] = -1
        node.prior[:POINTS][taken] = 0
        return node

    def run(self, root: Node, before: np.ndarray | None, count: int, seconds: float = 0) -> None:
        """Go down the tree until a move has `count` visits, or so many times, or so long."""
        start = time.perf_counter()
        for _ in range(count):
            if 0 < seconds < time.perf_counter() - start or root.visits.max() >= count:
                return
            self._descend(root, before)

    def _descend(self, node: Node, before: np.ndarray | None) -> None:
        path: list[tuple[Node, int]] = []
        while not node.done:
            move = self._choose(node, before)
            path.append((node, move))
            node.visits[move] += 1
            node.total += 1
            if move not in node.children:
                node.children[move] = node = self._child(node, move)
                break
            before, node = node.board, node.children[move]
        value = -node.result
        for parent, move in reversed(path):
            parent.value[move] += value
            parent.mean[move] = parent.value[move] / parent.visits[move]
            value = -value

    def _choose(self, node: Node, before: np.ndarray | None) -> int:
        """The most promising legal move."""
        while True:
            bonus = self.exploration * node.prior * np.sqrt(node.total) / (1 + node.visits)
            move = int((node.mean + bonus).argmax())
            if move == PASS or move in node.children:
                return move
            if is_legal(node.board, before, node.side, *divmod(move, SIZE)):
                return move
            node.visits[move] += 1
            node.mean[move] = node.value[move] = -1
            node.prior[move] = 0

    def _child(self, node: Node, move: int) -> Node:
        board = node.board
        if move != PASS:
            board = place(board, node.side, *divmod(move, SIZE))
        child = self.expand(board, -node.side)
        child.passed = move == PASS
        child.done = child.passed and node.passed
        return child

    def pick(self, root: Node, temperature: float) -> tuple[int, np.ndarray]:
        """A move by its visits, and every move's probability (C: go.c:pick_move)."""
        visits = root.visits / max(root.visits.max(), 1)
        shares = np.power(visits, 1 / temperature)
        shares = shares / shares.sum() if shares.any() else np.eye(POINTS + 1)[PASS]
        return int(self.random.choice(POINTS + 1, p=shares)), shares

"""`go valid`, `go test` and `go engine`."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Argument, Command, Flag
from darknet_py.cli.flags import CFG
from darknet_py.cli.weights import FLAGS, build, load

if TYPE_CHECKING:
    import numpy as np

    from darknet_py.go.player import Player

SHOWN = 10
"""How many moves `go test` lists."""


def _open(args: Namespace) -> Player:
    from darknet_py.go.player import Player

    return Player(load(args) if args.weights else build(args))


def _valid(args: Namespace) -> int:
    from darknet_py.go.board import read_records
    from darknet_py.options import read_options
    from darknet_py.schedule import ScheduleOptions

    print(Path(args.cfg).name.partition(".")[0])
    player = _open(args)
    network = player.network
    options = read_options(ScheduleOptions, network.sections[0], network.dialect)
    rates = (options.learning_rate, options.momentum, options.decay)
    print("Learning Rate: {:g}, Momentum: {:g}, Decay: {:g}".format(*rates))
    records = read_records(args.file or "backup/go.test", player.planes)
    print(len(records))
    right = 0
    for i, record in enumerate(records):
        moves, _ = player.free(record.board * record.side, record.side, multi=args.multi)
        right += int(moves.argmax()) == record.move
        print(f"{i} Accuracy {right / (i + 1):f}")
    return 0


def _test(args: Namespace) -> int:
    from darknet_py.go.board import PASS, empty_board, format_board, point_name
    from darknet_py.scorer import top_k

    player = _open(args)
    board, side = empty_board(), 1
    while True:
        moves, chance = player.free(board, side, multi=args.multi)
        if player.has_chance:
            print(f"{(chance + 1) / 2 * 100:.2f}% Win Chance")
        best = top_k(moves, SHOWN)
        print(format_board(board, best), end="", file=sys.stderr)
        for i, move in enumerate(best, start=1):
            name = point_name(move)
            name = "Pass" if move == PASS else f"{name[0]} {name[1:]}"
            print(f"{i}: {name}, {moves[move] * 100:.2f}%")
        print(f"{'X' if side > 0 else 'O'} Enter move: ", end="", flush=True)
        line = sys.stdin.readline() if sys.stdin else ""
        if not line:
            return 0
        board = _enter(board, side, line.strip(), best)
        side = -side


def _enter(board: np.ndarray, side: int, line: str, best: list[int]) -> np.ndarray:
    """The board after what was typed: a number of the list, a point, or a change of one."""
    from darknet_py.go.board import PASS, SIZE, place, read_point

    if not line or line.isdigit():
        number = int(line or 1)
        move = best[number - 1] if 0 < number <= len(best) else PASS
        return board if move == PASS else place(board, side, *divmod(move, SIZE))
    kind, _, rest = line.partition(" ")
    if kind in ("b", "w", "c"):  # put or take away a stone, whoever moves
        point = read_point(rest.replace(" ", ""))
        if point is not None and point != PASS:
            board = board.copy()
            board[divmod(point, SIZE)] = {"b": 1, "w": -1, "c": 0}[kind]
        return board
    point = read_point(line.replace(" ", ""))
    if point is None or point == PASS:
        return board
    return place(board, side, *divmod(point, SIZE))


def _engine(args: Namespace) -> int:
    from darknet_py.go.engine import Engine

    engine = Engine(
        _open(args),
        iterations=args.iters,
        seconds=args.time,
        temperature=args.temp,
        exploration=args.cpuct,
        resign=args.resign,
        multi=args.multi,
        anonymous=args.anon,
        seed=args.seed,
    )
    for line in sys.stdin or ():
        answer = engine.answer(line)
        for note in engine.notes:
            print(note, file=sys.stderr, flush=True)
        if answer is not None:
            print(answer, end="", flush=True)
        if engine.stopped:
            break
    return 0


MULTI = Flag("multi", "look at the board from all 8 sides")
IDLE = (Flag("gpus", kind=str, idle=True), Flag("clear", idle=True))
OPTIONAL_WEIGHTS = Argument("weights", "the .weights file (default: random weights)", False)
WORDS = (CFG, OPTIONAL_WEIGHTS)
COMMANDS = (
    Command(
        "go valid",
        "Print how often the network's best move is the one that was played.",
        (*WORDS, Argument("file", "the file of moves (default: backup/go.test)", False)),
        (MULTI, *FLAGS, *IDLE),
        _valid,
    ),
    Command(
        "go test",
        "Show the board and the ten best moves, and ask for the next: a number of the list, a "
        "point such as D4, p to pass, b D4, w D4 or c D4 to put or take away a stone.",
        WORDS,
        (MULTI, *FLAGS, *IDLE),
        _test,
    ),
    Command(
        "go engine",
        "Play by the Go Text Protocol on standard input and output: with a tree search, if the "
        "network says who wins (363 outputs), else by its moves alone.",
        WORDS,
        (
            Flag("iters", "how often the search goes down the tree (500)", int, 500),
            Flag("time", "the most seconds a move (0: as long as it takes)", float, 0.0),
            Flag("temp", "how much chance decides between searched moves (0.1)", float, 0.1),
            Flag("cpuct", "how much the search tries what it does not know (5)", float, 5.0),
            Flag("resign", "from this move on it may give up (175)", int, 175),
            Flag("anon", "under another name"),
            Flag("seed", "of what is drawn (default: another one each time)", int),
            MULTI,
            *FLAGS,
            *IDLE,
        ),
        _engine,
    ),
)

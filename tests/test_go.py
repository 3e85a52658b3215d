"""Go: the rules, files of moves, what a network says, the search, and the text protocol."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import build

from darknet_py.cli import main
from darknet_py.errors import CfgError, DarknetError
from darknet_py.go.board import (
    PASS,
    empty_board,
    find_group,
    format_board,
    is_legal,
    place,
    point_name,
    read_point,
    read_records,
)
from darknet_py.go.engine import Engine
from darknet_py.go.player import TURNS, Player
from darknet_py.go.search import Search
from darknet_py.network import Network
from darknet_py.weights import save_weights

DARKNET = Path("/usr/bin/darknet")
BODY = "[connected]\noutput={}\nactivation=linear\n[softmax]\n"


def board(text, row=0):
    """Stones in the upper left corner."""
    stones = empty_board()
    for r, line in enumerate(text.split()):
        for c, letter in enumerate(line):
            stones[r + row, c] = {"X": 1, "O": -1, ".": 0}[letter]
    return stones


def test_a_stone_without_freedom_is_captured():
    before = board(".XX.. XOOX. .XX..")
    assert find_group(before, 1, 1) == ({(1, 1), (1, 2)}, 0)
    before = board("..X.. XOOX. .XX..")
    after = place(before, 1, 0, 1)
    assert not after[1, 1:3].any() and after[0, 1] == 1
    assert before[1, 1] == -1


def test_legal_moves():
    eye = board(".X. X.. ...")
    assert not is_legal(eye, None, -1, 0, 0)  # without freedom
    assert is_legal(eye, None, 1, 0, 0)
    assert not is_legal(eye, None, 1, 0, 1)  # on a stone
    capture = board(".XO XO. O..")
    assert is_legal(capture, None, -1, 0, 0)  # it takes first
    ko = board(".XO. X.XO .XO.")
    taken = place(ko, -1, 1, 1)
    assert taken[1, 2] == 0 and taken[1, 1] == -1
    assert not is_legal(taken, ko, 1, 1, 2)
    assert is_legal(taken, None, 1, 1, 2)


def test_points_have_names():
    assert [point_name(move) for move in (0, 8, 360, PASS)] == ["A19", "J19", "T1", "pass"]
    names = ["a19", "J19", "T1", "pass", "P4", "I5", "A20", ""]
    assert [read_point(name) for name in names] == [0, 8, 360, PASS, 299, None, None, None]


def test_the_board_is_printed_as_by_c():
    lines = format_board(board("XO"), [2]).splitlines()
    assert lines[0] == "   A B C D E F G H J K L M N O P Q R S T "
    assert lines[1] == "19 X O 1" + " ." * 16
    assert lines[19] == " 1" + " ." * 19


def record(stones, player, result, row, column):
    """As go.c:board_to_string packs a board."""
    packed = bytearray(91)
    for i, stone in enumerate(stones.ravel().tolist()):
        packed[i // 4] |= {1: 1, -1: 2, 0: 0}[stone] << (i % 4 * 2)
    return bytes([48 + player, 48 + result, row, column]) + bytes(packed) + b"\n"


def test_records_are_read(tmp_path):
    stones = np.random.default_rng(0).integers(-1, 2, (19, 19)).astype(np.int8)
    data = record(stones, 1, 1, 3, 4) + record(-stones, 0, 1, 19, 19)
    (tmp_path / "moves").write_bytes(data)
    first, second = read_records(tmp_path / "moves", 3)
    assert np.array_equal(first.board, stones) and np.array_equal(second.board, -stones)
    assert (first.side, first.move, first.won) == (1, 61, True)
    assert (second.side, second.move, second.won) == (-1, PASS, False)
    (tmp_path / "old").write_bytes(data[2:96])
    (old,) = read_records(tmp_path / "old", 1)
    assert np.array_equal(old.board, stones) and old.move == 61
    (tmp_path / "short").write_bytes(b"x")
    with pytest.raises(DarknetError, match=r"short: has no record of 94 bytes$"):
        read_records(tmp_path / "short", 1)


def test_a_player_sees_its_own_stones():
    player = Player(build(BODY.format(363), (3, 19, 19)))
    stones = board("XO.")
    seen = []
    player.network.run = lambda x, run=player.network.run: (seen.append(x), run(x))[1]
    moves, chance = player.free(stones, -1, multi=False)
    assert seen[0][0, 0, 0, 1] == 1 and seen[0][0, 1, 0, 0] == 1 and not seen[0][0, 2].any()
    assert moves.shape == (362,) and moves[:2].tolist() == [0, 0] and 0 < chance < 1
    with pytest.raises(CfgError, match=r"takes .* and no board of 19 x 19 x 1 or 3$"):
        Player(build(BODY.format(363), (3, 5, 5)))


def test_turns_are_undone():
    network = build("[softmax]\n", (1, 19, 19))  # its own stones are more likely
    player = Player(network)
    stones = np.random.default_rng(1).integers(-1, 2, (19, 19)).astype(np.int8)
    plain, _ = player.look(stones, 1)
    for turn in range(TURNS):
        np.testing.assert_allclose(player.look(stones, 1, (turn,))[0], plain, rtol=1e-6)
    assert plain[0] == pytest.approx(player.free(stones * 0, 1, multi=True)[0][0], abs=1e-2)


class Certain:
    """Says that one move is likely, and that whoever has a stone there wins."""

    has_chance = True

    def look(self, stones, side, turns=(0,)):
        moves = np.full(362, 0.001, np.float32)
        moves[60] = 0.1
        return moves, 0.5 + 0.4 * float(stones[3, 3]) * side


def test_the_search_finds_the_winning_move():
    search = Search(Certain(), np.random.default_rng(0), 1.0)
    root = search.expand(empty_board(), 1)
    search.run(root, None, 60)
    assert root.visits.argmax() == 60 and root.mean[60] > 0.5
    move, shares = search.pick(root, 0.1)
    assert move == 60 and shares.sum() == pytest.approx(1)


def test_two_passes_end_the_game():
    search = Search(Certain(), np.random.default_rng(0), 1.0)
    root = search.expand(empty_board(), 1)
    child = search._child(root, PASS)
    assert child.passed and not child.done
    assert search._child(child, PASS).done


@pytest.mark.parametrize("outputs", [362, 363])
def test_the_engine_speaks_the_protocol(outputs):
    player = Player(build(BODY.format(outputs), (3 if outputs == 363 else 1, 19, 19)))
    engine = Engine(player, iterations=4, seed=1)
    answers = [
        ("1 protocol_version", "=1 2\n\n"),
        ("name # a comment", "= DarkGo\n\n"),
        ("known_command genmove", "= true\n\n"),
        ("known_command dance", "= false\n\n"),
        ("2 dance", "?2 unknown command\n\n"),
        ("boardsize 9", "? unacceptable size\n\n"),
        ("boardsize 19", "= \n\n"),
        ("play b D4", "= \n\n"),
        ("play w D4", "? illegal move\n\n"),
        ("play w", "? syntax error\n\n"),
        ("white pass", "= \n\n"),
        ("", None),
    ]
    for line, answer in answers:
        assert engine.answer(line) == answer
    engine.answer("play b Q16")
    text = engine.answer("genmove w")
    move = read_point(text[2:].strip())
    assert text.startswith("= ") and move is not None
    if move != PASS:
        assert engine.board[divmod(move, 19)] == -1
    assert "X" in engine.answer("showboard")
    engine.answer("quit")
    assert engine.stopped


@pytest.mark.skipif(not DARKNET.exists(), reason="needs Debian's darknet")
@pytest.mark.parametrize("multi", [[], ["-multi"]])
def test_go_valid_prints_cs_lines(tmp_path, monkeypatch, capsys, multi):
    monkeypatch.chdir(tmp_path)
    Path("g.cfg").write_text(
        "[net]\nbatch=1\nheight=19\nwidth=19\nchannels=3\nlearning_rate=0.1\n"
        "[convolutional]\nfilters=3\nsize=3\npad=1\nactivation=leaky\n" + BODY.format(363)
    )
    torch.manual_seed(1)
    save_weights(Network.from_cfg("g.cfg", "pjreddie"), "g.weights")
    random, rows = np.random.default_rng(3), []
    player = Player(Network.from_cfg("g.cfg", "pjreddie"))
    from darknet_py.weights import load_weights

    load_weights(player.network, "g.weights")
    for i in range(12):  # black moves: C leaves a white board's third plane as it was
        stones = random.integers(-1, 2, (19, 19)).astype(np.int8)
        best = int(player.free(stones, 1, multi=bool(multi))[0].argmax())
        move = best if i % 3 else int(random.integers(361))
        rows.append(record(stones, 1, 1, *divmod(move, 19)))
    Path("moves").write_bytes(b"".join(rows))
    line = ["go", "valid", "g.cfg", "g.weights", "moves", *multi]
    done = subprocess.run([DARKNET, *line], capture_output=True, text=True)
    assert main([*line, "-quiet"]) == 0
    assert capsys.readouterr().out == done.stdout


def test_go_test_asks_for_moves(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("g.cfg").write_text("[net]\nheight=19\nwidth=19\nchannels=1\n" + BODY.format(362))
    monkeypatch.setattr("sys.stdin", Lines(["1\n", "D4\n", "p\n", "c D4\n"]))
    assert main(["go", "test", "g.cfg", "-quiet"]) == 0
    out, err = capsys.readouterr()
    assert out.count("Enter move: ") == 5 and out.count("X Enter") == 3
    assert err.count("A B C D") == 5
    boards = [text.partition("\n")[2] for text in err.split("A B C D")]
    assert " O" in boards[3] and " O" not in boards[5]


class Lines:
    """Standard input with these lines."""

    def __init__(self, lines):
        self.lines = iter(lines)

    def readline(self):
        return next(self.lines, "")

"""Weights files, the state beside them, and runs that go on exactly where they were."""

import errno
import os
import signal
from dataclasses import replace

import pytest
import torch
from training import CLASSIFIER, DETECTOR, lay_out, train, write_cfg

from darknet_py import checkpoints
from darknet_py.cli import main, training
from darknet_py.cli import train as train_commands
from darknet_py.session import Session
from darknet_py.training_state import State


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    return tmp_path


def bytes_of(folder, ending="_final.weights", base="net"):
    return (folder / f"{base}{ending}").read_bytes()


def stop_at(monkeypatch, iteration):
    """Ctrl-C comes during that iteration.

    Its handler is called: where tests of other backends ran in this process before, a real signal
    would end it, as no stack is left that the system could call the handler on.
    """
    note = Session._note

    def interrupt(self, progress):
        if progress.iteration == iteration:
            signal.getsignal(signal.SIGINT)(signal.SIGINT, None)
        return note(self, progress)

    monkeypatch.setattr(Session, "_note", interrupt)


def whole(folder, *flags, text=DETECTOR, more="", name="detector"):
    cfg = write_cfg(folder / "net.cfg", text, more=more)
    assert main_train(name, folder, cfg, "-out", folder / "whole", *flags) == 0
    return cfg


def main_train(name, folder, cfg, *words):
    line = [name, "train", folder / "two.data", cfg, *words, "-workers", "0", "-no_chart"]
    return main([*map(str, line), "-quiet"])


CASES = {
    "pjreddie": (DETECTOR, "", "detector"),
    "multiscale": (DETECTOR + "random=1\n", "resize_step=8", "detector"),
    "alexeyab": (DETECTOR + "iou_loss=ciou\n", "mosaic=1\nema_alpha=0.9", "detector"),
    "adam": (DETECTOR, "adam=1", "detector"),
    "policy": (CLASSIFIER, "policy=random", "classifier"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_was_stopped_goes_on_exactly(folder, monkeypatch, capsys, case):
    text, more, name = CASES[case]
    cfg = whole(folder, "-seed", 4, text=text, more=more, name=name)
    with monkeypatch.context() as patch:
        stop_at(patch, 7)
        out = ("-out", folder / "parts", "-seed", 4)
        assert main_train(name, folder, cfg, *out) == 130
    last = folder / "parts" / "net_last.weights"
    assert f"to go on, add -resume to the line, or: darknet-py {name} train" in (
        capsys.readouterr().err
    )
    assert main_train(name, folder, cfg, last, "-out", folder / "parts") == 0
    assert "Going on from iteration 7" in capsys.readouterr().err
    assert bytes_of(folder / "whole") == bytes_of(folder / "parts")


def test_files_have_their_names_and_c_can_read_them(folder):
    whole(folder, "-map")
    names = sorted(path.name for path in (folder / "whole").iterdir())
    assert names == [
        "net.backup",
        "net_best.weights",
        "net_final.weights",
        "net_last.state",
        "net_last.weights",
    ]
    content = bytes_of(folder / "whole")
    assert content[:20] == bytes([0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 48, *[0] * 7])
    assert len(content) == 20 + 4 * (6 * 4 + 6 * 27 + 14 + 14 * 6)
    assert content == bytes_of(folder / "whole", ".backup")


def written(cadence, start, end):
    """The iterations of numbered weights, and of the last ones, of a run."""
    numbers, lasts = [], []
    for iteration in range(start + 1, end + 1):
        if cadence.is_due(iteration, numbers[-1] if numbers else start):
            numbers.append(iteration)
        if cadence.is_last_due(iteration, lasts[-1] if lasts else start):
            lasts.append(iteration)
    return numbers, lasts


def test_cadence_of_pjreddie():
    numbers, lasts = written(train_commands._detector().cadences["pjreddie"], 0, 20050)
    assert numbers == [*range(100, 1000, 100), 10000, 20000]
    assert lasts == list(range(100, 20001, 100))


def test_cadence_of_alexeyab():
    cadence = replace(train_commands._detector().cadences["alexeyab"], every=1000)
    assert written(cadence, 0, 3050)[0] == [1000, 2000, 3000]
    # C counts from the last file, and writes at the multiples, too.
    assert written(cadence, 1950, 3100) == ([2000, 3000], list(range(2000, 3101, 100)))
    of_classifier = train_commands._classifier().cadences["alexeyab"]
    assert written(of_classifier, 1950, 4100)[0] == [2950, 3950]


def test_data_file_says_how_often(folder):
    data = folder / "two.data"
    data.write_text(data.read_text() + "saveweights=4\n")
    whole(folder)
    names = {path.name for path in (folder / "whole").iterdir()}
    assert {"net_4.weights", "net_8.weights", "net_12.weights"} <= names


def interrupted(folder, monkeypatch, iteration=7):
    cfg = write_cfg(folder / "net.cfg")
    with monkeypatch.context() as patch:
        stop_at(patch, iteration)
        assert train(folder / "two.data", cfg, "-seed", 4) == 130
    return cfg


def test_killed_between_the_two_files(folder, monkeypatch):
    cfg = whole(folder, "-seed", 4)
    interrupted(folder, monkeypatch, 5)
    backup = folder / "backup"
    old = bytes_of(backup, "_last.weights")
    with monkeypatch.context() as patch:
        stop_at(patch, 9)
        assert train(folder / "two.data", cfg, "-resume") == 130
    state = State(backup / "net_last.state")
    assert state.iteration == 9
    (backup / "net_last.weights").write_bytes(old)  # as if its rename had not come
    state_of_9 = (backup / "net_last.state").read_bytes()
    assert state.seal.previous == checkpoints.digest_of(backup / "net_last.weights")
    assert train(folder / "two.data", cfg, backup / "net_last.weights") == 0
    assert bytes_of(folder / "whole") == bytes_of(backup)
    assert state_of_9 != (backup / "net_last.state").read_bytes()


def test_a_state_of_other_weights_is_not_used(folder, monkeypatch, capsys):
    cfg = interrupted(folder, monkeypatch)
    backup = folder / "backup"
    weights = bytearray(bytes_of(backup, "_last.weights"))
    weights[-1] ^= 1
    (backup / "net_last.weights").write_bytes(weights)
    capsys.readouterr()
    assert train(folder / "two.data", cfg, backup / "net_last.weights") == 0
    assert "net_last.state is not used and will be written over" in capsys.readouterr().err
    (backup / "net_last.weights").write_bytes(b"")
    assert train(folder / "two.data", cfg, "-resume") == 1
    assert "net_last.state: belongs to another file than" in capsys.readouterr().err


def test_without_weights_a_state_is_not_used(folder, monkeypatch, capsys):
    cfg = interrupted(folder, monkeypatch)
    assert train(folder / "two.data", cfg) == 0
    assert "with -resume the run goes on from there" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"x" * 100, None])
def test_a_damaged_state_is_one_line(folder, monkeypatch, capsys, damage):
    cfg = interrupted(folder, monkeypatch)
    path = folder / "backup" / "net_last.state"
    path.write_bytes(path.read_bytes()[:-700] if damage is None else damage)
    capsys.readouterr()
    assert train(folder / "two.data", cfg, "-resume") == 1
    assert capsys.readouterr().err == (
        f"darknet-py: {path}: is damaged, or no state of a training run (without it, training "
        "goes on from the weights alone)\n"
    )


def test_a_state_cannot_run_code(folder, monkeypatch, capsys):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(folder / "evil"),)

    cfg = interrupted(folder, monkeypatch)
    torch.save(Evil(), folder / "backup" / "net_last.state")
    assert train(folder / "two.data", cfg, "-resume") == 1
    assert not (folder / "evil").exists()


def test_a_state_of_another_cfg(folder, monkeypatch, capsys):
    cfg = interrupted(folder, monkeypatch)
    cfg.write_text(cfg.read_text().replace("filters=6", "filters=5"))
    capsys.readouterr()
    assert train(folder / "two.data", cfg, "-resume") == 1
    assert capsys.readouterr().err == (
        f"darknet-py: {folder}/backup/net_last.state: is of another cfg: layers.0.biases is 6 in "
        "it, and 5 here\n"
    )
    assert train(folder / "two.data", cfg, "-resume", "-dialect", "alexeyab") == 1
    assert "is of dialect pjreddie, the run of alexeyab" in capsys.readouterr().err


def test_more_iterations_go_on_from_the_end(folder, capsys):
    cfg = whole(folder)
    write_cfg(cfg, max_batches=15)
    assert train(folder / "two.data", cfg, "-out", folder / "whole", "-resume") == 0
    assert "the cfg has changed since: [net] max_batches" in capsys.readouterr().err
    write_cfg(folder / "net.cfg", max_batches=15)
    assert train(folder / "two.data", cfg, "-out", folder / "other") == 0
    assert bytes_of(folder / "whole") == bytes_of(folder / "other")


def test_clear_and_plain_weights_behave_as_in_c(folder, capsys):
    cfg = whole(folder)
    final = folder / "whole" / "net_final.weights"
    cut = folder / "net.conv.1"
    assert main(["partial", str(cfg), str(final), str(cut), "1", "-quiet"]) == 0
    capsys.readouterr()
    assert train(folder / "two.data", cfg, cut, "-out", folder / "cut") == 0
    assert "from iteration 0 to 12" in capsys.readouterr().out
    (folder / "elsewhere.weights").write_bytes(final.read_bytes())
    assert train(folder / "two.data", cfg, folder / "elsewhere.weights") == 0
    assert "nothing is left to train (-clear starts from 0)" in capsys.readouterr().err
    words = (folder / "elsewhere.weights", "-clear")
    assert train(folder / "two.data", cfg, *words, "-out", folder / "clear") == 0
    assert "from iteration 0 to 12" in capsys.readouterr().out
    assert bytes_of(folder / "clear")[12:20] == bytes([48, *[0] * 7])


def test_a_full_disk_leaves_what_is_there(folder, monkeypatch, capsys):
    cfg = interrupted(folder, monkeypatch)
    backup = folder / "backup"
    before = {path.name: path.read_bytes() for path in backup.iterdir()}

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "pack", full)
        assert train(folder / "two.data", cfg, "-resume") == 1
    told = capsys.readouterr().err
    last = backup / "net_last.weights"
    assert (
        f"darknet-py: {last}: cannot be written: No space left on device; {last} of iteration 7 "
        "is intact, and the training goes on\n"
    ) in told
    after = {path.name: path.read_bytes() for path in backup.iterdir()}
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"net_final.weights"}
    assert train(folder / "two.data", cfg, "-resume") == 0


@pytest.mark.parametrize("cause", ["loss", "weights"])
def test_nan_stops_and_keeps_the_last_checkpoint(folder, monkeypatch, capsys, cause):
    cfg = interrupted(folder, monkeypatch)
    before = bytes_of(folder / "backup", "_last.weights")
    spoilt = training.open_session

    def open_session(*words):
        session = spoilt(*words)
        update = session.learner.update

        def spoil():
            rate = update()
            if session.learner.iteration == 9 + (cause == "weights"):
                session.learner.network[2].weights.data[3] = float("nan")
            return rate

        session.learner.update = spoil
        return session

    monkeypatch.setattr(training, "open_session", open_session)
    capsys.readouterr()
    assert train(folder / "two.data", cfg, "-resume") == 1
    told = capsys.readouterr().err.splitlines()[-1]
    intact = f"{folder}/backup/net_last.weights of iteration 7 is intact"
    if cause == "loss":
        first = f"{folder}/images/"
        assert told.startswith(
            "darknet-py: the loss is nan: weights of layer 2 [convolutional] is not finite "
            f"(images: {first}"
        )
    else:
        assert told.startswith(
            "darknet-py: weights of layer 2 [convolutional] is no longer finite: not saved"
        )
    advice = "-max_norm 50 or a lower learning_rate may keep it from running away"
    assert told.endswith(f"; {intact}; {advice}")
    assert bytes_of(folder / "backup", "_last.weights") == before


def test_remains_of_a_killed_run_go(folder, monkeypatch):
    cfg = interrupted(folder, monkeypatch)
    for name in (
        ".net_last.weights.0123abcd",
        ".net_last.state.89abcdef",
        ".other.weights.01234567",
    ):
        (folder / "backup" / name).write_bytes(b"half")
    assert train(folder / "two.data", cfg, "-resume") == 0
    assert [p.name for p in (folder / "backup").iterdir() if p.name[0] == "."] == [
        ".other.weights.01234567"
    ]

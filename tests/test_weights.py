import os
import re
import shutil
import stat
import struct
import subprocess
import threading

import fuzz
import numpy as np
import pytest
import torch
from helpers import SHARED, build, fill

import darknet_py
from darknet_py.cfg import format_cfg, parse_cfg
from darknet_py.dialect import ALEXEYAB, PJREDDIE
from darknet_py.errors import DarknetWarning, WeightsError
from darknet_py.network import Network
from darknet_py.weights import WeightsHeader, count_floats, load_weights, read_weights, save_weights

OLD = bytes.fromhex("00000000 01000000 00000000 00e1f505")  # 0.1.0, 32 bit seen: 100000000
PJ = bytes.fromhex("00000000 02000000 00000000 0000000001000000")  # 0.2.0, 64 bit seen: 2**32
AA = bytes.fromhex("00000000 02000000 05000000 c8d0070000000000")  # 0.2.5
TURNED = bytes.fromhex("00000000 e9030000 00000000 07000000")  # minor 1001, 32 bit

CONV = "[convolutional]\nfilters=2\nsize=1\nactivation=linear\n"
TWO = CONV + "[convolutional]\nfilters=3\nsize=1\nbatch_normalize=1\nactivation=linear\n"
# floats of TWO on 3 channels: 2 + 6, then 3 + 3 * 3 + 6
MODELS = sorted((SHARED / "models").glob("*/*.weights"))


@pytest.fixture
def write(tmp_path):
    def write(header, floats=(), rest=b"", name="a.weights"):
        path = tmp_path / name
        data = header + np.arange(floats, dtype="<f4").tobytes() if floats != () else header
        path.write_bytes(data + rest)
        return path

    return write


def raises(message):
    return pytest.raises(WeightsError, match=f"^{re.escape(message)}$")


def warns(message):
    return pytest.warns(DarknetWarning, match=f"^{re.escape(message)}$")


def arrays(network):
    return {(i, name): tensor.detach().flatten().tolist() for i, name, tensor in network.arrays()}


@pytest.mark.parametrize(
    ("data", "dialect", "header", "transposed"),
    [
        (OLD, PJREDDIE, (0, 1, 0, 100000000, 16), False),
        (OLD, ALEXEYAB, (0, 1, 0, 100000000, 16), False),
        (PJ, PJREDDIE, (0, 2, 0, 2**32, 20), False),
        (AA, ALEXEYAB, (0, 2, 5, 512200, 20), False),
        (TURNED, PJREDDIE, (0, 1001, 0, 7, 16), True),
        (TURNED + bytes(4), ALEXEYAB, (0, 1001, 0, 7, 20), True),
        (struct.pack("<iiiI", 1000, 0, 0, 9), PJREDDIE, (1000, 0, 0, 9, 16), False),
        (struct.pack("<iiiQ", 1, 0, 0, 9), PJREDDIE, (1, 0, 0, 9, 20), False),
    ],
)
def test_headers(write, data, dialect, header, transposed):
    read, floats = read_weights(write(data, 5), dialect)
    assert (read.major, read.minor, read.revision, read.seen, read.size) == header
    assert read.transposed is transposed
    assert read.pack() == data
    assert floats.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("header", [OLD, PJ, AA, struct.pack("<iiiI", 0, 0, 0, 0)])
def test_arrays_in_file_order_and_the_same_bytes_back(write, header):
    network, path = build(TWO), write(header, 26)
    load_weights(network, path)
    assert arrays(network) == {
        (0, "biases"): [0, 1],
        (0, "weights"): [2, 3, 4, 5, 6, 7],
        (1, "biases"): [8, 9, 10],
        (1, "scales"): [11, 12, 13],
        (1, "rolling_mean"): [14, 15, 16],
        (1, "rolling_variance"): [17, 18, 19],
        (1, "weights"): [20, 21, 22, 23, 24, 25],
    }
    target = path.with_name("b.weights")
    save_weights(network, target)
    assert target.read_bytes() == path.read_bytes()
    assert count_floats(network) == 26
    assert network.seen == struct.unpack_from("<I" if len(header) == 16 else "<Q", header, 12)[0]


@pytest.mark.parametrize(("dialect", "version"), [("pjreddie", (0, 2, 0)), ("alexeyab", (0, 2, 5))])
def test_a_new_file_has_the_version_of_its_dialect(tmp_path, dialect, version):
    network = build(CONV, dialect=dialect)
    network.seen = 2**40
    save_weights(network, tmp_path / "a.weights")
    data = (tmp_path / "a.weights").read_bytes()
    assert struct.unpack_from("<iiiQ", data) == (*version, 2**40)
    assert len(data) == 20 + 4 * 8


def test_seen_that_outgrows_an_old_header(write):
    network, path = build(CONV), write(OLD, 8)
    load_weights(network, path)
    network.seen = 2**32
    save_weights(network, path)
    assert path.read_bytes()[:20] == PJ


def test_transposed_connected_layers(write):
    body = "[connected]\noutput=2\nbatch_normalize=1\n"
    network, path = build(body, shape=(3,)), write(TURNED, 14)
    load_weights(network, path)
    assert network[0].weights.tolist() == [[2, 4, 6], [3, 5, 7]]  # the file: 3 rows of 2
    assert arrays(network)[0, "scales"] == [8, 9]
    save_weights(network, path.with_name("b.weights"))
    assert path.with_name("b.weights").read_bytes() == path.read_bytes()


def test_transposed_files_leave_convolutions_alone(write):
    network = build(CONV)
    load_weights(network, write(TURNED, 8))
    assert arrays(network)[0, "weights"] == [2, 3, 4, 5, 6, 7]


def test_flipped_convolution_is_stored_columns_first(write):
    network, path = build(CONV + "flipped=1\n"), write(PJ, 8)
    load_weights(network, path)
    assert network[0].weights.flatten(1).tolist() == [[2, 4, 6], [3, 5, 7]]
    save_weights(network, path.with_name("b.weights"))
    assert path.with_name("b.weights").read_bytes() == path.read_bytes()


def test_dontload_skips_the_layer(write):
    network = build(CONV + "dontload=1\n" + TWO[len(CONV) :])
    before = arrays(network)
    load_weights(network, write(PJ, 18))
    assert arrays(network)[0, "weights"] == before[0, "weights"]
    assert arrays(network)[1, "biases"] == [0, 1, 2]


def test_dontloadscales_skips_the_statistics(write):
    network = build(TWO + "dontloadscales=1\n")
    before = arrays(network)
    load_weights(network, write(PJ, 17))
    after = arrays(network)
    assert after[1, "weights"] == [11, 12, 13, 14, 15, 16]
    assert all(after[1, name] == before[1, name] for name in ("scales", "rolling_mean"))


def test_dontloadscales_does_not_concern_a_batchnorm_section(write):
    network = build("[batchnorm]\ndontloadscales=1\n")
    load_weights(network, write(PJ, 9))
    assert arrays(network)[0, "scales"] == [0, 1, 2]


def test_numload_reads_fewer_filters(write, tmp_path):
    network = build(CONV + "numload=1\n")
    before = arrays(network)
    load_weights(network, write(PJ, 4))
    assert arrays(network)[0, "biases"] == [0, before[0, "biases"][1]]
    assert arrays(network)[0, "weights"] == [1, 2, 3, *before[0, "weights"][3:]]
    save_weights(network, tmp_path / "b.weights")  # the saver writes them all
    assert (tmp_path / "b.weights").stat().st_size == 20 + 4 * 8


def test_numload_larger_than_filters(write):
    network = build(CONV + "numload=3\n")
    with raises("test.cfg:9: [convolutional]: numload must be between 1 and 2, got 3"):
        load_weights(network, write(PJ, 8))


def test_dontsave_leaves_the_layer_out(tmp_path):
    path = tmp_path / "a.weights"
    save_weights(build(CONV + "dontsave=1\n" + TWO[len(CONV) :]), path)
    assert path.stat().st_size == 20 + 4 * 18


def test_a_cut_off_file_fills_the_first_layers(write):
    network, path = build(TWO), write(PJ, 8)
    before = arrays(network)
    with warns(
        f"{path}: ends before layer 1 [convolutional]; the layers from there to 1 keep the values "
        "they had"
    ):
        load_weights(network, path)
    after = arrays(network)
    assert after[0, "weights"] == [2, 3, 4, 5, 6, 7]
    assert all(after[key] == before[key] for key in after if key[0] == 1)
    load_weights(network, path, cutoff=1)  # asked for: no warning


def test_start_and_cutoff(write, tmp_path):
    network, path = build(TWO), write(PJ, 26)
    before = arrays(network)
    load_weights(network, path, cutoff=1)
    assert arrays(network)[1, "biases"] == before[1, "biases"]
    save_weights(network, tmp_path / "b.weights", cutoff=1)
    assert (tmp_path / "b.weights").read_bytes() == path.read_bytes()[: 20 + 4 * 8]
    load_weights(network, write(PJ, 18, name="c.weights"), start=1)
    assert arrays(network)[1, "biases"] == [0, 1, 2]
    assert arrays(network)[0, "biases"] == [0, 1]


@pytest.fixture
def poisoned(monkeypatch):
    """Memory that nobody set holds nan."""

    def to_empty(self, *, device, recurse=True):
        empty(self, device=device, recurse=recurse)
        with torch.no_grad():
            for tensor in (*self.parameters(), *self.buffers()):
                tensor.fill_(torch.nan)
        return self

    empty = Network.to_empty
    monkeypatch.setattr(Network, "to_empty", to_empty)


def has_nan(network):
    return any(torch.isnan(p).any() for p in (*network.parameters(), *network.buffers()))


def test_no_memory_stays_unset_after_part_of_a_file(write, poisoned):
    sections = build(TWO + "[batchnorm]\ndontload=1\n").sections
    network = Network(sections, initialize=False)
    assert has_nan(network)
    with pytest.warns(DarknetWarning, match="ends before layer 1"):
        load_weights(network, write(PJ, 8))
    assert not has_nan(network)
    assert arrays(network)[0, "weights"] == [2, 3, 4, 5, 6, 7]


@pytest.mark.filterwarnings("ignore::darknet_py.errors.DarknetWarning")
@pytest.mark.parametrize("text", fuzz.BASES, ids=range(len(fuzz.BASES)))
def test_no_memory_stays_unset_in_any_layer(tmp_path, text, poisoned):
    whole = Network(parse_cfg(text))
    assert not has_nan(whole)
    save_weights(whole, tmp_path / "a.weights")
    network = Network(parse_cfg(text), initialize=False)
    load_weights(network, tmp_path / "a.weights")
    assert not has_nan(network)


@pytest.mark.parametrize(
    ("floats", "message"),
    [
        (
            7,
            "ends inside layer 0 [convolutional] weights: needs 6 floats, 5 left (7 floats in the "
            "file, 26 in the cfg, which needs 124 bytes): is it of another cfg, or not downloaded "
            "to its end?",
        ),
        (
            14,
            "ends inside layer 1 [convolutional] rolling_mean: needs 3 floats, 0 left (14 floats "
            "in the file, 26 in the cfg, which needs 124 bytes): is it of another cfg, or not "
            "downloaded to its end?",
        ),
        (0, "holds a header and no weights, the cfg needs 26 floats (124 bytes)"),
    ],
)
def test_a_file_that_ends_too_early(write, floats, message):
    network, path = build(TWO), write(PJ, floats)
    before = arrays(network)
    with raises(f"{path}: {message}"):
        load_weights(network, path)
    assert arrays(network) == before


def test_left_over_floats_and_odd_bytes_warn(write):
    network, path = build(TWO), write(PJ, 30)
    with warns(
        f"{path}: 4 floats are left over after the last layer (30 floats in the file, 26 in the "
        "cfg): is it of another cfg, or of one with other classes?"
    ):
        load_weights(network, path)
    path = write(PJ, 26, b"\0\0\0")
    with warns(f"{path}: ends in 3 bytes that make no float: not downloaded to its end?"):
        load_weights(network, path)


HEADER = "a .weights file starts with a header of 16 or 20 bytes"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", f"is empty; {HEADER}"),
        (bytes(15), f"holds only 15 bytes; {HEADER}"),
        (PJ[:18], "holds only 18 bytes of its 20 byte header"),
        (b"\n<!DOCTYPE html>", "is a web page (the download went wrong), not Darknet weights"),
        (b"# x\n[net]\nbatch=1\n", "is a .cfg file, not Darknet weights"),
        (b"person\nbicycle\n", "is text, not Darknet weights"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "is a Git LFS pointer (fetch the file itself with git lfs pull), not Darknet weights",
        ),
        (
            b"PK\x03\x04" + bytes(30),
            "is a zip archive, such as a PyTorch .pt or .pth file, not Darknet weights",
        ),
        (
            b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
            "is a pickle, such as an old PyTorch .pt or .pth file, not Darknet weights",
        ),
        (b"\x08\x07\x12\x07pytorch" + bytes(30), "is an ONNX model, not Darknet weights"),
        (b'\x40\0\0\0\0\0\0\0{"a":' + bytes(30), "is a safetensors file, not Darknet weights"),
        (b"\x1c\0\0\0TFL3" + bytes(30), "is a TensorFlow Lite model, not Darknet weights"),
        (b"\x08", f"holds only 1 bytes; {HEADER}"),
    ],
)  # fmt: skip
def test_other_files_are_named(write, data, message):
    path = write(data)
    with raises(f"{path}: {message}"):
        load_weights(build(CONV), path)


def test_files_that_cannot_be_read_or_written(tmp_path):
    network = build(CONV)
    with raises(f"{tmp_path}: cannot be opened: Is a directory"):
        load_weights(network, tmp_path)
    missing = tmp_path / "no" / "a.weights"
    with raises(f"{missing}: cannot be opened: No such file or directory"):
        load_weights(network, missing)
    with raises(f"{missing}: cannot be written: No such file or directory"):
        save_weights(network, missing)
    with raises(f"{tmp_path}: cannot be written: Is a directory"):
        save_weights(network, tmp_path)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    network, path = build(CONV), tmp_path / "a.weights"
    path.write_bytes(b"old")

    def full(self):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(WeightsHeader, "pack", full)
    with raises(f"{path}: cannot be written: No space left on device"):
        save_weights(network, path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.weights"]


def test_permissions_are_those_of_a_usual_file(tmp_path):
    network, plain, path = build(CONV), tmp_path / "plain", tmp_path / "a.weights"
    plain.touch()
    save_weights(network, path)
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    link = tmp_path / "link.weights"
    link.symlink_to(path)
    save_weights(network, link)  # as C's fopen: through the link, with the mode it had
    assert link.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_saving_into_a_pipe(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    save_weights(build(CONV), pipe)
    reader.join()
    assert len(got[0]) == 20 + 4 * 8


@pytest.mark.skipif(not MODELS, reason="needs the shared models")
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.parent.name)
def test_real_weights_come_out_byte_for_byte(path, tmp_path):
    (cfg,) = path.parent.glob("*.cfg")
    network = darknet_py.Network.from_cfg(cfg, initialize=False)
    load_weights(network, path)
    save_weights(network, tmp_path / "b.weights")
    assert (tmp_path / "b.weights").read_bytes() == path.read_bytes()


def test_half_precision_and_strided_arrays_are_saved_as_float32(tmp_path):
    network = build(CONV)
    fill(network)
    half = build(CONV).half()
    save_weights(network, tmp_path / "a.weights")
    load_weights(half, tmp_path / "a.weights")
    save_weights(half, tmp_path / "b.weights")
    _, floats = read_weights(tmp_path / "b.weights")
    assert floats.tolist() == [x for values in arrays(half).values() for x in values]


IMAGES = """[convolutional]
filters=4
size=3
batch_normalize=1
activation=leaky
[convolutional]
filters=2
size=1
dontsave=1
[local]
filters=2
size=2
activation=linear
[connected]
output=6
batch_normalize=1
[connected]
output=3
"""
VECTORS = """[rnn]
output=5
batch_normalize=1
[gru]
output=4
[lstm]
output=3
batch_normalize=1
[connected]
output=2
[softmax]
"""


@pytest.mark.skipif(shutil.which("darknet") is None, reason="needs Darknet's program")
@pytest.mark.parametrize(("body", "shape"), [(IMAGES, (3, 6, 7)), (VECTORS, (4,))])
@pytest.mark.parametrize("header", [OLD, PJ, TURNED], ids=["old", "new", "transposed"])
def test_the_c_program_reads_and_writes_the_same(tmp_path, body, shape, header):
    network = build(body, shape=shape, dialect="pjreddie")
    cfg, ours, theirs = (tmp_path / name for name in ("a.cfg", "a.weights", "c.weights"))
    cfg.write_text(format_cfg(network.sections), encoding="utf-8")
    unsaved = 4 * sum(t.numel() for i, _, t in network.arrays() if network[i].options.dontsave)
    count = sum(tensor.numel() for _, _, tensor in network.arrays())
    ours.write_bytes(header + np.random.default_rng(0).random(count, "<f4").tobytes())
    load_weights(network, ours)
    command = ["darknet", "partial", str(cfg), str(ours), str(theirs), "100"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    network.version, network.seen = network.dialect.version, 0  # as `partial` writes them
    save_weights(network, ours)
    assert ours.read_bytes() == theirs.read_bytes()
    assert ours.stat().st_size == 20 + 4 * count - unsaved

"""Text, CIFAR-10's files, go moves, masks and pairs of pictures."""

import numpy as np
import pytest
from pictures_on_disk import network, write_pictures

from darknet_py.cfg import parse_cfg
from darknet_py.datasets import dataset_of
from darknet_py.datasets.masks import read_masks
from darknet_py.errors import DataError
from darknet_py.image import save_image
from darknet_py.network import Network

RNN = "[rnn]\noutput=8\n[connected]\noutput=256\nactivation=linear\n[softmax]\n"


def text_network(dialect="pjreddie", inputs=256):
    head = f"[net]\nbatch=6\nsubdivisions=2\ntime_steps=4\ninputs={inputs}\n"
    return Network(parse_cfg(head + RNN.replace("256", str(inputs)), "test.cfg"), dialect)


def test_text_goes_on_stream_by_stream(tmp_path):
    path = tmp_path / "a.txt"
    text = bytes(range(1, 251))
    path.write_bytes(text)
    data = dataset_of(text_network(), path, seed=1)
    assert data.length == 250 and data.truths == 256
    streams, times = 3, 80
    seen = []
    for time in range(times):
        batch = data.batch(*divmod(time, 2))
        assert batch.inputs.shape == (12, 256)
        assert (batch.inputs.sum(1) == 1).all() and (batch.truth.sum(1) == 1).all()
        inputs = batch.inputs.argmax(1).reshape(4, streams)
        truth = batch.truth.argmax(1).reshape(4, streams)
        assert (truth == inputs % 250 + 1).all()  # the next byte of the text
        assert (inputs[1:] == truth[:-1]).all()
        seen.append((inputs[0], truth[-1]))
    jumps = [set(data.jumps(*divmod(time, 2))) for time in range(times)]
    assert jumps[0] == {0, 1, 2}
    for time in range(1, times):
        for stream in range(streams):
            if stream not in jumps[time]:
                assert seen[time][0][stream] == seen[time - 1][1][stream]
    again = dataset_of(text_network(), path, seed=1).batch(30, 1)
    assert (again.inputs == data.batch(30, 1).inputs).all()


def test_streams_jump_more_often_in_alexeyabs(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"some text " * 9)
    for dialect, once in (("pjreddie", 64), ("alexeyab", 10)):
        data = dataset_of(text_network(dialect), path)
        count = sum(len(data.jumps(i)) for i in range(1, 801))
        assert abs(count / 2400 - 1 / once) < 0.4 / once


def test_tokens_and_bad_symbols(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("3 1 0 2\n")
    batch = dataset_of(text_network(inputs=4), path, "tokens").batch(0)
    follows = {3: 1, 1: 0, 0: 2, 2: 3}
    pairs = zip(batch.inputs.argmax(1), batch.truth.argmax(1), strict=True)
    assert all(follows[a] == b for a, b in pairs)
    expected = (
        rf"^{path}: token 3 at 0 is not one of 0 to 2, which the network's inputs=3 can take$"
    )
    with pytest.raises(DataError, match=expected):
        dataset_of(text_network(inputs=3), path, "tokens")
    path.write_bytes(b"ab\0")
    with pytest.raises(DataError, match="character 0 at 2 is not one of 1 to 255"):
        dataset_of(text_network(), path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"is empty$"):
        dataset_of(text_network(), path)


def test_cifar(tmp_path):
    body = "[connected]\noutput=10\nactivation=linear\n[softmax]\n"
    rows = np.random.default_rng(0).integers(0, 256, (20, 3073), np.uint8)
    rows[:, 0] = np.arange(20) % 10
    (tmp_path / "data_batch_1.bin").write_bytes(rows[:12].tobytes())
    (tmp_path / "data_batch_2.bin").write_bytes(rows[12:].tobytes())
    data = dataset_of(network(body, size=(3, 32, 32)), tmp_path, "cifar")
    batch = data.batch(2)
    assert data.length == 20
    for image, truth, path in zip(*batch, strict=True):
        row = rows[int(path.rsplit(":")[-1])]
        np.testing.assert_allclose(image.ravel(), row[1:] / 255, rtol=1e-6)
        assert truth.argmax() == row[0]
        np.testing.assert_allclose(sorted(truth), [0.01] * 9 + [0.91], rtol=1e-5)
    (tmp_path / "data_batch_2.bin").write_bytes(b"123")
    with pytest.raises(DataError, match=r"data_batch_2\.bin: must hold rows of 3073 bytes, got 3"):
        dataset_of(network(body, size=(3, 32, 32)), tmp_path, "cifar")


def test_go_moves_turn_with_their_boards(tmp_path):
    bits = np.zeros(364, np.uint8)
    bits[3 * 19 + 5], bits[7 * 19 + 2] = 1, 2  # mine, theirs
    packed = (bits.reshape(91, 4) << np.array([0, 2, 4, 6], np.uint8)).sum(1).astype(np.uint8)
    move = bytes([ord("1"), ord("1"), 3, 6]) + packed.tobytes() + b"\0"
    path = tmp_path / "moves"
    path.write_bytes(move)
    body = "[convolutional]\nfilters=1\nsize=1\nactivation=linear\n[connected]\noutput=363\n"
    data = dataset_of(network(body, size=(3, 19, 19)), path, "go")
    boards = set()
    for iteration in range(12):
        batch = data.batch(iteration)
        for image, truth in zip(batch.inputs, batch.truth, strict=True):
            assert (image[2] == 1).all() and truth[361] == 0 and truth[362] == 1
            (mine,), (theirs,) = np.argwhere(image[0]), np.argwhere(image[1])
            (place,) = np.argwhere(truth[:361].reshape(19, 19))
            assert abs(mine - place).sum() == 1 and sorted(abs(mine - theirs)) == [3, 4]
            boards.add(tuple(mine))
    assert len(boards) == 8


def test_masks_are_read_by_runs(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("2 3,2,1\n0 4\n")
    (first, mask), (second, rest) = read_masks(str(path), 4, 2)
    assert (first, second) == (2, 0)
    assert mask.ravel().tolist() == [0, 0, 0, 1, 1, 0, 1, 1]
    assert rest.ravel().tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    path.write_text("2 3,2,1\nx\n")
    with pytest.raises(DataError, match=rf"^{path}:2: must be 'class n,n,n…', got 'x'$"):
        list(read_masks(str(path), 4, 2))


@pytest.fixture
def masked(tmp_path):
    """Pictures a.jpg with a mask of class 1 where the picture is bright."""
    write_pictures(tmp_path)
    (tmp_path / "mask").mkdir()
    image = np.full((60, 80, 3), 20, np.uint8)
    image[20:40, 30:60] = 240
    save_image(image, tmp_path / "images" / "a.jpg")
    runs = [20 * 80 + 30, *[30, 50] * 19, 30, 50 - 30 - 20 + 20 * 80 + 20]
    (tmp_path / "mask" / "a.txt").write_text(f"1 {','.join(map(str, runs))}\n")
    (tmp_path / "m.list").write_text(f"{tmp_path}/images/a.jpg\n")
    return tmp_path / "m.list"


def test_segmentation_masks_move_with_their_pixels(masked):
    body = "[convolutional]\nfilters=2\nsize=1\nstride=2\nactivation=linear\n"
    net = network(body, "angle=10", "pjreddie", (3, 48, 48))
    batch = dataset_of(net, masked, "segmenter", seed=3).batch(0)
    for image, truth in zip(batch.inputs, batch.truth.reshape(4, 2, 24, 24), strict=True):
        bright = image[0].reshape(24, 2, 24, 2).mean((1, 3)) > 0.5
        assert not truth[0].any()
        assert (bright != (truth[1] > 0.5)).mean() < 0.08


def test_instances_move_with_their_pixels(masked):
    body = "[convolutional]\nfilters=5\nsize=1\nstride=2\nactivation=linear\n"
    body += "[iseg]\nclasses=3\nids=2\n"
    net = network(body, "", "pjreddie", (3, 48, 48))
    batch = dataset_of(net, masked, seed=3).batch(0)
    for image, truth in zip(batch.inputs, batch.truth.reshape(4, 90, 577), strict=True):
        assert (truth[0, 0], truth[1, 0]) == (1, -1)
        bright = image[0].reshape(24, 2, 24, 2).mean((1, 3)) > 0.5
        assert (bright != (truth[0, 1:].reshape(24, 24) > 0.5)).mean() < 0.12


def test_writing_super_and_compare(tmp_path):
    listed = write_pictures(tmp_path)
    for name in "abc":
        label = np.full((90, 120, 3), 255, np.uint8)
        save_image(label, tmp_path / "images" / f"{name}-label.png")
    conv = "[convolutional]\nfilters=1\nsize=1\nactivation=linear\n"
    batch = dataset_of(network(conv, size=(3, 16, 24)), listed, "writing").batch(0)
    assert batch.truth.shape == (4, 16 * 24)
    np.testing.assert_allclose(batch.truth, 1, rtol=1e-5)
    larger = conv + "[upsample]\nstride=2\n"
    batch = dataset_of(network(larger, size=(3, 16, 24)), listed, "super").batch(0)
    large = batch.truth.reshape(4, 3, 32, 48)
    assert abs(large[:, :, ::2, ::2] - batch.inputs).mean() < 0.05
    wide = "[connected]\noutput=6\n"
    data = dataset_of(network(wide, size=(6, 16, 24)), listed, "compare")
    assert (data.batch(0).truth == -1234).all()  # no file says which shows more
    assert data.batch(0).inputs.shape == (4, 6, 16, 24)

"""`regressor demo`, `segmenter demo` and `isegmenter demo`."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import assert_close

from darknet_py import image as images
from darknet_py import video as videos
from darknet_py.cli import main
from darknet_py.cli.others import color_masks
from darknet_py.cli.others_demo import lay_over
from darknet_py.network import Network
from darknet_py.weights import save_weights

NET = "[net]\nwidth=32\nheight=24\nchannels={}\n\n[convolutional]\nfilters=3\nsize=3\n"
REGRESSOR = NET + "activation=linear\n[avgpool]\n"
SEGMENTER = NET + "stride=2\npad=1\nactivation=logistic\n"
FRAMES = 5
FILES = ["v.data", "r.cfg", "r.weights", "in.avi", "-dont_show", "-quiet"]
SEGMENT = ["v.data", "s.cfg", "s.weights", "in.avi", "-dont_show", "-quiet"]


def write(name, text):
    Path(f"{name}.cfg").write_text(text)
    torch.manual_seed(1)
    save_weights(Network.from_cfg(f"{name}.cfg", "pjreddie"), f"{name}.weights")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    write("r", REGRESSOR.format(3))
    write("s", SEGMENTER.format(3))
    Path("v.data").write_text("classes=2\nnames=v.names\n")
    Path("v.names").write_text("People\n")
    writer = cv2.VideoWriter("in.avi", cv2.VideoWriter.fourcc(*"MJPG"), 12, (64, 40))
    random = np.random.RandomState(1)
    for _ in range(FRAMES):
        writer.write(cv2.resize(random.randint(0, 256, (5, 8, 3)).astype(np.uint8), (64, 40)))
    writer.release()


def frames_of(name):
    capture, frames = cv2.VideoCapture(name), []
    while True:
        found, frame = capture.read()
        if not found:
            return frames
        frames.append(frame[:, :, ::-1].copy())


@pytest.mark.parametrize("channels", [3, 1])
def test_regressor_demo_prints_the_values_of_the_middle_in_grey(channels, capsys):
    write("r", REGRESSOR.format(channels))
    assert main(["regressor", "demo", *FILES, "-out_filename", "out.avi"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Regressor Demo"
    assert len(lines) == 1 + 4 * FRAMES
    assert all(re.fullmatch(r"FPS:\d+", line) for line in lines[2::4])
    network = Network.from_cfg("r.cfg", "pjreddie")
    from darknet_py.weights import load_weights

    load_weights(network, "r.weights")
    network.eval()
    for number, frame in enumerate(frames_of("in.avi")):
        square = images.to_float(frame)[:, 12:52]
        middle = images.resize(square, 32, 24)
        grey = (middle @ np.array([0.299, 0.587, 0.114], np.float32))[None, None]
        with torch.no_grad():
            (expected,) = network.run(torch.from_numpy(grey.repeat(channels, 1)))
        told = lines[3 + 4 * number : 5 + 4 * number]
        assert [line.split(": ")[0] for line in told] == ["People", "1"]
        values = np.array([float(line.split(": ")[1]) for line in told])
        np.testing.assert_allclose(values, expected.flatten()[:2], atol=2e-6)
    assert frames_of("out.avi")[0].shape == (40, 64, 3)
    assert len(frames_of("out.avi")) == FRAMES


@pytest.mark.parametrize("group", ["segmenter", "isegmenter"])
def test_segmenter_demo_lays_masks_over_the_frames(group, capsys):
    assert main([group, "demo", *SEGMENT, "-prefix", "f"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Classifier Demo"
    assert len(lines) == 1 + 2 * FRAMES
    pictures = sorted(Path().glob("f_*.jpg"))
    assert [p.name for p in pictures] == [f"f_{n:08d}.jpg" for n in range(FRAMES)]
    shown = cv2.imread(str(pictures[0]))[:, :, ::-1]
    frame = frames_of("in.avi")[0]
    assert shown.shape == frame.shape
    assert np.abs(shown.astype(int) - frame).mean() > 5


def test_a_mask_lies_where_it_was_found():
    masks = np.zeros((2, 12, 16), np.float32)
    masks[0, 6:, 8:] = 1
    mask = images.to_bytes(color_masks(masks))
    frame = np.full((40, 80, 3), 100, np.uint8)  # 32 x 16 of the network's 32 x 24, 4 from the top
    both = lay_over(frame, mask, (32, 24))
    assert both.shape == frame.shape
    assert tuple(both[5, 5]) == (50, 50, 50)
    assert tuple(both[30, 60]) == tuple(50 + mask[11, 15] // 2)
    same = lay_over(frame[:, :, :], np.zeros_like(mask), (32, 24))
    assert_close(same, np.full_like(frame, 50))


def test_it_ends_with_escape_and_with_the_time(monkeypatch, capsys):
    shown = []

    class Window:
        def __init__(self, title, *size):
            shown.append(title)

        def show(self, frame):
            shown.append(frame.shape)
            return 27

        def close(self):
            shown.append("closed")

    monkeypatch.setattr(videos, "Window", Window)
    monkeypatch.setattr(videos, "find_window_trouble", lambda: None)
    for line, title in ((["regressor", "demo", *FILES], "Regressor"),
                        (["segmenter", "demo", *SEGMENT], "Segmenter")):  # fmt: skip
        shown.clear()
        assert main([word for word in line if word != "-dont_show"]) == 0
        assert shown == [title, (40, 64, 3), "closed"]
    capsys.readouterr()
    assert main(["segmenter", "demo", *SEGMENT, "-benchmark", "-time_limit_sec", "1"]) == 0
    assert capsys.readouterr().out.count("FPS:") > FRAMES


def test_errors_are_one_line(capsys):
    Path("v.data").write_text("classes=4\n")
    assert main(["regressor", "demo", *FILES]) == 1
    message = "darknet-py: v.data: classes=4, but r.cfg gives 3 values\n"
    assert capsys.readouterr().err == message
    write("s", SEGMENTER.format(1))
    assert main(["segmenter", "demo", *SEGMENT]) == 1
    message = "darknet-py: s.cfg: takes or gives no pictures in colour\n"
    assert capsys.readouterr().err == message
    assert main(["regressor", "demo", *FILES[:3], "none.avi", "-quiet"]) == 1
    message = "darknet-py: none.avi: cannot be opened: No such file or directory\n"
    assert capsys.readouterr().err == message

"""`detector draw`: a picture that learns to show what is wished, and what the command writes."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import SHARED, assert_close, build
from training import lay_out

from darknet_py import video as videos
from darknet_py.boxes import Detections, undo_letterbox
from darknet_py.cli import main
from darknet_py.cli.marking import Pointer, ask_wish
from darknet_py.draw_object import Wish, check_network, draw_object, quantize, to_input_frame
from darknet_py.errors import CfgError, DarknetError
from darknet_py.learning import Learner
from darknet_py.network import Network
from darknet_py.weights import save_weights

BODY = """[convolutional]
batch_normalize=1
filters=6
size=3
stride=2
pad=1
activation=leaky

[convolutional]
filters=14
size=1
stride=1
activation=linear

[yolo]
mask=0,1
anchors=4,4, 9,9
num=2
classes=2
"""
CFG = "[net]\nwidth=24\nheight=16\nchannels=3\n" + BODY
WISH = Wish((0.6, 0.4, 0.3, 0.5), 1, iterations=3, rate=0.01)
MODEL = SHARED / "models" / "bccd-yolo-fastest" / "bccd-yolo-fastest"


def network():
    return build(BODY, (3, 16, 24), "alexeyab")


def grey():
    random = np.random.default_rng(1)
    return random.uniform(0.2, 0.8, (16, 24, 3)).astype(np.float32)


def test_a_step_goes_down_the_gradient_of_the_yolo_loss_by_rolling_values():
    net, start = network(), grey()
    before = [tensor.clone() for _, _, tensor in net.arrays()]
    first, second, _ = draw_object(net, start, WISH)
    assert not net.training
    assert all(map(torch.equal, before, (tensor for _, _, tensor in net.arrays())))

    x = torch.from_numpy(start.transpose(2, 0, 1)[None].copy()).requires_grad_()
    learner = Learner(network())
    learner.network.eval()
    truth = torch.tensor([[0.6, 0.4, 0.3, 0.5, 1, 0]])
    ends, directions, loss = learner.forward(x, truth, adversarial=True)
    (gradient,) = torch.autograd.grad(ends, x, directions)
    expected = (x - 0.01 * gradient).clamp(0, 1)[0].detach().numpy().transpose(1, 2, 0)
    assert_close(first[0], expected)
    assert first[1] == pytest.approx(loss.cost)
    assert second[1] < first[1]


def scores(net, picture):
    """Of the boxes in the cell that the wished box's centre lies in, `(anchors, classes)`."""
    with torch.no_grad():
        (output,) = net.run(torch.from_numpy(picture.transpose(2, 0, 1)[None].copy()))
    cell = output.view(2, 7, 8, 12)[:, :, int(0.4 * 8), int(0.6 * 12)]
    return cell[:, 4:5] * cell[:, 5:]


def test_the_wished_class_grows_where_it_is_wished():
    net = network().eval()
    before = scores(net, grey())
    *_, (picture, _) = draw_object(net, grey(), replace(WISH, iterations=200, rate=0.05))
    after = scores(net, quantize(picture))
    assert after[:, 1].max() > 0.5 > before.max()
    assert after[:, 1].max() > 2 * after[:, 0].max()


def test_only_the_box_changes_on_request():
    *_, (picture, _) = draw_object(network(), grey(), replace(WISH, box_only=True))
    changed = (picture != grey()).any(2)
    rows, columns = np.nonzero(changed)
    # C: 8 rows from 16 * .4 - 4, 7 columns from 24 * .6 - 3
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 9, 11, 17)
    *_, (picture, _) = draw_object(network(), grey(), Wish(iterations=2, rate=0.01))
    assert (picture != grey()).any(2).mean() > 0.9


def test_networks_that_cannot_be_asked():
    plain = build("[convolutional]\nfilters=2\nsize=1\nactivation=linear\n[softmax]\n")
    message = r"a picture is drawn for \[yolo\], \[Gaussian_yolo\], \[region\]; there is none$"
    with pytest.raises(CfgError, match=message):
        check_network(plain)
    stopped = build(BODY.replace("size=3", "stopbackward=1\nsize=3"), (3, 16, 24), "alexeyab")
    message = r"^test\.cfg:8: \[convolutional\]: lets no gradient through to the picture$"
    with pytest.raises(CfgError, match=message):
        check_network(stopped)
    with pytest.raises(
        DarknetError, match=r"^test\.cfg: no gradient reaches the picture \(stopbackward\)$"
    ):
        next(draw_object(stopped, grey(), WISH))
    norms = build(BODY.replace("size=3", "train_only_bn=1\nsize=3"), (3, 16, 24), "alexeyab")
    assert (next(draw_object(norms, grey(), WISH))[0] != grey()).any()
    broken = network()
    next(broken.parameters()).data.fill_(float("nan"))
    with pytest.raises(DarknetError, match=r"^iteration 0: the loss is nan$"):
        next(draw_object(broken, grey(), WISH))
    check_network(network())


def test_a_box_of_the_picture_is_found_in_its_letterbox():
    box = (0.3, 0.6, 0.2, 0.4)
    framed = to_input_frame(box, (100, 200), 64, 32 + 16)
    found = Detections(np.array([framed], np.float32), np.ones(1), np.ones((1, 1)))
    assert_close(undo_letterbox(found, (64, 32), (64, 48)).boxes[0], np.array(box, np.float32))


def test_quantized_values_are_what_a_file_holds():
    values = np.array([0, 0.00391, 0.00393, 0.5, 1], np.float32)
    expected = (np.array([0, 0, 1, 127, 255]) + 0.5) / 255
    assert_close(quantize(values), expected.astype(np.float32))


class Window:
    """A window whose user drags, moves sliders and presses keys as the script says."""

    def __init__(self, *script):
        self.script, self.sliders, self.frames = list(script), {}, []
        self.is_open = True

    def add_slider(self, name, value, most):
        self.sliders[name] = [value, most]

    def slider(self, name):
        return self.sliders[name][0]

    def hear_mouse(self, hear):
        self.hear = hear

    def show(self, frame, wait=1):
        self.frames.append(frame)
        if len(self.frames) == 1 or not self.script:
            return -1
        done = self.script.pop(0)
        if isinstance(done, int):
            return done
        if done == "close":
            self.is_open = False
        elif len(done) == 3:
            self.hear(*done)
        else:
            self.sliders[done[0]][0] = done[1]
        return -1


PICTURE = np.full((40, 80, 3), 90, np.uint8)


def test_a_box_is_dragged_and_sliders_are_moved():
    drag = [("down", 60, 30), ("move", 30, 20), ("up", 20, 10)]
    window = Window(("class_id", 1), ("iterations", 7), ("box-only", 1), *drag)
    wish = ask_wish(window, PICTURE, ["apple", "pear"], Wish(rate=0.003))
    assert wish == Wish((0.5, 0.5, 0.5, 0.5), 1, 7, 0.003, True)
    assert window.sliders == {
        "iterations": [7, 1000], "learning_rate exp": [8, 20], "class_id": [1, 1],
        "box-only": [1, 1],
    }  # fmt: skip
    assert tuple(window.frames[-1][30, 40]) == (150, 200, 150)
    assert (window.frames[1] != PICTURE).any()
    window = Window(("learning_rate exp", 5), ("down", 5, 5), ("up", 5, 9), *drag)
    assert ask_wish(window, PICTURE, ["apple"], Wish()).rate == 1 / 32
    assert "class_id" not in window.sliders


def test_escape_wishes_for_nothing_and_a_closed_window_ends():
    assert ask_wish(Window(27), PICTURE, ["apple"], WISH).box is None
    with pytest.raises(DarknetError, match=r"^the window was closed before a box was marked$"):
        ask_wish(Window("close"), PICTURE, ["apple"], WISH)


def test_a_box_ends_where_the_picture_ends():
    pointer = Pointer()
    for event in (("up", 1, 1), ("down", 70, 10), ("move", 95, -4), ("up", 99, -4)):
        pointer.hear(*event)
    assert pointer.done
    assert pointer.edges(80, 40) == (70, 0, 80, 10)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    lay_out(tmp_path, 2)
    Path("net.1.cfg").write_text(CFG)
    torch.manual_seed(0)
    save_weights(Network.from_cfg("net.1.cfg", "alexeyab"), "net.weights")
    return tmp_path


FILES = ["detector", "draw", "two.data", "net.1.cfg", "net.weights", "images/red_0.png"]
FLAGS = ["-iterations", "150", "-rate", ".5", "-class", "green"]


def test_the_command_writes_three_pictures(folder, capsys):
    assert main([*FILES, *FLAGS, "-box", ".6,.4,.3,.5", "-dont_show", "-letter_box"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == " Detection layer: 2 - type = 28 "
    assert any(line.startswith("green: ") and "left_x:" in line for line in lines[1:])
    assert err.splitlines()[-1].startswith("150 iterations in ")
    drawn, found = cv2.imread("drawn.png"), cv2.imread("pre_predictions.jpg")
    assert drawn.shape == found.shape == (16, 24, 3)
    assert cv2.imread("chart_net.png").shape == (1000, 1000, 3)
    assert not list(Path().glob("chart.png"))


def test_the_flags_are_checked(folder, capsys):
    message = {
        (): "-box X,Y,W,H is missing: there is no window to mark it (-dont_show)",
        ("-box", "1,2"): "-box takes four numbers, X,Y,W,H, got '1,2'",
        ("-box", "1,.2,.1,.1"): (
            "-box takes a centre and sides from 0 to 1 of the picture, got '1,.2,.1,.1'"
        ),
    }
    for words, text in message.items():
        assert main([*FILES, "-quiet", "-dont_show", *words]) == 2
        assert capsys.readouterr().err == f"darknet-py: {text}\n"
    message = {
        ("-class", "gren"): (
            "-class gren: there is no such class of 2; did you mean 'green'?"
        ),
        ("-class", "2"): "-class 2: there is no such class of 2",
        ("-rate", "0"): "-iterations must be at least 1, -rate above 0",
        ("-out", "none"): "none: is no folder to write to, or there is no right to",
    }  # fmt: skip
    for words, text in message.items():
        assert main([*FILES, "-quiet", "-dont_show", "-box", "0,0,0,0", *words]) == 1
        assert capsys.readouterr().err == f"darknet-py: {text}\n"
    assert not list(Path().glob("*.png"))


def test_the_command_with_windows(folder, monkeypatch, capsys):
    opened = []

    class Shown(Window):
        def __init__(self, title, *size):
            drag = [("down", 2, 2), ("up", 20, 12)] if title == "Marking image" else []
            super().__init__(*drag, *[-1] * 3, 27)
            opened.append((title, self))

        def close(self):
            opened.append("closed")

    monkeypatch.setattr(videos, "Window", Shown)
    monkeypatch.setattr(videos, "find_window_trouble", lambda: None)
    assert main([*FILES, *FLAGS, "-quiet"]) == 0
    titles = [entry[0] for entry in opened if entry != "closed"]
    assert titles == ["Marking image", "image_optimization", "pre_predictions"]
    assert opened.count("closed") == 3
    assert len(opened[2][1].frames) == 5  # Esc ends it before the 150th
    assert Path("drawn.png").exists()


def test_what_the_window_asks_of_opencv(monkeypatch):
    asked = {}
    monkeypatch.setattr(videos, "find_window_trouble", lambda: None)
    for name in ("namedWindow", "moveWindow", "resizeWindow", "createTrackbar"):
        monkeypatch.setattr(cv2, name, lambda *args, name=name: asked.update({name: args}))
    monkeypatch.setattr(cv2, "setMouseCallback", lambda title, hear: asked.update(hear=hear))
    monkeypatch.setattr(cv2, "getTrackbarPos", lambda name, title: 7)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda title, kind: 1.0)
    window, heard = videos.Window("W", 10, 20), []
    window.add_slider("rate", 3, 20)
    window.hear_mouse(lambda *event: heard.append(event))
    for event in (cv2.EVENT_LBUTTONDOWN, cv2.EVENT_RBUTTONDOWN, cv2.EVENT_LBUTTONUP):
        asked["hear"](event, 4, 5, 0, None)
    assert heard == [("down", 4, 5), ("up", 4, 5)]
    assert asked["createTrackbar"][:4] == ("rate", "W", 3, 20)
    assert window.slider("rate") == 7
    assert window.is_open


@pytest.mark.skipif(not MODEL.with_suffix(".cfg").exists(), reason="shared models are not here")
def test_a_trained_network_sees_a_white_cell_where_the_box_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("b.data").write_text(f"classes=3\nnames={MODEL}.names\n")
    picture = SHARED / "data/bccd/JPEGImages/BloodImage_00000.jpg"
    line = ["detector", "draw", "b.data", f"{MODEL}.cfg", f"{MODEL}.weights", str(picture)]
    flags = ["-box", ".3,.3,.25,.3", "-class", "WBC", "-rate", ".004", "-iterations", "60"]
    assert main([*line, *flags, "-dont_show", "-quiet"]) == 0
    lines = [x for x in capsys.readouterr().out.splitlines() if x.startswith("WBC")]
    assert len(lines) == 1  # the real one has vanished
    numbers = [int(word) for word in lines[0].replace(")", " ").split() if word.isdigit()]
    left, top, width, height = numbers
    assert abs(left + width / 2 - 96) < 10
    assert abs(top + height / 2 - 96) < 10

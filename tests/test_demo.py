"""The commands `demo`: videos in, lines, videos, pictures and streams out."""

import http.client
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import ROOT

from darknet_py import video as videos
from darknet_py.boxes import Detections
from darknet_py.cli import main
from darknet_py.cli.report import frame_boxes
from darknet_py.detector import Detector
from darknet_py.errors import DarknetError
from darknet_py.mjpeg import PictureServer
from darknet_py.network import Network
from darknet_py.stream import JsonServer, post_text
from darknet_py.weights import save_weights

NET = "[net]\nwidth=32\nheight=32\nchannels=3\n"
DETECTOR = f"""{NET}
[convolutional]
filters=14
size=8
stride=8
activation=linear
[yolo]
mask=0,1
anchors=6,8, 9,7
num=2
classes=2
"""
CLASSIFIER = f"{NET}\n[convolutional]\nfilters=3\nsize=3\nactivation=leaky\n[avgpool]\n[softmax]\n"
FRAMES = 12
FILES = ["two.data", "find.cfg", "find.weights", "in.avi"]
DEMO = ["detector", "demo", *FILES, "-thresh", ".35", "-dont_show", "-quiet"]
ALEXEYAB = ["-dialect", "alexeyab"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    for name, text in (("find", DETECTOR), ("name", CLASSIFIER)):
        Path(f"{name}.cfg").write_text(text)
        network = Network.from_cfg(f"{name}.cfg", initialize=False)
        for index, _, tensor in network.arrays():
            generator = torch.Generator().manual_seed(index + 3)
            torch.nn.init.normal_(tensor, std=0.15, generator=generator)
        save_weights(network, f"{name}.weights")
    Path("two.data").write_text("classes=2\nnames=two.names\n")
    Path("two.names").write_text("apple\npear\n")
    Path("three.data").write_text("classes=3\nnames=three.names\ntop=2\n")
    Path("three.names").write_text("a\nb\nc\n")
    writer = cv2.VideoWriter("in.avi", cv2.VideoWriter.fourcc(*"MJPG"), 12, (64, 48))
    random = np.random.RandomState(1)
    for number in range(FRAMES):
        frame = cv2.resize(random.randint(0, 256, (6, 8, 3)).astype(np.uint8), (64, 48))
        frame[:8] = number * 20
        writer.write(frame)
    writer.release()


def frames_of(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        found, frame = capture.read()
        if not found:
            return frames, capture.get(cv2.CAP_PROP_FPS)
        frames.append(frame[:, :, ::-1].copy())


def test_a_video_becomes_a_video_with_boxes():
    run = [sys.executable, "-m", "darknet_py", *DEMO, "-out_filename", "out.avi"]
    run.remove("-quiet")
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        run, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    before, _ = frames_of("in.avi")
    after, rate = frames_of("out.avi")
    assert (len(after), rate) == (FRAMES, 12)
    assert after[0].shape == before[0].shape
    assert all(np.abs(a.astype(int) - b).mean() > 1 for a, b in zip(after, before, strict=True))
    assert done.stdout.startswith("Demo\nvideo file: in.avi\n\nFPS:0.0\nObjects:\n\n")
    assert done.stdout.count("\nObjects:\n\n") == FRAMES
    assert f"{FRAMES} frames in " in done.stderr.splitlines()[-1]
    assert any(name in done.stdout for name in ("apple: ", "pear: "))


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_other_formats(name):
    assert main([*DEMO, "-out_filename", name]) == 0
    assert len(frames_of(name)[0]) == FRAMES


def parts(out):
    """The lines of each frame that name an object."""
    return [
        [line for line in part.splitlines() if "%" in line]
        for part in out.split("Objects:\n\n")[1:]
    ]


def test_pjreddie_averages_three_frames_the_first_after_zeros(capsys):
    assert main([*DEMO, "-nms", ".4"]) == 0
    told = parts(capsys.readouterr().out)
    from darknet_py.boxes import suppress_boxes
    from darknet_py.cli.report import pjreddie_boxes

    names = ["apple", "pear"]
    detector = Detector.load("find.cfg", "find.weights", names, thresh=0.35)
    outputs = [detector.run(detector.prepare(f))[0][0] for f in frames_of("in.avi")[0]]
    assert detector.letterbox
    for number, lines in enumerate(told):
        last = outputs[max(number - 2, 0) : number + 1]
        boxes = detector.boxes([torch.stack(last).sum(0) / 3], (48, 64))
        found = suppress_boxes(boxes, 0.4)
        assert sorted(lines) == sorted(pjreddie_boxes(found, names, 0.35, None))
    assert len(told) == FRAMES
    assert not told[0]
    assert told[5]


def test_alexeyab_takes_each_frame_alone_resized_by_opencv(capsys):
    assert main([*DEMO, *ALEXEYAB, "-ext_output", "-out_filename", "out.avi"]) == 0
    out = capsys.readouterr().out
    detector = Detector.load("find.cfg", "find.weights", dialect="alexeyab", thresh=0.35)
    names = ["apple", "pear"]
    for frame, lines in zip(frames_of("in.avi")[0], parts(out), strict=True):
        small = cv2.resize(frame, (32, 32), interpolation=cv2.INTER_LINEAR)
        (found,) = detector.find([small])
        assert lines
        assert lines == list(frame_boxes(found, names, 0.35, (64, 48)))
    lines = out.splitlines()
    assert lines[:5] == ["Demo", "video file: in.avi", "Video stream: 64 x 48 ", "Objects:", ""]
    assert lines[-2:] == ["input video stream closed. ", "output_video_writer closed. "]
    assert out.count("\nFPS:") == out.count(" \t AVG_FPS:") == FRAMES
    assert out.count("\n\n cvWriteFrame \n") == FRAMES
    assert main([*DEMO, *ALEXEYAB, "-dontdraw_bbox"]) == 0
    assert not any(parts(capsys.readouterr().out))


def test_averaging_on_request(capsys):
    assert main([*DEMO, "-avg", "1"]) == 0
    alone = parts(capsys.readouterr().out)
    assert alone[0]
    assert main([*DEMO, *ALEXEYAB, "-letter_box", "-avgframes", "3"]) == 0
    assert not parts(capsys.readouterr().out)[0]
    assert main([*DEMO, "-avgframes", "0"]) == 1
    assert capsys.readouterr().err == ("darknet-py: -avgframes must be at least 1, -s at least 0\n")


def test_a_box_is_one_line_with_its_classes_in_order():
    boxes = np.array([[0.5, 0.5, 0.2, 0.4], [0.1, 0.9, 1.5, 0.5]], np.float32)
    scores = np.array([[0.31, 0, 0.62], [0.9, 0.8, 0]], np.float32)
    found = Detections(boxes, np.ones(2, np.float32), scores)
    names = ["apple", "dont_show_this", "pear"]
    assert list(frame_boxes(found, names, 0.3, None)) == ["apple: 31% , pear: 62% ", "apple: 90% "]
    assert list(frame_boxes(found, names, 0.3, (100, 50)))[1] == (
        "apple: 90% \t(left_x:    0   top_y:   32   width:  100   height:   25)"
    )


def test_pictures_json_and_held_frames(capsys):
    files = ["-prefix", "f", "-json_file_output", "f.json"]
    assert main([*DEMO, *ALEXEYAB, *files, "-s", "3"]) == 0
    pictures = sorted(Path().glob("f_*.jpg"))
    assert [p.name for p in pictures] == [f"f_{n:08d}.jpg" for n in range(1, FRAMES + 1)]
    contents = [p.read_bytes() for p in pictures]
    assert [contents.index(c) for c in contents] == [0] * 4 + [4] * 4 + [8] * 4
    frames = json.loads(Path("f.json").read_text())
    assert [f["frame_id"] for f in frames] == list(range(1, FRAMES + 1))
    assert all(set(f) == {"frame_id", "objects"} and f["objects"] for f in frames)
    assert main([*DEMO, "-prefix", "p"]) == 0
    assert Path("p_00000000.jpg").exists()


def test_streams_while_it_runs(capsys):
    got = {}

    def fetch(kind, port):
        for _ in range(200):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
            except OSError:
                threading.Event().wait(0.05)
                continue
            got[kind] = answer.headers["Content-Type"], answer.read()
            return

    servers = [PictureServer(0), JsonServer(0)]
    ports = [server.port for server in servers]
    for server in servers:
        server.close()
    threads = [
        threading.Thread(target=fetch, args=pair)
        for pair in zip(("pictures", "json"), ports, strict=True)
    ]
    for thread in threads:
        thread.start()
    flags = ["-mjpeg_port", str(ports[0]), "-json_port", str(ports[1])]
    line = [word for word in DEMO if word != "in.avi"]
    line.insert(5, "long.avi")
    writer = cv2.VideoWriter("long.avi", cv2.VideoWriter.fourcc(*"MJPG"), 12, (64, 48))
    for frame in frames_of("in.avi")[0] * 200:
        writer.write(frame)
    writer.release()
    assert main([*line, *ALEXEYAB, *flags, "-time_limit_sec", "2"]) == 0
    for thread in threads:
        thread.join()
    kind, body = got["pictures"]
    assert kind == "multipart/x-mixed-replace; boundary=mjpegstream"
    head, _, rest = body.partition(b"\r\n\r\n")
    assert head.startswith(b"--mjpegstream\r\nContent-Type: image/jpeg\r\nContent-Length: ")
    length = int(head.rpartition(b" ")[2])
    picture = cv2.imdecode(np.frombuffer(rest[:length], np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (48, 64, 3)
    kind, body = got["json"]
    numbers = [frame["frame_id"] for frame in json.loads(body)]
    assert kind == "application/json"
    assert numbers
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    out = capsys.readouterr().out
    assert "\n JSON-stream sent. \n" in out
    assert "\n MJPEG-stream sent. \n" in out


def test_benchmark_runs_one_frame_until_the_time_is_over(capsys):
    words = ["-benchmark", "-time_limit_sec", "1", "-out_filename", "no.avi"]
    assert main([*DEMO, *ALEXEYAB, *words]) == 0
    out = capsys.readouterr().out
    assert out.count("Objects:") > FRAMES
    assert not any(parts(out))
    assert not Path("no.avi").exists()


def test_posts(capsys):
    from http.server import BaseHTTPRequestHandler, HTTPServer

    posted = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    host = f"127.0.0.1:{server.server_address[1]}/told"
    assert main([*DEMO, *ALEXEYAB, "-http_post_host", host]) == 0
    server.shutdown()
    server.server_close()
    assert len(posted) == FRAMES
    path, text = posted[0]
    lines = text.decode().splitlines()
    assert path == "/told"
    assert lines[0] in ("apple, id: 0", "pear, id: 1")
    assert lines[-5:-3] + lines[-2:] == ["", "time:", "videosource:", "in.avi"]
    with pytest.raises(DarknetError, match="does not take what is posted"):
        post_text(host, "more", 1)
    capsys.readouterr()
    assert main([*DEMO, *ALEXEYAB, "-http_post_host", host]) == 0
    assert capsys.readouterr().err.count("warning") == 1


def test_without_windows_there_is_one_line(capsys):
    line = [word for word in DEMO if word != "-dont_show"]
    assert main(line) == 0
    out, err = capsys.readouterr()
    assert err.startswith("darknet-py: warning: ")
    assert err.endswith(": -dont_show is taken\n")
    assert err.count("\n") == 1
    assert out.count("Objects:") == FRAMES


def test_keys_in_the_window(monkeypatch, capsys):
    keys = iter([82, 82, 27])
    shown = []

    class Window:
        def __init__(self, *args):
            shown.append(args)

        def show(self, frame):
            shown.append(frame.shape)
            return next(keys)

        def close(self):
            shown.append("closed")

    monkeypatch.setattr(videos, "Window", Window)
    monkeypatch.setattr(videos, "find_window_trouble", lambda: None)
    line = [word for word in DEMO if word != "-dont_show"]
    assert main([*line, "-fullscreen"]) == 0
    assert shown == [("Demo", 1352, 1013, True), *[(48, 64, 3)] * 3, "closed"]


@pytest.mark.parametrize(
    "words, message",
    [
        (["none.avi"], "none.avi: cannot be opened: No such file or directory"),
        (["two.names"], "two.names: is no video, or a broken one"),
        (["-c", "77"], "camera 77: cannot be opened"),
        (["in.avi", "-out_filename", "no/x.avi"],
         "no/x.avi: cannot be written: no such folder, or no right to"),
        (["in.avi", "-out_filename", "x.txt"],
         "x.txt: this OpenCV writes no such video; the name may end in .avi, .mkv or .mp4"),
        (["in.avi", "-json_file_output", "no/x.json"],
         "no/x.json: cannot be written: No such file or directory"),
    ],
)  # fmt: skip
def test_errors_are_one_line(words, message, capfd):
    line = [word for word in DEMO if word != "in.avi"]
    assert main([*line, *words]) == 1
    assert capfd.readouterr().err == f"darknet-py: {message}\n"


@pytest.mark.parametrize("name", ["yolo", "coco"])
def test_yolo_and_coco(name, capsys):
    words = ["find.cfg", "find.weights", "in.avi", "-names", "two.names", "-dont_show", "-quiet"]
    assert main([name, "demo", *words, *ALEXEYAB]) == 0
    assert any(parts(capsys.readouterr().out))


def test_classifier_demo_in_both_dialects(capsys):
    files = ["three.data", "name.cfg", "name.weights", "in.avi"]
    words = ["classifier", "demo", *files, "-dont_show", "-quiet"]
    assert main([*words, "-out_filename", "out.avi"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Classifier Demo\n\nFPS:0\n")
    lines = out.splitlines()[1:]
    assert len(lines) == FRAMES * 4
    assert all(line.endswith(("%: a", "%: b", "%: c")) for line in lines[2::4] + lines[3::4])
    assert len(frames_of("out.avi")[0]) == FRAMES
    assert main([*words, *ALEXEYAB]) == 0
    lines = capsys.readouterr().out.splitlines()
    hint = "  (use -benchmark command line flag for correct measurement)"
    assert lines[1] == "Video stream: 64 x 48 "
    assert next(line for line in lines if line.endswith(hint)) == "FPS: 0.00" + hint
    assert main([*words, *ALEXEYAB, "-benchmark", "-time_limit_sec", "1"]) == 0
    assert " \t AVG_FPS = 0.00 \n" in capsys.readouterr().out


def test_of_a_live_source_the_newest_frame_comes(monkeypatch):
    class Capture:
        number = 0

        def isOpened(self):
            return True

        def get(self, setting):
            return 0.0

        def set(self, setting, value):
            wanted[setting] = value

        def read(self):
            self.number += 1
            return self.number <= 50, np.full((4, 6, 3), self.number, np.uint8)

        def release(self):
            pass

    wanted = {}
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: Capture())
    with videos.Video(0, 6, 4, 30) as camera:
        camera._thread.join()
        assert wanted == {
            cv2.CAP_PROP_FRAME_WIDTH: 6,
            cv2.CAP_PROP_FRAME_HEIGHT: 4,
            cv2.CAP_PROP_FPS: 30,
        }
        assert camera.rate == 25
        assert len(list(camera.frames())) <= 1
    with videos.Video("in.avi") as file:
        frames = list(file.frames())
    assert len(frames) == 50


def test_a_grey_network(capsys):
    text = DETECTOR.replace("channels=3", "channels=1")
    Path("find.cfg").write_text(text)
    network = Network.from_cfg("find.cfg")
    save_weights(network, "find.weights")
    assert main(DEMO) == 0
    assert main([*DEMO, *ALEXEYAB, "-out_filename", "out.avi"]) == 0
    assert len(frames_of("out.avi")[0]) == FRAMES

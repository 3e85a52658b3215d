"""Downloads from a server on this machine that breaks in every way; nothing else is contacted."""

import hashlib
import json
import os
import re
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT

from darknet_py.cli import main
from darknet_py.download import Model, fetch, find_model, locate, models
from darknet_py.errors import DarknetError
from darknet_py.files import packaged
from darknet_py.network import Network
from darknet_py.table import weights_bytes
from darknet_py.weights import save_weights

pytest.importorskip("pooch", reason="needs the extra download")
HEADER = b"\0\0\0\0\2\0\0\0\0\0\0\0" + bytes(8)
FILE = HEADER + np.random.RandomState(3).bytes(700_000)
SHA = "sha256:" + hashlib.sha256(FILE).hexdigest()
OTHER = HEADER + bytes(700_000)
STEP = 6 * 2**14  # what arrives before a connection breaks off
PAGE = b"<!DOCTYPE html>\n<html><head><title>Survival strategies</title></head></html>"


class Handler(BaseHTTPRequestHandler):
    """Answers by the first part of the path: /drop/tiny.weights."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        way = self.path.split("/")[1]
        span = self.headers.get("Range")
        self.server.asked.append((way, span))
        getattr(self, way)(int(re.match(r"bytes=(\d+)-", span)[1]) if span else 0)

    def whole(self, start, data=FILE):
        self.give(206 if start else 200, data[start:], {"Content-Range": self.span(start, data)})

    def no_range(self, start):
        self.give(200, FILE)

    def missing(self, start):
        self.give(404, PAGE, {"Content-Type": "text/html"})

    def html(self, start):
        self.give(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})

    def quiet_html(self, start):  # says that it is a file, as long as the true one
        self.give(200, PAGE.ljust(len(FILE)))

    def lfs(self, start):
        self.give(200, b"version https://git-lfs.github.com/spec/v1\n".ljust(len(FILE)))

    def truncated(self, start):
        self.whole(start, FILE[:300_000])

    def chunked_truncated(self, start):
        self.begin(200, {"Connection": "close"})
        self.wfile.write(FILE[:300_000])
        self.close_connection = True

    def endless(self, start):
        self.begin(200, {"Connection": "close"})
        self.wfile.write(FILE + FILE)
        self.close_connection = True

    def wrong(self, start):
        self.whole(start, OTHER)

    def drop(self, start):
        """Some bytes at a time."""
        self.begin(206 if start else 200, {"Content-Range": self.span(start), **self.rest(start)})
        self.wfile.write(FILE[start : start + STEP])
        self.close_connection = True

    def stuck(self, start):
        """Always at the same place."""
        self.begin(206 if start else 200, {"Content-Range": self.span(start), **self.rest(start)})
        self.wfile.write(FILE[start : 2 * STEP])
        self.close_connection = True

    def slow(self, start):
        self.begin(206 if start else 200, {"Content-Range": self.span(start), **self.rest(start)})
        self.wfile.write(FILE[start:STEP])
        self.wfile.flush()
        self.server.stop.wait(5)
        self.close_connection = True

    def silent(self, start):
        self.server.stop.wait(5)
        self.close_connection = True

    def unavailable(self, start):
        self.give(503, b"later")

    def moved(self, start):
        self.give(302, b"", {"Location": "/whole/tiny.weights"})

    def give(self, status, data, headers=()):
        self.begin(status, {"Content-Length": str(len(data)), **dict(headers)})
        self.wfile.write(data)

    def begin(self, status, headers):
        self.send_response(status)
        for name, value in {"Content-Type": "application/octet-stream", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def span(self, start, data=FILE):
        return f"bytes {start}-{len(data) - 1}/{len(data)}"

    def rest(self, start):
        return {"Content-Length": str(len(FILE) - start)}

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def host():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.stop, server.daemon_threads = [], threading.Event(), True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.stop.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ask(host, tmp_path, monkeypatch):
    """Fetches from the ways that are named, in that order."""
    monkeypatch.delenv("DARKNET_PY_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    host.asked.clear()
    base = f"http://127.0.0.1:{host.server_port}"

    def ask(*ways, hash=SHA, **options):
        urls = tuple(f"{base}/{way}/tiny.weights" for way in ways)
        model = Model("tiny", "classify", "cfg/tiny.cfg", "tiny.weights", len(FILE), urls, hash)
        options = {"timeout": 0.4, "pause": 0, **options}
        return fetch(model, tmp_path, **options)

    ask.folder, ask.host = tmp_path, host
    return ask


@pytest.mark.parametrize("hash", [SHA, None, "md5:" + hashlib.md5(FILE).hexdigest()])
@pytest.mark.parametrize("way", ["whole", "no_range", "moved", "drop"])
def test_the_file_arrives(ask, way, hash):
    path = ask(way, hash=hash)
    assert path == ask.folder / "tiny.weights"
    assert path.read_bytes() == FILE
    assert [p.name for p in ask.folder.iterdir()] == ["tiny.weights"]
    count = len(ask.host.asked)
    assert ask(way) == path
    assert len(ask.host.asked) == count  # from the cache


def test_what_breaks_off_goes_on(ask):
    told = []
    ask("drop", progress=lambda done, total: told.append((done, total)))
    starts = [span for _, span in ask.host.asked]
    assert starts == [None, *(f"bytes={n * STEP}-" for n in range(1, 8))]
    assert told == sorted(told) and told[-1] == (len(FILE), len(FILE))


BAD = {
    "missing": "answers 404 Not Found",
    "unavailable": "answers 503 Service Unavailable",
    "html": "gives a web page",
    "quiet_html": "gives a web page",
    "lfs": "gives a Git LFS pointer",
    "truncated": "has a file of 300,000 bytes, not 700,020",
    "chunked_truncated": "ends after 300,000 of 700,020 bytes",
    "endless": "has a file of more than 700,020 bytes",
    "stuck": "breaks off after 196,608 of 700,020 bytes",
    "wrong": "gives another file: its sha256 is not the one known",
    "slow": "sends nothing for 0.4 seconds",
    "silent": "sends nothing for 0.4 seconds",
}


@pytest.mark.parametrize("way", BAD)
def test_what_is_wrong_is_one_line_and_nothing_is_left(ask, way):
    with pytest.raises(DarknetError) as raised:
        ask(way)
    target = ask.folder / "tiny.weights"
    assert str(raised.value) == (
        f"tiny.weights: cannot be downloaded: 127.0.0.1 {BAD[way]} (a copy from elsewhere belongs "
        f"at {target})"
    )
    assert not target.exists()
    left = {p.name for p in ask.folder.iterdir()}
    assert left <= {"tiny.weights.part"}  # what the next try goes on with


@pytest.mark.parametrize("way", BAD)
def test_the_next_mirror_is_tried(ask, way):
    assert ask(way, "whole").read_bytes() == FILE
    assert [p.name for p in ask.folder.iterdir()] == ["tiny.weights"]


def test_a_host_that_is_not_there(ask):
    model = Model("m", "detect", "cfg/tiny.cfg", "m.weights", 20, ("http://127.0.0.1:9/m",))
    with pytest.raises(DarknetError, match=r"downloaded: 127\.0\.0\.1 cannot be reached \(a copy"):
        fetch(model, ask.folder, timeout=1, pause=0)


def test_every_mirror_is_named(ask):
    with pytest.raises(DarknetError, match=r"1 answers 404 Not Found; 127\.0\.0\.1 gives a web"):
        ask("missing", "html")


def test_a_later_run_goes_on_where_an_earlier_one_broke_off(ask):
    with pytest.raises(DarknetError):
        ask("stuck")
    part = ask.folder / "tiny.weights.part"
    assert part.stat().st_size == 2 * STEP
    ask.host.asked.clear()
    assert ask("whole").read_bytes() == FILE
    assert ask.host.asked == [("whole", "bytes=196608-")]
    assert not part.exists()


@pytest.mark.parametrize("size", [5, 300_000, 900_000])
@pytest.mark.parametrize("way", ["whole", "no_range"])
def test_the_beginning_of_another_file_is_given_up(ask, size, way):
    (ask.folder / "tiny.weights.part").write_bytes(b"\7" * size)
    assert ask(way).read_bytes() == FILE


def test_a_download_that_was_killed_is_taken_over(ask):
    part = ask.folder / "tiny.weights.99999999.part"
    part.write_bytes(FILE[:50_000])
    ask("whole")
    assert part.exists()  # of somebody who may still write
    (ask.folder / "tiny.weights").unlink()
    ask.host.asked.clear()
    os.utime(part, (time.time() - 1000,) * 2)
    ask("whole")
    assert ask.host.asked == [("whole", "bytes=50000-")]


def test_a_file_of_another_size_is_left_alone(ask):
    target = ask.folder / "tiny.weights"
    target.write_bytes(b"mine")
    with pytest.raises(DarknetError, match=r"has 4 bytes, tiny has 700,020; move it away"):
        ask("whole")
    assert target.read_bytes() == b"mine"


def test_an_old_header_is_four_bytes_shorter(ask):
    target = ask.folder / "tiny.weights"
    target.write_bytes(FILE[4:])
    assert ask("whole") == target


def test_a_folder_that_cannot_be(ask):
    (ask.folder / "file").write_text("")
    model = Model("m", "detect", "cfg/tiny.cfg", "m.weights", 20, ())
    with pytest.raises(DarknetError, match=r"m\.weights: cannot be written: "):
        fetch(model, ask.folder / "file" / "deep")


@pytest.mark.parametrize("name", models())
def test_the_table_fits_the_cfgs(name):
    model = find_model(name)
    assert packaged(model.cfg) is not None
    assert model.names is None or packaged(model.names) is not None
    assert all(url.startswith("https://") and url.endswith(model.weights) for url in model.urls)
    assert model.urls and len(set(model.urls)) == len(model.urls)
    if model.hash is not None:
        kind, _, value = model.hash.partition(":")
        assert len(value) == {"sha1": 40, "sha256": 64, "sha512": 128}[kind]


@pytest.mark.parametrize("name", ["yolov2-tiny", "yolov3-tiny", "yolov4-tiny", "tiny", "go"])
def test_sizes_are_counted_from_the_cfgs(name):
    model = find_model(name)
    network = Network.from_cfg(ROOT / model.cfg, initialize=False)
    assert weights_bytes(network) == model.bytes


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::darknet_py.DarknetWarning")
@pytest.mark.parametrize("name", models())
def test_every_size_is_counted_from_its_cfg(name):
    model = find_model(name)
    network = Network.from_cfg(ROOT / model.cfg, initialize=False)
    arrays = [array for index, _, array in network.arrays() if index < (model.layers or 9999)]
    assert 20 + 4 * sum(array.numel() for array in arrays) == model.bytes


def test_an_unknown_name_is_told_its_neighbour():
    with pytest.raises(DarknetError, match=r"^yolo4: is no file and no .* did you mean yolov4\?$"):
        locate("yolo4")
    assert find_model("yolov4.weights") is models()["yolov4"]


@pytest.mark.parametrize(
    "line",
    [
        "detect yolov4-tin dog.jpg",
        "detect yolov4-tin",
        "classify yolov4-tin dog.jpg",
        "convert yolov4-tin --to onnx",
        "download yolov4-tin",
    ],
)
def test_a_misspelt_name_is_told_its_neighbour_by_every_command(line, capsys):
    assert main(line.split()) == 1
    message = "yolov4-tin: is no file and no model that can be downloaded; did you mean "
    assert capsys.readouterr() == ("", f"darknet-py: {message}yolov4-tiny?\n")


@pytest.fixture
def tiny(ask, monkeypatch):
    """yolov3-tiny with weights that the local server's cache stands for; its folder."""
    model = models()["yolov3-tiny"]
    network = Network.from_cfg(ROOT / model.cfg)
    save_weights(network, ask.folder / model.weights)
    monkeypatch.setenv("DARKNET_PY_CACHE", str(ask.folder))
    monkeypatch.chdir(ask.folder)
    return ask.folder


def test_a_name_stands_for_cfg_weights_and_names(tiny):
    from darknet_py import Detector

    detector = Detector.load("yolov3-tiny")
    assert detector.classes == 80 and detector.names[0] == "person"
    with pytest.raises(DarknetError, match=r"^yolov3-tiny\.weights: its \.weights file must be gi"):
        Detector.load("yolov3-tiny.weights")


def test_a_classifier_by_name(ask, monkeypatch):
    from darknet_py import Classifier

    network = Network.from_cfg(ROOT / "cfg/tiny.cfg")
    save_weights(network, ask.folder / "tiny.weights")
    monkeypatch.setenv("DARKNET_PY_CACHE", str(ask.folder))
    assert Classifier.load("tiny").names[14]
    with pytest.raises(DarknetError, match=r"^tinny: is no file and no model that can"):
        Classifier.load("tinny")


def test_detect_takes_a_name(tiny, capsys):
    picture = ROOT / "data/signs.jpg"
    assert main(["detect", "yolov3-tiny", str(picture)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{picture}: Predicted in ")
    assert f"Loading weights from {tiny / 'yolov3-tiny.weights'}...Done!" in err
    assert Path("predictions.jpg").exists()


def test_convert_takes_a_name(tiny, capsys):
    pytest.importorskip("safetensors", reason="needs the extra safetensors")
    assert main(["convert", "yolov3-tiny", "--to", "safetensors", "--no-verify"]) == 0
    assert Path("yolov3-tiny.safetensors").exists()


def test_download_prints_where_the_file_is(ask, monkeypatch, capsys):
    known = dict(models())
    model = replace(known["tiny"], urls=(), bytes=len(FILE), hash=SHA)
    monkeypatch.setattr("darknet_py.download.models", lambda: {"tiny": model})
    monkeypatch.setenv("DARKNET_PY_CACHE", str(ask.folder / "cache"))
    monkeypatch.setenv("DARKNET_PY_MIRROR", f"http://127.0.0.1:{ask.host.server_port}/whole/")
    assert main(["download", "tiny"]) == 0
    assert capsys.readouterr() == (f"{ask.folder / 'cache' / 'tiny.weights'}\n", "")
    assert main(["download", "tiny", "-out", str(ask.folder / "here")]) == 0
    assert (ask.folder / "here" / "tiny.weights").read_bytes() == FILE
    assert main(["download", "tin"]) == 1
    assert "did you mean tiny?" in capsys.readouterr().err
    assert main(["download"]) == 2


def test_the_list_names_every_model(tiny, capsys):
    assert main(["download", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(models())
    (line,) = (line for line in lines if line.startswith("yolov3-tiny "))
    assert line.split() == ["yolov3-tiny", "detect", "35.4", "MB", "sha256", "here"]


def test_no_pooch_is_one_line(ask, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("DARKNET_PY_CACHE", str(ask.folder / "cache"))
    assert main(["download", "tiny"]) == 1
    expected = "darknet-py: needs the package pooch: pip install 'darknet-py[download]'\n"
    assert capsys.readouterr().err == expected
    assert not (ask.folder / "cache").exists()


def test_the_table_is_readable():
    text = (ROOT / "darknet_py/models.json").read_text()
    assert set(json.loads(text)) == {"hosts", "models"}

import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pytest
import torch
from helpers import ROOT, build, ramp

from darknet_py import Network
from darknet_py.convert import Options, convert_network
from darknet_py.convert.proof import noise, output_indices
from darknet_py.convert.standalone import write_program
from darknet_py.errors import DarknetError, DarknetWarning

BODY = """[convolutional]
filters=4
size=3
pad=1
batch_normalize=1
activation=leaky
[maxpool]
size=2
stride=1
[shortcut]
from=-2
activation=stair
[connected]
output=5
activation=linear
"""
QUICK = ["tiny", "yolov3-tiny", "yolov4-tiny", "yolov7-tiny", "efficientnet_b0", "yolov2-tiny-voc"]
LARGE = {
    "Gaussian_yolov3_BDD": 160,
    "csresnext50-panet-spp": 160,
    "darknet53": 160,
    "densenet201": 160,
    "enet-coco": 160,
    "resnet50": 160,
    "yolo9000": 160,
    "yolov1": None,
    "yolov2": 160,
    "yolov3": 160,
    "yolov4": 160,
    "yolov4-csp": 160,
    "yolov7": 160,
}
"""Each with the size it is run at; None: the cfg's."""

RUN = """
import importlib, sys, torch
sys.modules["darknet_py"] = None
sys.path.insert(0, ".")
kind = getattr(importlib.import_module("net"), sys.argv[1])
network = kind()
network.load_state_dict(torch.load("net.pt", weights_only=True))
x, wanted = torch.load("expected.pt", weights_only=True)
with torch.inference_mode():
    outputs = network.eval()(x)
outputs = outputs if isinstance(outputs, list) else [outputs]
for ours, theirs in zip(wanted, outputs, strict=True):
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-5)
print("equal")
"""


def fails(message):
    return pytest.raises(DarknetError, match=f"^{re.escape(message)}$")


@torch.no_grad()
def shipped(name, size=None):
    """A shipped cfg with weights that keep the values of all layers within bounds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DarknetWarning)
        network = Network.from_cfg(ROOT / "cfg" / f"{name}.cfg")
    if size is not None:
        network.resize(size, size)
    draw = torch.Generator().manual_seed(1)
    for _, array, tensor in network.arrays():
        kind = array.rpartition(".")[2]
        if kind in ("scales", "rolling_variance"):
            tensor.copy_(torch.rand(tensor.shape, generator=draw) * 0.2 + 0.4)
        elif kind != "weights":
            tensor.copy_(torch.rand(tensor.shape, generator=draw) * 0.2 - 0.1)
    return network


def run_alone(network, tmp_path):
    """Write `net.py`, and run it where darknet_py cannot be imported."""
    options = Options(standalone=True, verify=False)
    convert_network(network, "torch", tmp_path / "net.pt", options=options)
    x = noise(network, batch=2)
    with torch.inference_mode():
        torch.save((x, network.run(x, output_indices(network))), tmp_path / "expected.pt")
    done = subprocess.run(
        [sys.executable, "-I", "-c", RUN, "Net"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout == "equal\n", done.stderr[-2000:]


@pytest.mark.parametrize("name", QUICK)
def test_standalone_files_run_without_darknet_py(name, tmp_path):
    run_alone(shipped(name, 96), tmp_path)


@pytest.mark.golden
@pytest.mark.parametrize("name", LARGE)
def test_large_standalone_files_run_without_darknet_py(name):
    with tempfile.TemporaryDirectory() as folder:  # gone at once: the files are large
        run_alone(shipped(name, LARGE[name]), Path(folder))


def test_a_standalone_file_reads_well():
    text = write_program(build(BODY), "my-net", "my-net.pt").text
    assert "import darknet" not in text
    body = text[text.index("class MyNet(nn.Module):") :]
    assert (
        body
        == '''class MyNet(nn.Module):
    """The network of test.cfg.

    Input `(batch, 3, 5, 7)`, RGB from 0 to 1; the output of layer [connected] 3.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = Conv(3, 4, 3, padding=1, activation=nn.LeakyReLU(0.1))
        self.pool1 = MaxPool(2, 1, 1)
        self.linear3 = Linear(140, 5)

    def forward(self, x: Tensor) -> Tensor:
        x0 = self.conv0(x)  # 0: 4 x 5 x 7
        x = self.pool1(x0)  # 1: 4 x 5 x 7
        x = stair(x + x0)  # 2: 4 x 5 x 7
        x = self.linear3(x)  # 3: 5 x 1 x 1
        return x
'''
    )
    assert set(re.findall(r"^(?:class|def) (\w+)", text, re.M)) == {
        "Conv",
        "Linear",
        "MaxPool",
        "MyNet",
        "stair",
    }


def test_verify_runs_the_standalone_file(tmp_path):
    lines = []
    options = Options(standalone=True, report=lines.append)
    convert_network(build(BODY), "torch", tmp_path / "net.py", options=options)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net.pt", "net.py"]
    assert len(lines) == 1
    assert re.match(r"layer 3 \[connected\]: largest difference \S+ of values up to \S+$", lines[0])


def test_a_standalone_file_replaces_nothing(tmp_path):
    (tmp_path / "net.py").write_text("mine")
    with fails(f"{tmp_path / 'net.py'}: exists already (--force replaces it)"):
        convert_network(build(BODY), "torch", tmp_path / "net.pt", options=Options(standalone=True))
    assert [file.name for file in tmp_path.iterdir()] == ["net.py"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("[gru]\noutput=3\n", "the layer remembers from call to call"),
        ("[convolutional]\nxnor=1\n", "xnor=1 makes its weights and inputs binary"),
        ("[upsample]\nstride=-2\n", "a negative stride sums blocks of pixels"),
        (
            "[reorg]\nreverse=1\nstride=1\n",
            "only the plain direction, blocks into channels, is written",
        ),
    ],
)
def test_layers_that_cannot_be_written_say_why(body, reason, tmp_path):
    network = build(body)
    kind = network.sections[1].type
    with fails(f"test.cfg:5: [{kind}]: cannot be written as a standalone file: {reason}"):
        convert_network(network, "torch", tmp_path / "a.pt", options=Options(standalone=True))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
@pytest.mark.parametrize("variance", [0.0, 1e-9, 1e-5, 0.3])
def test_batch_norm_at_torchs_epsilon(dialect, variance):
    network = build("[batchnorm]\n", dialect=dialect)
    normalizer = network[0].normalizer
    normalizer.rolling_variance.fill_(variance)
    scales, moved = normalizer.at_epsilon(1e-5)
    assert (moved >= 0).all()
    ours = normalizer.rolling_variance.double()
    deviation = ours.sqrt() + 1e-6 if dialect == "pjreddie" else (ours + 1e-5).sqrt()
    expected = normalizer.scales.double() / deviation
    torch.testing.assert_close(
        scales.double() / (moved.double() + 1e-5).sqrt(), expected, rtol=1e-6, atol=0
    )


def test_the_state_dict_loads_with_weights_only(tmp_path):
    network = build(BODY)
    network.version, network.seen = (0, 1, 7), 99
    path = convert_network(network, "torch", tmp_path / "a.pt")
    state = torch.load(path, weights_only=True)
    assert state["_extra_state"]["darknet_dialect"] == "pjreddie"
    twin = build(BODY)
    twin.load_state_dict(state)
    assert (twin.version, twin.seen) == ((0, 1, 7), 99)
    x = ramp(2, 3, 5, 7)
    assert torch.equal(twin.run(x)[0], network.run(x)[0])


def test_torchs_own_state_dict_goes_back_too(tmp_path):
    from darknet_py.convert import convert
    from darknet_py.weights import save_weights

    network = build(BODY)
    torch.save(network.state_dict(), tmp_path / "a.pt")
    save_weights(network, tmp_path / "a.weights")
    convert(tmp_path / "a.pt", None, "weights", tmp_path / "b.weights")
    assert (tmp_path / "a.weights").read_bytes() == (tmp_path / "b.weights").read_bytes()


@pytest.mark.parametrize("name", ["tiny", "yolov4-tiny"])
def test_exported_programs_take_any_batch(name, tmp_path):
    network = shipped(name)
    path = convert_network(network, "exported", tmp_path / "a.pt2")
    texts = {"darknet.json": ""}
    program = torch.export.load(path, extra_files=texts).module()
    assert '"darknet_cfg"' in texts["darknet.json"]
    for batch in (1, 4):
        x = noise(network, batch)
        with torch.inference_mode():
            expected = network.run(x, output_indices(network))
            for ours, theirs in zip(expected, program(x), strict=True):
                torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=1e-6)


def test_a_network_that_remembers_is_not_exported(tmp_path):
    message = (
        "test.cfg:5: [gru]: cannot be written as a program of torch.export: the layer remembers "
        "from call to call"
    )
    with fails(message):
        convert_network(build("[gru]\noutput=3\n"), "exported", tmp_path / "a.pt2")
    with fails("--to exported writes 32 bit floats only, no half precision"):
        convert_network(build(BODY), "exported", tmp_path / "a.pt2", options=Options(half=True))


NO_ROOM = {
    "torch": ".pt",
    "exported": ".pt2",
    "onnx": ".onnx",
    "openvino": ".xml",
    "safetensors": ".safetensors",
    "weights": ".weights",
}


@pytest.mark.parametrize("to", NO_ROOM)
def test_no_room(to, tmp_path):
    """A limit on the size of files stands in for a full disk; and what a full disk says."""
    for package in {"openvino": ("onnx", to), "onnx": (to,), "safetensors": (to,)}.get(to, ()):
        pytest.importorskip(package, reason=f"needs the package {package}")
    code = f"""
import collections, resource, shutil, signal, sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from helpers import build
from darknet_py.convert import convert_network
network = build("[connected]\\noutput=2000\\n", shape=(900,))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
full = collections.namedtuple("usage", "total used free")(1 << 20, 1 << 20, 0)
for usage in (shutil.disk_usage, lambda path: full):
    shutil.disk_usage = usage
    try:
        convert_network(network, {to!r}, sys.argv[1])
    except Exception as error:
        print(type(error).__name__, error)
"""
    path = tmp_path / f"a{NO_ROOM[to]}"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=ROOT
    )
    start = f"WriteError {path}: cannot be written: "
    assert done.returncode == 0 and done.stdout.startswith(start), done
    assert done.stdout.splitlines()[1:] == [f"{start}No space left on device"]
    assert list(tmp_path.iterdir()) == []

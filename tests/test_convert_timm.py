import re
import subprocess
import sys

import pytest
import torch
from helpers import ROOT, build
from test_convert_torch import shipped
from timm_alone import SPEC

from darknet_py import Network, load_weights, save_weights
from darknet_py.cfg import format_cfg
from darknet_py.convert import Options, convert_network
from darknet_py.convert.proof import noise
from darknet_py.convert.timm import find_model
from darknet_py.errors import CfgError

RUN = """
import sys
sys.path.insert(0, sys.argv[1])
import timm_alone
import torch
from functools import partial
from torch import nn
from timm.models import cspnet
activation = {"darknet53": partial(nn.LeakyReLU, negative_slope=0.1), "cspdarknet53": nn.Mish}
model = getattr(cspnet, sys.argv[2])(num_classes=1000, act_layer=activation[sys.argv[2]])
model.load_state_dict(torch.load("a.pth", weights_only=True))
x, expected = torch.load("expected.pt", weights_only=True)
with torch.inference_mode():
    scores = model.eval()(x)
torch.testing.assert_close(scores.softmax(1), expected, rtol=1e-3, atol=1e-4)
print(f"{float((scores.softmax(1) - expected).abs().max()):.1e}")
"""


@pytest.mark.skipif(SPEC is None, reason="needs the package timm")
@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
@pytest.mark.parametrize("name", ["darknet53", "cspdarknet53"])
def test_timm_gives_the_same_probabilities(name, dialect, tmp_path):
    if (name, dialect) == ("cspdarknet53", "pjreddie"):
        return  # Mish is AlexeyAB's alone
    network = shipped(name, 96)
    if dialect == "alexeyab" and network.dialect.name != dialect:
        twin = Network(network.sections, dialect)
        save_weights(network, tmp_path / "a.weights")
        load_weights(twin, tmp_path / "a.weights")
        twin.resize(96, 96)
        network = twin
    convert_network(network, "timm", tmp_path / "a.pth", options=Options(verify=False))
    x = noise(network, batch=2)
    with torch.inference_mode():
        torch.save((x, network.run(x)[0]), tmp_path / "expected.pt")
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(ROOT / "tests"), name],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert re.match(r"[\d.]+e-\d+\n$", done.stdout), done.stderr[-2000:]
    assert float(done.stdout) < 1e-4


def test_the_call_for_timm_is_told(tmp_path):
    lines = []
    network = shipped("darknet53", 96)
    convert_network(
        network,
        "timm",
        tmp_path / "a.pth",
        options=Options(verify=False, report=lines.append),
    )
    assert lines == [
        'timm.create_model("darknet53", num_classes=1000, act_layer=partial(nn.LeakyReLU, '
        'negative_slope=0.1), checkpoint_path="a.pth")'
    ]


def test_other_classes_are_taken():
    text = format_cfg(shipped("darknet53").sections).replace("filters=1000", "filters=7")
    body = text[text.index("[convolutional]") :]
    assert find_model(build(body, shape=(3, 64, 96))) == "darknet53"


def test_other_networks_are_refused(tmp_path):
    message = (
        "test.cfg: is neither of the classifiers that timm has, Darknet-53 and CSPDarknet-53 "
        "(cfg/darknet53.cfg, cfg/cspdarknet53.cfg)"
    )
    with pytest.raises(CfgError, match=f"^{re.escape(message)}$"):
        convert_network(build("[convolutional]\n"), "timm", tmp_path / "a.pth")
    assert list(tmp_path.iterdir()) == []

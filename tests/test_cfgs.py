"""The packaged cfgs: what they weigh, what they are compared with, what they compute."""

from __future__ import annotations

import dataclasses
import re
import runpy
import subprocess
import warnings
from pathlib import Path

import pytest
import torch
from golden import GOLDEN, Golden, replay
from helpers import ROOT, assert_close, ramp
from packaged import (
    CFG,
    FLOATS,
    NAMES,
    PUBLISHED,
    billions,
    packaged_network,
    published_parameters,
    trained,
)

import darknet_py
from darknet_py.augment import AugmentOptions
from darknet_py.cfg import find_file, read_cfg
from darknet_py.dialect import get_dialect
from darknet_py.network import Network, find_dialect
from darknet_py.options import parse_options
from darknet_py.schedule import ScheduleOptions
from darknet_py.weights import count_floats


def original_of(name: str) -> Path | None:
    """The cfg of this name that C ships, pjreddie's if both forks have one."""
    paths = [GOLDEN / fork / "cfg" / f"{name}.cfg" for fork in ("pjreddie", "alexeyab")]
    return next((path for path in paths if path.is_file()), None)


def golden_of(name: str) -> Golden | None:
    """What C computed for that cfg."""
    original = original_of(name)
    path = original.parent.parent / f"{name}.json" if original else None
    return Golden(path) if path and path.with_suffix(".npz").is_file() else None


@pytest.mark.parametrize("name", NAMES)
def test_weights_file_has_the_known_size(name):
    network = packaged_network(name)
    assert name in FLOATS or name in PUBLISHED
    if name in FLOATS:
        assert count_floats(network) == FLOATS[name]


@pytest.mark.parametrize("name", NAMES)
def test_header_states_source_and_figures(name):
    text = (CFG / f"{name}.cfg").read_text()
    header = " ".join(re.findall(r"^# (.*)$", text, re.MULTILINE))
    network = packaged_network(name)
    assert f" {trained(network)} parameters" in header
    assert str(network.image) in header
    figure = re.search(r"([\d.]+) BFLOPs", header)
    assert (figure[1] if figure else "0.000") == f"{billions(network):.3f}"
    assert re.search(r'Source: (.*"|https://)', header)


@pytest.mark.parametrize("name", NAMES)
def test_files_named_are_packaged(name):
    for section in read_cfg(CFG / f"{name}.cfg"):
        for key in {"tree", "map"} & section.options.keys():
            assert find_file(section.options[key].value, section.path).is_file()


@pytest.mark.parametrize("name", [n for n in NAMES if original_of(n)])
def test_means_what_the_original_means(name):
    path = original_of(name)
    dialect = get_dialect(path.parent.parent.name)
    ours = packaged_network(name)
    assert ours.dialect is dialect
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", darknet_py.DarknetWarning)
        original = Network.from_cfg(path, dialect, initialize=False)
        for schema in (ScheduleOptions, AugmentOptions):
            expected = parse_options(schema, original.sections[0], dialect, type(original.net))
            actual = parse_options(schema, ours.sections[0], dialect, type(ours.net))
            assert actual == expected
    wide, high = ours.image.width, ours.image.height
    if wide > 700:  # there the original is kept with a smaller size written in
        ours = Network.from_cfg(CFG / f"{name}.cfg", initialize=False)
        ours.resize(original.image.height, original.image.width)
        original_net = dataclasses.replace(original.net, width=wide, height=high)
    else:
        original_net = original.net
    assert ours.net == original_net
    assert len(ours) == len(original)
    for mine, theirs in zip(ours, original, strict=True):
        assert type(mine) is type(theirs), mine.index
        assert mine.options == theirs.options, mine.index
        assert mine.sources == theirs.sources, mine.index
        assert mine.out_shape == theirs.out_shape, mine.index
        shapes = [(array, tensor.shape) for array, tensor in mine.arrays()]
        assert shapes == [(array, tensor.shape) for array, tensor in theirs.arrays()], mine.index


@pytest.mark.parametrize("name", PUBLISHED)
def test_classic_network_has_the_published_size(name):
    paper = PUBLISHED[name]
    assert abs(published_parameters(name) - paper.parameters) <= paper.parameter_tolerance
    if paper.operations is not None:
        multiplications = billions(packaged_network(name)) * 5e8
        assert abs(multiplications - paper.operations) <= paper.operation_tolerance


@pytest.mark.parametrize("name", PUBLISHED)
def test_classic_network_runs(name):
    network = Network.from_cfg(CFG / f"{name}.cfg")
    network.resize(96, 64)
    with torch.inference_mode():
        (answer,) = network.run(ramp(2, 3, 96, 64))
    assert_close(answer.flatten(1).sum(1), torch.ones(2))
    assert answer.flatten(1).shape == (2, 1000)


def test_the_page_of_models_is_fresh():
    page = runpy.run_path(str(ROOT / "docs" / "generate_models.py"))["page"]()
    assert (ROOT / "docs" / "models.md").read_text() == page, "run `make docs`"


def replay_ours(name: str) -> None:
    """Run our cfg on C's weights and input."""
    golden = golden_of(name)

    class Ours(Golden):
        def network(self) -> Network:
            network = Network.from_cfg(CFG / f"{name}.cfg", self.json["fork"], initialize=False)
            net = self.json["net"]
            if net["w"] not in (0, network.image.width):
                network.resize(net["h"], net["w"])
            return network

    replay(Ours(golden.path))


DARKNET = Path("/usr/bin/darknet")  # Debian's, which is pjreddie's
READ_BY_C = [
    pytest.param(name, marks=[] if FLOATS.get(name, 0) < 5e6 else pytest.mark.golden)
    for name in NAMES
    if find_dialect(read_cfg(CFG / f"{name}.cfg")).name == "pjreddie"
]
QUICK = ("tiny", "gru", "yolov4-tiny", "yolov3-tiny")
WITH_GOLDEN = [name for name in NAMES if golden_of(name)]


@pytest.mark.parametrize("name", [n for n in WITH_GOLDEN if n in QUICK])
def test_computes_what_c_computes(name):
    replay_ours(name)


@pytest.mark.skipif(not DARKNET.exists(), reason="the C program is not installed")
@pytest.mark.parametrize("name", READ_BY_C)
def test_c_reads_it_and_prints_the_same_table(name):
    command = [DARKNET, "ops", CFG / f"{name}.cfg"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert "Unused field" not in told
    told = re.sub(r"\w+: Using default .*\n", "", told).split("input                output\n")[1]
    table = [line.rstrip() for line in told.splitlines()]
    network = packaged_network(name)
    rows = "\n".join(f"{index:5d} {layer.row()}" for index, layer in enumerate(network))
    ours = [line.rstrip() for line in rows.splitlines()]
    assert table[: len(ours)] == ours


@pytest.mark.golden
@pytest.mark.parametrize("name", [n for n in WITH_GOLDEN if n not in QUICK])
def test_large_network_computes_what_c_computes(name):
    replay_ours(name)

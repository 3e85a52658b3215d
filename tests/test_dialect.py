"""Which fork a cfg is found to be of."""

import warnings
from pathlib import Path

import pytest
from helpers import SHARED

from darknet_py.cfg import parse_cfg, read_cfg
from darknet_py.network import find_dialect

INSTALLED = Path("/usr/share/darknet/cfg")
ALEXEYAB = SHARED / "golden" / "alexeyab" / "cfg"

AMBIGUOUS = {"gru", "rnn", "rnn.train"}
"""AlexeyAB's cfgs of text layers, which might be pjreddie's as well (docs/recurrent.md)."""


def found(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return find_dialect(read_cfg(path)).name


@pytest.mark.skipif(not INSTALLED.is_dir(), reason="the package darknet is missing")
def test_all_of_pjreddies_cfgs_are_his():
    paths = sorted(INSTALLED.glob("*.cfg"))
    assert len(paths) > 40
    assert [path.name for path in paths if found(path) != "pjreddie"] == []


@pytest.mark.skipif(not ALEXEYAB.is_dir(), reason="shared/golden is missing")
@pytest.mark.parametrize("name", ["yolov4", "yolov7-tiny", "enet-coco", "crnn.train"])
def test_cfgs_with_what_only_alexeyab_reads_are_his(name):
    assert found(ALEXEYAB / f"{name}.cfg") == "alexeyab"


@pytest.mark.skipif(not ALEXEYAB.is_dir(), reason="shared/golden is missing")
@pytest.mark.parametrize("name", sorted(AMBIGUOUS))
def test_cfgs_without_a_sign_are_pjreddies(name):
    assert found(ALEXEYAB / f"{name}.cfg") == "pjreddie"


def test_hidden_alone_is_no_sign_of_alexeyab():
    body = "[net]\ninputs=6\n[rnn]\noutput=4\nhidden=4\n"
    assert find_dialect(parse_cfg(body)).name == "pjreddie"
    assert find_dialect(parse_cfg(body + "logistic=1")).name == "alexeyab"

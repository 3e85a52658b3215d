"""What a converted model says of itself."""

import pytest

from darknet_py.errors import DarknetError
from darknet_py.metadata import Metadata

METADATA = Metadata(
    task="detect",
    cfg="[net]\nwidth=8\n",
    cfg_path="some.cfg",
    dialect="alexeyab",
    names=("a b", "é\n"),
    version="0.1.0",
    weights_header=(0, 2, 5, 2**40),
    input=(3, 5, 7),
    fit="squash",
    head="boxes",
    outputs=("boxes", "scores", "objectness"),
    thresh=0.24,
    anchors=((1.5, 2.0), (3.0, 4.0)),
    tree=(-1, 0),
    folded=False,
)


def test_comes_back_whole():
    texts = METADATA.to_dict()
    assert all(key.startswith("darknet_") for key in texts)
    assert texts["darknet_cfg"] == "[net]\nwidth=8\n"
    assert Metadata.from_dict({**texts, "author": "someone"}) == METADATA


def test_absence_is_named():
    with pytest.raises(DarknetError) as error:
        Metadata.from_dict({"author": "someone"}, "x.onnx")
    assert str(error.value) == (
        "x.onnx: carries no metadata of darknet-py: was it made by darknet-py convert?"
    )


def test_damage_is_named():
    texts = {**METADATA.to_dict(), "darknet_thresh": "0,5"}
    with pytest.raises(DarknetError, match="darknet_thresh is damaged"):
        Metadata.from_dict(texts, "x.onnx")

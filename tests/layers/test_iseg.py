import pytest
import torch
from helpers import assert_close, build, ramp

from darknet_py.errors import CfgError

BODY = "[iseg]\nclasses=3\nids=4"
SHAPE = (7, 5, 6)


def test_classes_are_squashed_and_embeddings_are_not():
    x = ramp(2, *SHAPE)
    network = build(BODY, SHAPE)
    (actual,) = network(x)
    assert_close(actual[:, :3], 1 / (1 + torch.exp(-x[:, :3])))
    assert_close(actual[:, 3:], x[:, 3:])
    assert network[0].row() == "iseg"


def test_wrong_filters_say_what_they_should_be():
    with pytest.raises(CfgError) as error:
        build("[iseg]\nclasses=80", SHAPE)
    expected = "filters=112 expected before [iseg] with 80 classes and 32 ids, got 7"
    assert str(error.value) == f"test.cfg:5: [iseg]: {expected}"

import pytest
from helpers import build, ramp

from darknet_py.errors import CfgError

YOLO = "[yolo]\nclasses=3\nnum=2\n[route]\nlayers=0\n"


def test_the_output_is_zero():
    x = ramp(2, 16, 3, 4)
    network = build("[contrastive]\nclasses=5", (16, 3, 4))
    (actual,) = network(x)
    assert actual.shape == x.shape
    assert not actual.any()
    assert network[0].row() == (
        "contrastive    4 x   3 x   1 x emb_size   16 x batch:    1  classes =    5, step =   12 "
    )


def test_a_yolo_layer_gives_the_classes():
    network = build(f"{YOLO}[contrastive]\nyolo_layer=-2\n[route]\nlayers=0", (16, 3, 4))
    assert network[2].row() == (
        "contrastive    4 x   3 x   2 x emb_size    8 x batch:    1  classes =    3, step =   24 "
        "\ndetection "
    )


def test_yolo_layer_must_be_a_yolo_layer():
    with pytest.raises(CfgError) as error:
        build(f"{YOLO}[contrastive]\nyolo_layer=-1", (16, 3, 4))
    expected = "yolo_layer=-1 must point to a [yolo] layer, layer 1 is [route]"
    assert str(error.value) == f"test.cfg:11: [contrastive]: {expected}"

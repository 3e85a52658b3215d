"""The table of sections: every name a cfg may use, and the layer it makes."""

from darknet_py.layers.avgpool import AvgPool
from darknet_py.layers.base import Budget, Head, Layer, Shape, Site
from darknet_py.layers.batchnorm import BatchNorm
from darknet_py.layers.connected import Connected
from darknet_py.layers.convolutional import Convolutional
from darknet_py.layers.local_avgpool import LocalAvgPool
from darknet_py.layers.maxpool import MaxPool
from darknet_py.layers.route import Route

SECTIONS: dict[str, type[Layer]] = {
    "avg": AvgPool,
    "avgpool": AvgPool,
    "batchnorm": BatchNorm,
    "conn": Connected,
    "connected": Connected,
    "conv": Convolutional,
    "convolutional": Convolutional,
    "local_avg": LocalAvgPool,
    "local_avgpool": LocalAvgPool,
    "max": MaxPool,
    "maxpool": MaxPool,
    "route": Route,
}

ALEXEYAB_SECTIONS: frozenset[str] = frozenset(
    {
        "local_avg",
        "local_avgpool",
    }
)
"""Sections that only AlexeyAB's fork reads: a cfg that has one is in that dialect."""

__all__ = ["ALEXEYAB_SECTIONS", "SECTIONS", "Budget", "Head", "Layer", "Shape", "Site"]

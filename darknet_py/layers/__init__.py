"""The table of sections: every name a cfg may use, and the layer it makes."""

from darknet_py.layers.activation import Activation
from darknet_py.layers.avgpool import AvgPool
from darknet_py.layers.base import Budget, Head, Layer, Shape, Site
from darknet_py.layers.batchnorm import BatchNorm
from darknet_py.layers.connected import Connected
from darknet_py.layers.contrastive import Contrastive
from darknet_py.layers.conv_lstm import ConvLSTM
from darknet_py.layers.convolutional import Convolutional
from darknet_py.layers.cost import Cost
from darknet_py.layers.crnn import CRNN
from darknet_py.layers.crop import Crop
from darknet_py.layers.deconvolutional import Deconvolutional
from darknet_py.layers.detection import Detection
from darknet_py.layers.dropout import Dropout
from darknet_py.layers.empty import Empty
from darknet_py.layers.gaussian_yolo import GaussianYolo
from darknet_py.layers.gru import GRU
from darknet_py.layers.history import History
from darknet_py.layers.implicit import Implicit
from darknet_py.layers.iseg import Iseg
from darknet_py.layers.l2norm import L2Norm
from darknet_py.layers.local import Local
from darknet_py.layers.local_avgpool import LocalAvgPool
from darknet_py.layers.logistic import Logistic
from darknet_py.layers.lstm import LSTM
from darknet_py.layers.maxpool import MaxPool
from darknet_py.layers.normalization import Normalization
from darknet_py.layers.region import Region
from darknet_py.layers.reorg import Reorg
from darknet_py.layers.reorg3d import Reorg3d
from darknet_py.layers.rnn import RNN
from darknet_py.layers.route import Route
from darknet_py.layers.sam import Sam
from darknet_py.layers.scale_channels import ScaleChannels
from darknet_py.layers.shortcut import Shortcut
from darknet_py.layers.shuffle import Shuffle
from darknet_py.layers.softmax import Softmax
from darknet_py.layers.upsample import Upsample
from darknet_py.layers.yolo import Yolo

SECTIONS: dict[str, type[Layer]] = {
    "activation": Activation,
    "avg": AvgPool,
    "avgpool": AvgPool,
    "batchnorm": BatchNorm,
    "conn": Connected,
    "connected": Connected,
    "contrastive": Contrastive,
    "conv": Convolutional,
    "conv_lstm": ConvLSTM,
    "convolutional": Convolutional,
    "cost": Cost,
    "crnn": CRNN,
    "crop": Crop,
    "deconv": Deconvolutional,
    "deconvolutional": Deconvolutional,
    "detection": Detection,
    "dropout": Dropout,
    "empty": Empty,
    "Gaussian_yolo": GaussianYolo,
    "gru": GRU,
    "history": History,
    "implicit": Implicit,
    "implicit_add": Implicit,
    "implicit_mul": Implicit,
    "iseg": Iseg,
    "l2norm": L2Norm,
    "local": Local,
    "local_avg": LocalAvgPool,
    "local_avgpool": LocalAvgPool,
    "logistic": Logistic,
    "lrn": Normalization,
    "lstm": LSTM,
    "max": MaxPool,
    "maxpool": MaxPool,
    "normalization": Normalization,
    "region": Region,
    "reorg": Reorg,
    "reorg3d": Reorg3d,
    "reorg_old": Reorg,
    "rnn": RNN,
    "route": Route,
    "sam": Sam,
    "scale_channels": ScaleChannels,
    "shortcut": Shortcut,
    "shuffle": Shuffle,
    "silence": Empty,
    "soft": Softmax,
    "softmax": Softmax,
    "upsample": Upsample,
    "yolo": Yolo,
}

ALEXEYAB_SECTIONS: frozenset[str] = frozenset(
    {
        "contrastive",
        "conv_lstm",
        "empty",
        "Gaussian_yolo",
        "history",
        "implicit",
        "implicit_add",
        "implicit_mul",
        "local_avg",
        "local_avgpool",
        "reorg3d",
        "reorg_old",
        "sam",
        "scale_channels",
        "silence",
    }
)
"""Sections that only AlexeyAB's fork reads: a cfg that has one is in that dialect."""

__all__ = ["ALEXEYAB_SECTIONS", "SECTIONS", "Budget", "Head", "Layer", "Shape", "Site"]

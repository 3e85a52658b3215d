"""A drop-in for scripts that read Darknet networks with OpenCV, whose version 5 no longer can.

`import darknet_py.opencv as cv2` in place of `import cv2`, or the names one by one:

>>> from darknet_py.opencv import readNetFromDarknet, blobFromImage
>>> net = readNetFromDarknet("yolov3.cfg", "yolov3.weights")
>>> net.setInput(blobFromImage(frame, 1 / 255, (416, 416), swapRB=True))
>>> rows = net.forward(net.getUnconnectedOutLayersNames())

See docs/from-opencv.md.
"""

from __future__ import annotations

from typing import Any

import cv2
from cv2.dnn import NMSBoxes, blobFromImage

from darknet_py.opencv import dnn
from darknet_py.opencv.errors import OpenCVError
from darknet_py.opencv.models import ClassificationModel, DetectionModel, Model
from darknet_py.opencv.net import Net
from darknet_py.opencv.reading import readNet, readNetFromDarknet

__all__ = [
    "ClassificationModel",
    "DetectionModel",
    "Model",
    "NMSBoxes",
    "Net",
    "OpenCVError",
    "blobFromImage",
    "dnn",
    "readNet",
    "readNetFromDarknet",
]

dnn_ClassificationModel = ClassificationModel
dnn_DetectionModel = DetectionModel
dnn_Model = Model
dnn_Net = Net


def __getattr__(name: str) -> Any:
    """A name of `cv2`."""
    return getattr(cv2, name)

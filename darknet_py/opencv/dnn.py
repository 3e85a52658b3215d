"""`cv2.dnn` with the Darknet parts that OpenCV 5 dropped; every other name is OpenCV's own."""

from __future__ import annotations

from typing import Any

import cv2

from darknet_py.opencv.models import ClassificationModel, DetectionModel, Model
from darknet_py.opencv.net import Net
from darknet_py.opencv.reading import readNet, readNetFromDarknet

__all__ = [
    "ClassificationModel",
    "DetectionModel",
    "Model",
    "Net",
    "readNet",
    "readNetFromDarknet",
]

# Numbers that OpenCV 5 may no longer have, though old scripts name them.
_GONE = {
    "DNN_BACKEND_HALIDE": 1,
    "DNN_BACKEND_INFERENCE_ENGINE": 2,
    "DNN_BACKEND_VKCOM": 4,
    "DNN_BACKEND_CUDA": 5,
    "DNN_TARGET_OPENCL": 1,
    "DNN_TARGET_OPENCL_FP16": 2,
    "DNN_TARGET_MYRIAD": 3,
    "DNN_TARGET_VULKAN": 4,
    "DNN_TARGET_FPGA": 5,
    "DNN_TARGET_CUDA": 6,
    "DNN_TARGET_CUDA_FP16": 7,
}


def __getattr__(name: str) -> Any:
    """A name of `cv2.dnn`."""
    if name in _GONE and not hasattr(cv2.dnn, name):
        return _GONE[name]
    return getattr(cv2.dnn, name)

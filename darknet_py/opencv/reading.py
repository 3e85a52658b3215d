"""`readNetFromDarknet` and `readNet`: files, or their bytes, to a `Net`."""

from __future__ import annotations

import io
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from darknet_py.cfg import read_cfg
from darknet_py.errors import DarknetError, DarknetWarning, WeightsError
from darknet_py.network import Network
from darknet_py.opencv.errors import as_opencv
from darknet_py.opencv.net import Net
from darknet_py.weights import load_weights

File = str | os.PathLike[str]
Buffer = bytes | bytearray | memoryview | np.ndarray
_OPENCV_KEYS = r".*\[yolo\]: unknown key '(nms_threshold|thresh)'"


@as_opencv
def readNetFromDarknet(cfgFile: File | Buffer, darknetModel: File | Buffer | None = None) -> Net:
    """The network of a .cfg and a .weights file, each given by its path or as its bytes.

    Without weights the layers can be looked at, and `forward` raises.
    """
    if isinstance(cfgFile, (str, os.PathLike)):
        sections = read_cfg(cfgFile)
    else:
        sections = read_cfg(io.BytesIO(_bytes(cfgFile)))
    with warnings.catch_warnings():  # keys of [yolo] that OpenCV alone reads (rows.py)
        warnings.filterwarnings("ignore", _OPENCV_KEYS, DarknetWarning)
        network = Network(sections, initialize=False)
    if not network.image.is_image:
        path = sections[0].path
        raise DarknetError(f"{path}: takes {network.image} values; OpenCV's blobs are pictures")
    has_weights = darknetModel is not None and not _is_blank(darknetModel)
    if has_weights:
        _load(network, darknetModel)  # type: ignore[arg-type]
    return Net(network, has_weights=has_weights)


@as_opencv
def readNet(model: File | Buffer, config: File | Buffer = "", framework: str = "") -> Any:
    """A Darknet network from its two files, in either order; any other as `cv2.dnn.readNet`.

    With `framework="darknet"` the buffers of cfg and weights are taken, as in OpenCV:
    `readNet("darknet", weights, cfg)`.
    """
    if isinstance(model, str) and model.lower() == "darknet":
        return readNetFromDarknet(framework, config)
    if not isinstance(model, (str, os.PathLike)) or not isinstance(config, (str, os.PathLike)):
        return readNetFromDarknet(config, model)
    names = [os.fspath(model), os.fspath(config)]
    endings = [Path(name).suffix.lower() for name in names]
    if framework.lower() == "darknet" or ".cfg" in endings or ".weights" in endings:
        if endings[0] == ".cfg" or endings[1] == ".weights":
            names.reverse()
        weights, cfg = names
        return readNetFromDarknet(cfg, weights)
    return cv2.dnn.readNet(names[0], names[1], framework)


def _bytes(buffer: Buffer) -> bytes:
    return buffer.tobytes() if isinstance(buffer, np.ndarray) else bytes(buffer)


def _is_blank(file: File | Buffer) -> bool:
    return isinstance(file, str) and not file


def _load(network: Network, weights: File | Buffer) -> None:
    if isinstance(weights, (str, os.PathLike)):
        load_weights(network, weights)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights")
        path.write_bytes(_bytes(weights))
        try:
            load_weights(network, path)
        except WeightsError as error:
            raise WeightsError(str(error).replace(str(path), "<weights>")) from None

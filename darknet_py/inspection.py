"""A look at one layer of a classifier while a picture runs (C: classifier.c:try_classifier)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from darknet_py import image as images
from darknet_py.classifier import Classifier
from darknet_py.errors import DarknetError

SIDE = 224
"""The side of the square that is cut out."""
MEAN = np.array([0.48263312050943, 0.45230225481413, 0.40099074308742], np.float32)
DEVIATION = np.array([0.22590347483426, 0.22120921437787, 0.22103996251583], np.float32)


@dataclass(frozen=True)
class LayerView:
    """`statistics` are batch norm's `(n, 3)`: mean, variance, scale; `(0, 3)` without batch norm.

    `output` is the layer's, in C's order; `scores` are the network's.
    """

    statistics: np.ndarray
    output: np.ndarray
    scores: np.ndarray


@torch.inference_mode()
def view_layer(classifier: Classifier, path: str, index: int) -> LayerView:
    """What layer `index` gives for a picture that is cropped and normalised as ImageNet's are.

    Raises:
        DarknetError: there is no such layer, the picture cannot be read, or the network does
            not take 224 x 224 pixels of 3 channels.
    """
    network = classifier.network
    if not 0 <= index < len(network):
        raise DarknetError(f"there is no layer {index}: the cfg has 0 to {len(network) - 1}")
    if network.image.channels != 3:
        raise DarknetError(f"the network takes {network.image.channels} channels, try needs 3")
    if network.image.width != SIDE or network.image.height != SIDE:
        network.resize(SIDE, SIDE)
    scored = network[network.output_index].out_shape.size
    if scored != classifier.classes:
        raise DarknetError(
            f"at {SIDE} x {SIDE} pixels the network has {scored} scores, not {classifier.classes}"
        )
    inputs = torch.from_numpy(prepare(path, network.dialect.batchnorm_epsilon == "inside"))
    parameter = next(network.parameters(), torch.empty(0))
    wanted = [index, network.output_index]
    output, scores = network.run(inputs.to(parameter.device, parameter.dtype), wanted)
    layer = network[index]
    arrays = {name.rpartition(".")[2]: tensor for name, tensor in layer.arrays()}
    statistics = np.empty((0, 3), np.float32)
    if "rolling_mean" in arrays:
        names = ("rolling_mean", "rolling_variance", "scales")
        columns = [_numbers(arrays[name]) for name in names]
        # PARITY: a row for each *input* channel, however many filters there are; C then reads
        # past its arrays (C: classifier.c:try_classifier).
        statistics = np.stack(columns, 1)[: layer.in_shape.channels]
    return LayerView(statistics, _numbers(output), _numbers(scores))


def prepare(path: str, epsilon_inside: bool) -> np.ndarray:
    """The picture as `(1, 3, 224, 224)`: short side to 256, a square cut out, normalised."""
    picture = images.resize_min(images.to_float(images.load_image(path)), 256)
    left, top = (int((side - SIDE - 1) / 2) + 1 for side in (picture.shape[1], picture.shape[0]))
    picture = images.crop(picture, left, top, SIDE, SIDE)
    variance = DEVIATION * DEVIATION
    if epsilon_inside:
        picture = (picture - MEAN) / np.sqrt(variance + np.float32(1e-5))
    else:
        picture = (picture - MEAN) / (np.sqrt(variance) + np.float32(1e-6))
    return images.to_planar(picture)


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    values: np.ndarray = tensor.detach().float().flatten().cpu().numpy()
    return values

"""Pictures changed until a layer likes them (C: nightmare.c; "DeepDream").

Pictures are float32 `(height, width, channels)` from 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from darknet_py import image as images
from darknet_py.errors import CfgError, DarknetError
from darknet_py.network import Network

OCTAVE = 1.33333333
"""How much smaller each octave is than the one before."""


@dataclass(frozen=True)
class Dream:
    """How a picture is changed; the defaults are C's."""

    layer: int
    """Whose outputs are to grow."""
    range: int = 1
    """From how many layers around it one is drawn for each step."""
    octaves: int = 4
    """How many sizes a step's is drawn from."""
    rate: float = 0.04
    """How far a step goes."""
    thresh: float = 1.0
    """Outputs count that are above the mean by this many standard deviations."""
    normalize: bool = True
    """Whether each step is scaled to the same length."""


def check_layer(network: Network, layer: int) -> None:
    """See that a layer can be asked for.

    Raises:
        DarknetError: there is none of that number, or the network takes no pictures.
    """
    path = network.sections[0].path
    if not network.image.is_image:
        raise CfgError(f"{path}: takes {network.image} values and no picture")
    if not 0 <= layer < len(network):
        raise DarknetError(f"{path}: has layers 0 to {len(network) - 1}, not {layer}")


def dream_step(
    network: Network, picture: np.ndarray, dream: Dream, random: np.random.Generator
) -> np.ndarray:
    """The picture after one step (C: nightmare.c:optimize_picture).

    The network is left at the size of the step's picture.
    """
    layer = dream.layer + int(random.integers(max(dream.range, 1))) - dream.range // 2
    layer = min(max(layer, 0), len(network) - 1)
    scale = 1 / OCTAVE ** int(random.integers(max(dream.octaves, 1)))
    left, top = (int(shift) for shift in random.integers(-8, 8, 2))
    mirrored = bool(random.integers(2))
    height, width = picture.shape[:2]
    seen = images.crop(picture, left, top, width, height)
    seen = images.resize(seen, max(int(width * scale), 1), max(int(height * scale), 1))
    if mirrored:
        seen = seen[:, ::-1]
    step = _gradient(network, seen, layer, dream.thresh)
    if mirrored:
        step = step[:, ::-1]
    step = images.crop(images.resize(step, width, height), -left, -top, width, height)
    step = step + np.float32(0.1) * (np.float32(0.5) - picture)
    if dream.normalize:
        deviation = step.std()
        step = (step - step.mean()) / (deviation if deviation > 0 else 1)
    return np.asarray(np.clip(picture + np.float32(dream.rate) * step, 0, 1))


def _gradient(network: Network, picture: np.ndarray, layer: int, thresh: float) -> np.ndarray:
    """Where to change a picture, so that the layer's high outputs become higher."""
    network.resize(*picture.shape[:2])
    x = torch.from_numpy(images.to_planar(picture)).requires_grad_()
    (output,) = network.run(x, [layer])
    with torch.no_grad():
        limit = output.mean() + thresh * output.var(correction=0).sqrt()
        wanted = torch.where(output > limit, output, torch.zeros_like(output))
    return _pull(output, x, wanted)


def _pull(output: Tensor, x: Tensor, wanted: Tensor) -> np.ndarray:
    """The gradient `(h, w, c)` of the input for a gradient of the output."""
    if not output.requires_grad:
        return np.zeros(x.shape[1:], np.float32).transpose(1, 2, 0)
    (gradient,) = torch.autograd.grad(output, x, wanted)
    return np.ascontiguousarray(gradient[0].numpy().transpose(1, 2, 0))


@dataclass
class Reconstruction:
    """Changes a picture towards the outputs that another one has (C: reconstruct_picture)."""

    network: Network
    layer: int
    """Whose outputs count."""
    rate: float = 0.04
    momentum: float = 0.9

    def start(self, picture: np.ndarray) -> int:
        """Take the picture, of the network's size; gives the number of its outputs."""
        x = torch.from_numpy(images.to_planar(picture))
        with torch.no_grad():
            (self.features,) = self.network.run(x, [self.layer])
        self.update = np.zeros_like(picture)
        return self.features.numel()

    def step(self, picture: np.ndarray) -> tuple[np.ndarray, float]:
        """The picture after a step, and the length of its gradient."""
        x = torch.from_numpy(images.to_planar(picture)).requires_grad_()
        (output,) = self.network.run(x, [self.layer])
        gradient = _pull(output, x, self.features - output.detach())
        self.update = self.update + gradient
        picture = np.clip(picture + np.float32(self.rate) * self.update, 0, 1)
        self.update = self.update * np.float32(self.momentum)
        return picture, float(np.sqrt((gradient**2).sum()))


def turn_and_zoom(picture: np.ndarray, angle: float, zoom: float) -> np.ndarray:
    """The picture turned by `angle` radians, and its middle enlarged by 1 / `zoom`.

    C: nightmare.c:run_nightmare, between rounds; image.c:rotate_image.
    """
    height, width = picture.shape[:2]
    if angle:
        picture = rotate(picture, angle)
    left, top = int(width * (1 - zoom) / 2), int(height * (1 - zoom) / 2)
    middle = images.crop(picture, left, top, max(int(width * zoom), 1), max(int(height * zoom), 1))
    return images.resize(middle, width, height)


def rotate(picture: np.ndarray, angle: float) -> np.ndarray:
    """The picture turned around its middle; outside of it is black (C: image.c:rotate_image)."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x, y = x - width / 2, y - height / 2
    sine, cosine = math.sin(angle), math.cos(angle)
    old_x = cosine * x - sine * y + width / 2
    old_y = sine * x + cosine * y + height / 2
    left, top = np.floor(old_x).astype(int), np.floor(old_y).astype(int)
    right_part = (old_x - left)[..., None].astype(np.float32)
    below_part = (old_y - top)[..., None].astype(np.float32)
    padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)))

    def at(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        rows, columns = np.clip(rows + 1, 0, height + 1), np.clip(columns + 1, 0, width + 1)
        return np.asarray(padded[rows, columns])

    upper = (1 - right_part) * at(top, left) + right_part * at(top, left + 1)
    lower = (1 - right_part) * at(top + 1, left) + right_part * at(top + 1, left + 1)
    return np.asarray((1 - below_part) * upper + below_part * lower)

"""A picture changed until a network finds a wished object in it.

C: AlexeyAB's detector.c:draw_object, network_kernels.cu:forward_backward_network_gpu.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from darknet_py.adversarial import find_gradient
from darknet_py.errors import CfgError, DarknetError, DivergedError
from darknet_py.image import letterbox_size, to_planar
from darknet_py.learning import Learner
from darknet_py.network import Network

HEADS = ("yolo", "Gaussian_yolo", "region")
"""The heads that a truth of boxes is for."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Wish:
    """What is to be found, and how the picture is changed; the defaults are C's sliders'."""

    box: Box | None = None
    """Centre, width and height relative to the network's input; None: nothing is to be found."""
    number: int = 0
    """The class."""
    iterations: int = 200
    rate: float = 2.0**-10
    """How far each step goes."""
    box_only: bool = False
    """Whether pixels outside the box stay."""


def check_network(network: Network) -> None:
    """See that the network can be asked.

    Raises:
        CfgError: it has not the heads, or `stopbackward` lets no gradient through.
    """
    path = network.sections[0].path
    if not any(head.section.type in HEADS for head in network.heads):
        heads = ", ".join(f"[{head}]" for head in HEADS)
        raise CfgError(f"{path}: a picture is drawn for {heads}; there is none")
    for layer in network:
        if layer.options.stopbackward == 1:
            raise layer.section.error("lets no gradient through to the picture", "stopbackward")


def to_input_frame(box: Box, size: tuple[int, ...], width: int, height: int) -> Box:
    """A box relative to a picture of `size` (height, width), relative to its letterbox."""
    used_width, used_height = letterbox_size(size, width, height)
    left, top = (width - used_width) // 2, (height - used_height) // 2
    x, y, w, h = box
    return (
        (left + x * used_width) / width,
        (top + y * used_height) / height,
        w * used_width / width,
        h * used_height / height,
    )


def draw_object(
    network: Network, picture: np.ndarray, wish: Wish, seed: int = 0
) -> Iterator[tuple[np.ndarray, float]]:
    """The picture after each step, and the loss before it.

    What the network finds elsewhere than in the box vanishes, as it is unlearned
    (`losses.attack`). The network learns nothing; its dropout works as in training.

    Args:
        network: see `check_network`.
        picture: float32 `(height, width, channels)` from 0 to 1, of the network's size.
        wish: what is to be found.
        seed: of dropout.

    Raises:
        DarknetError: no gradient reaches the picture, or the loss is no number.
    """
    learner = Learner(network, seed=seed)
    learner.iteration = learner.seen // learner.subdivisions  # C: set_batch_network(&net, 1)
    truth = _truth(network, wish).to(learner.device)
    x = torch.from_numpy(to_planar(picture)).to(learner.device)
    x = x.contiguous(memory_format=torch.channels_last)
    start, inside = x, torch.from_numpy(_inside(wish, picture.shape)).to(learner.device)
    ask = partial(learner.forward, adversarial=True)
    try:
        for iteration in range(wish.iterations):
            gradient, loss = find_gradient(network, x, truth, ask)
            if not math.isfinite(loss.cost):
                raise DivergedError(f"iteration {iteration}: the loss is {loss.cost:g}")
            if gradient is None:
                path = network.sections[0].path
                raise DarknetError(f"{path}: no gradient reaches the picture (stopbackward)")
            x = (x - wish.rate * gradient).clamp(0, 1)
            if wish.box_only:
                x = torch.where(inside, x, start)
            yield x[0].permute(1, 2, 0).cpu().numpy(), loss.cost
    finally:
        network.eval()


def quantize(picture: np.ndarray) -> np.ndarray:
    """The picture of 256 shades that a file holds; float32 of any shape, from 0 to 1.

    C: image.c:quantize_image.
    """
    # PARITY: each shade in its middle, so that white is above 1 (C: image.c:quantize_image).
    whole = np.asarray(picture * np.float32(255)).astype(np.int32)
    return (whole / 255.0 + 0.5 / 255).astype(np.float32)


def _truth(network: Network, wish: Wish) -> Tensor:
    """The wish as the label of one image, `(1, 2 rows)`: the second row ends the list."""
    truth = torch.zeros(1, 2 * network.dialect.truth_values)
    if wish.box is not None:
        truth[0, :5] = torch.tensor([*wish.box, wish.number])
    return truth


def _inside(wish: Wish, size: tuple[int, ...]) -> np.ndarray:
    """The pixels `(height, width)` of the box, whole ones (C: detector.c:draw_object)."""
    height, width = size[:2]
    x, y, w, h = (np.float32(side) for side in wish.box or (0, 0, 0, 0))
    columns, rows = int(w * width), int(h * height)
    left, top = int(x * width - columns // 2), int(y * height - rows // 2)
    inside = np.zeros((height, width), bool)
    inside[max(top, 0) : max(top + rows, 0), max(left, 0) : max(left + columns, 0)] = True
    return inside

"""What Detector and Classifier share: pictures, devices, and the run of a batch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import torch

from darknet_py.errors import DarknetError, ImageError
from darknet_py.image import load_image
from darknet_py.network import Network

Picture: TypeAlias = str | os.PathLike[str] | np.ndarray
"""A file, or a uint8 array `(height, width, channels)`, RGB; grey also without the last axis."""
BATCH = 16
"""How many pictures run at once."""


def read_picture(picture: Picture, channels: int) -> np.ndarray:
    """A picture's pixels, uint8 `(height, width, channels)`.

    Raises:
        ImageError: it cannot be read, or is an array of another kind.
    """
    if not isinstance(picture, np.ndarray):
        return load_image(picture, channels)
    if picture.ndim == 2 and channels == 1:
        picture = picture[:, :, None]
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != channels:
        raise ImageError(
            f"a picture must be a uint8 array (height, width, {channels}), "
            f"got {picture.dtype} {picture.shape}"
        )
    if not picture.size:
        raise ImageError(f"a picture must have pixels, got shape {picture.shape}")
    return picture


def find_device(device: str | torch.device | None) -> torch.device:
    """The device of that name; None: the GPU, if PyTorch finds one.

    Raises:
        DarknetError: there is no such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        raise DarknetError(f"no device {device!s}: {str(error).splitlines()[0]}") from None
    return found


@torch.inference_mode()
def run_batch(
    network: Network, inputs: np.ndarray, wanted: Iterable[int] | None, half: bool
) -> list[torch.Tensor]:
    """The outputs of the layers `wanted` (None: the network's own) for prepared pictures.

    Args:
        network: on any device.
        inputs: float32 `(batch, channels, height, width)`.
        wanted: layer indices.
        half: calculate with 16 bits: bfloat16 on the CPU, float16 elsewhere; batch norm's arrays
            and all others stay float32.
    """
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    dtype = torch.bfloat16 if device.type == "cpu" else torch.float16
    with torch.autocast(device.type, dtype, enabled=half):
        return network.run(torch.from_numpy(inputs).to(device), wanted)

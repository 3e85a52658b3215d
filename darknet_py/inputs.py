"""What Detector and Classifier share: devices, and the run of a batch."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from darknet_py.errors import DarknetError
from darknet_py.network import Network


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

"""A program of torch.export: .pt2."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from darknet_py.convert import Options
from darknet_py.convert.proof import check_close, noise, output_indices
from darknet_py.errors import DarknetError
from darknet_py.layers.recurrent import Recurrent
from darknet_py.metadata import Metadata
from darknet_py.network import Network

TEXTS = "darknet.json"
"""The name of the metadata inside the file."""


class Outputs(nn.Module):
    """The heads' outputs, or without heads the last layer's."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network, self.wanted = network, output_indices(network)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """As `Network.run`."""
        return tuple(self.network.run(x, self.wanted))


def write(network: Network, metadata: Metadata, path: Path, options: Options) -> None:
    """Trace `network` for any batch size, and write the program.

    Raises:
        DarknetError: the network remembers, cannot be traced, or the program computes otherwise.
    """
    for layer in network:
        if isinstance(layer, Recurrent):
            raise layer.section.error(
                "cannot be written as a program of torch.export: the layer remembers from call to "
                "call"
            )
    if options.half:
        raise DarknetError("--to exported writes 32 bit floats only, no half precision")
    x = noise(network, batch=2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sizes = {0: torch.export.Dim("batch", min=1)}
            program = torch.export.export(Outputs(network), (x,), dynamic_shapes=(sizes,))
    except Exception as error:  # torch.export raises what it likes
        reason = str(error).strip().splitlines()[0]
        raise DarknetError(f"torch.export cannot trace the network: {reason}") from None
    content = io.BytesIO()  # on a full disk torch's own writer of files ends the process
    texts = json.dumps(metadata.to_dict())
    torch.export.save(program, content, extra_files={TEXTS: texts})
    path.write_bytes(content.getbuffer())
    if options.verify:
        _compare(network, path, options)


@torch.inference_mode()
def _compare(network: Network, path: Path, options: Options) -> None:
    x, wanted = noise(network, batch=3), output_indices(network)
    outputs = torch.export.load(path).module()(x)
    names = [f"layer {index} [{network[index].section.type}]" for index in wanted]
    check_close(names, network.run(x, wanted), outputs, options)

"""Back to Darknet's .weights."""

from __future__ import annotations

from pathlib import Path

from darknet_py.convert import Options
from darknet_py.errors import DarknetError, WeightsError
from darknet_py.metadata import Metadata
from darknet_py.network import Network
from darknet_py.weights import save_weights


def write(network: Network, metadata: Metadata, path: Path, options: Options) -> None:
    """Write the .weights file of `network`.

    Raises:
        DarknetError: half precision is asked for.
    """
    if options.half:
        raise DarknetError("a .weights file holds 32 bit floats only, no half precision")
    try:
        save_weights(network, path)
    except WeightsError as error:
        raise OSError(None, str(error).rpartition(": ")[2]) from None

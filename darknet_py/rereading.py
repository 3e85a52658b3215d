"""Weights that a prepared network has given up, and that are read from their file again."""

from __future__ import annotations

import os
from dataclasses import dataclass

from darknet_py.errors import DarknetError, WeightsError
from darknet_py.filling import is_given_up, take_memory
from darknet_py.network import Network
from darknet_py.weights import WeightsHeader, count_floats, load_weights


@dataclass(frozen=True)
class WeightsFile:
    """Where a network's weights came from."""

    path: str
    stamp: tuple[int, int]
    """Its length and when it was changed last."""

    def give_back(self, network: Network) -> None:
        """Read the file again, if arrays were given up.

        Raises:
            WeightsError: it is gone, or another one.
        """
        missing = [array for array in network.parameters() if is_given_up(array)]
        if not missing:
            return
        if _stamp(self.path) != self.stamp:
            raise WeightsError(f"{self.path}: has changed since it was loaded: load it again")
        for array in missing:
            array.data = take_memory(array, "cpu")
        load_weights(network, self.path)


def load_again(network: Network, path: str | os.PathLike[str]) -> WeightsFile | None:
    """Fill `network` from a file of weights (`load_weights`).

    Returns:
        What reads them again; None where the file does not hold every array.

    Raises:
        WeightsError: see `load_weights`.
    """
    header: WeightsHeader = load_weights(network, path)
    name = os.path.abspath(path)
    try:
        size, changed = _stamp(name)
        needed = count_floats(network)
    except DarknetError:
        return None
    held = sum(array.numel() for _, _, array in network.arrays())
    if name.endswith((".safetensors", ".pt", ".pth")) or needed != held:
        return None
    return WeightsFile(name, (size, changed)) if size >= header.size + 4 * needed else None


def _stamp(path: str) -> tuple[int, int]:
    try:
        facts = os.stat(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read again: {error.strerror or error}") from None
    return facts.st_size, facts.st_mtime_ns

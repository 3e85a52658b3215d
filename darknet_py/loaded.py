"""What Detector and Classifier share: where their files are, and the network with its weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from darknet_py.backends import Source
from darknet_py.bit_weights import use_bit_weights
from darknet_py.datafile import read_names
from darknet_py.dialect import Dialect, get_dialect
from darknet_py.download import locate
from darknet_py.inputs import find_device, give_back
from darknet_py.network import Network
from darknet_py.rereading import WeightsFile, load_again
from darknet_py.shape import Shape

if TYPE_CHECKING:
    from darknet_py.compiled import CompiledNetwork

FileName = str | os.PathLike[str]


class Loaded:
    """What holds a network, perhaps one whose weights were given up and can be read again."""

    layout: Network
    """The network, with or without its weights."""
    half: bool
    """Whether it calculates with 16 bits."""
    compiled: CompiledNetwork | None = None
    _file: WeightsFile | None = None

    @property
    def network(self) -> Network:
        """The network, with its weights.

        After `load` the weights are given up on the first picture; from here on they are kept, and
        read again if need be. `layout` is the network with or without them.

        Raises:
            WeightsError: they were given up, and the file is gone or another one.
        """
        if self._file is not None:
            give_back(self.layout, self._file)
            self._file = None
        return self.layout

    @property
    def image(self) -> Shape:
        """The network's input."""
        return self.layout.image

    @property
    def dialect(self) -> Dialect:
        """Whose rules hold."""
        return self.layout.dialect

    def _fill(self, weights: FileName, device: str | torch.device | None) -> None:
        """Read the weights, and send the network to its device (see `inputs.find_device`).

        Raises:
            DarknetError: the file is wrong, or there is no such device.
        """
        file = load_again(self.layout, weights)
        bits = self.layout.dialect.bit_weights and use_bit_weights(self.layout)
        where = find_device(device)
        self.layout.to(where)
        self._file = file if where.type == "cpu" and not bits else None


def find_files(
    cfg: FileName, weights: FileName | None, names: Sequence[str] | FileName | None
) -> tuple[FileName, FileName, Sequence[str] | None]:
    """The .cfg file, the .weights file and the classes' names.

    Args:
        cfg: the .cfg file; or the name of an official model.
        weights: its .weights file; None: `cfg` is a name.
        names: a list, or a file with one a line; None: those of the model that is named.

    Raises:
        DarknetError: there is no such model, or a file cannot be read.
    """
    if weights is None:
        files = locate(cfg)
        cfg, weights = files.cfg, files.weights
        names = files.names if names is None else names
    if isinstance(names, str | os.PathLike):
        names = read_names(names)
    return cfg, weights, names


def make_source(
    cfg: FileName,
    weights: FileName,
    dialect: str | Dialect | None,
    half: bool,
    int8: bool,
    calibration: FileName | None,
) -> Source:
    """What a backend other than torch converts; see `Detector.load`."""
    return Source(
        os.fspath(cfg),
        os.fspath(weights),
        None if dialect is None else get_dialect(dialect).name,
        half,
        int8,
        None if calibration is None else os.fspath(calibration),
    )

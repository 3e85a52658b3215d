"""Darknet's .weights files: a header, then every layer's arrays as float32, in cfg order.

The format, with its quirks, is written down in docs/weights.md.
C: parser.c:load_weights_upto, save_weights_upto.
"""

from __future__ import annotations

import os
import struct
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from darknet_py.errors import DarknetWarning, WeightsError
from darknet_py.network import Network


@dataclass(frozen=True)
class WeightsHeader:
    """The first 16 or 20 bytes: version numbers and how many images were seen in training."""

    major: int
    minor: int
    revision: int
    seen: int

    @property
    def wide(self) -> bool:
        """Whether `seen` takes 64 bits, and the header 20 bytes."""
        # PARITY: a version of 1000 and more is that of a transposed file, with 32 bits
        # (C: parser.c:load_weights_upto).
        return self.major * 10 + self.minor >= 2 and self.major < 1000 and self.minor < 1000

    @property
    def size(self) -> int:
        """The header's length in bytes."""
        return 20 if self.wide else 16

    @property
    def transposed(self) -> bool:
        """Whether matrices of connected layers are stored inputs by outputs."""
        return self.major > 1000 or self.minor > 1000

    def pack(self) -> bytes:
        """The header's bytes, little endian."""
        layout = "<iiiQ" if self.wide else "<iiiI"
        return struct.pack(layout, self.major, self.minor, self.revision, self.seen)


@dataclass(frozen=True)
class Block:
    """One array as it lies in a file: `start` counts floats after the header."""

    layer: int
    type: str
    name: str
    tensor: Tensor
    start: int

    @property
    def end(self) -> int:
        """Where the next array starts."""
        return self.start + self.tensor.numel()


def load_weights(
    network: Network, path: str | os.PathLike[str], cutoff: int | None = None
) -> WeightsHeader:
    """Fill `network` from a .weights file.

    A file that ends with a whole layer (`darknet53.conv.74`) fills the layers it holds; the
    others keep their values. `cutoff` stops before that layer.

    Raises:
        WeightsError: the file is no .weights file, or ends inside a layer.
    """
    header, data = read_weights(path)
    blocks = list(_blocks(network, cutoff, loading=True))
    _check_length(network, os.fspath(path), data.size, blocks, cutoff)
    with torch.no_grad():
        for block in blocks:
            if block.end > data.size:
                break
            values = torch.from_numpy(data[block.start : block.end])
            _from_file(network, block, values, header.transposed)
    network.version, network.seen = (header.major, header.minor, header.revision), header.seen
    return header


def save_weights(network: Network, path: str | os.PathLike[str], cutoff: int | None = None) -> None:
    """Write `network` as a .weights file that C reads; a file read before comes out byte for byte.

    Raises:
        WeightsError: the file cannot be written; an older one of that name is then unharmed.
    """
    header = WeightsHeader(*network.version, network.seen)
    path = Path(path)
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
            temporary = Path(file.name)
            file.write(header.pack())
            for block in _blocks(network, cutoff, loading=False):
                file.write(_to_file(network, block, header.transposed).tobytes())
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise WeightsError(f"{path}: cannot be written: {error.strerror}") from None


def read_weights(path: str | os.PathLike[str]) -> tuple[WeightsHeader, np.ndarray]:
    """A file's header and its floats, mapped into memory and copied when written to.

    Raises:
        WeightsError: the file cannot be opened, or is something else.
    """
    name = os.fspath(path)
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            start = file.read(512)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WeightsError(f"{name}: cannot be opened: {reason}") from None
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise WeightsError(f"{name}: is a web page, not weights: the download went wrong")
    if size < 16:
        what = "is empty" if size == 0 else f"holds only {size} bytes"
        raise WeightsError(
            f"{name}: {what}; a .weights file starts with a header of 16 or 20 bytes"
        )
    major, minor, revision, seen = struct.unpack_from("<iiiI", start)
    header = WeightsHeader(major, minor, revision, seen)
    if header.wide:
        if size < 20:
            raise WeightsError(f"{name}: holds only {size} bytes of its 20 byte header")
        header = WeightsHeader(major, minor, revision, struct.unpack_from("<Q", start, 12)[0])
    count = (size - header.size) // 4
    if count == 0:
        return header, np.empty(0, np.float32)
    return header, np.memmap(path, "<f4", "c", offset=header.size, shape=(count,))


def count_floats(network: Network) -> int:
    """How many float32 values a whole file for `network` holds after the header."""
    return sum(block.tensor.numel() for block in _blocks(network, None, loading=True))


def _blocks(network: Network, cutoff: int | None, *, loading: bool) -> Iterator[Block]:
    """The arrays that C loads, or saves, in file order."""
    start = 0
    for index, layer in enumerate(islice(network, cutoff)):
        options = layer.options
        # PARITY: the loader honours dontload, dontloadscales and numload, the saver dontsave only.
        if options.dontload if loading else options.dontsave:
            continue
        for name, tensor in layer.arrays():
            kind = name.rpartition(".")[2]
            if loading and options.dontloadscales and kind in _SCALES:
                continue
            if loading and options.numload:
                tensor = tensor[: options.numload]
            block = Block(index, layer.section.type, name, tensor, start)
            yield block
            start = block.end


_SCALES = ("scales", "rolling_mean", "rolling_variance")


def _from_file(network: Network, block: Block, values: Tensor, transposed: bool) -> None:
    tensor = block.tensor
    if _is_turned(network, block, transposed):
        values = values.view(tensor[0].numel(), len(tensor)).t()
    tensor.copy_(values.reshape(tensor.shape))


def _to_file(network: Network, block: Block, transposed: bool) -> np.ndarray:
    tensor = block.tensor.detach().float().cpu()
    if _is_turned(network, block, transposed):
        tensor = tensor.reshape(len(tensor), -1).t()
    return tensor.contiguous().numpy().astype("<f4", copy=False)


def _is_turned(network: Network, block: Block, transposed: bool) -> bool:
    """Whether the file holds this array's matrix with rows and columns swapped."""
    if block.name.rpartition(".")[2] != "weights":
        return False
    flipped = bool(getattr(network[block.layer].options, "flipped", False))
    return flipped or (transposed and block.tensor.dim() == 2)


def _check_length(
    network: Network, path: str, count: int, blocks: list[Block], cutoff: int | None
) -> None:
    """Name the first array that does not fit; warn of floats that are left over.

    Raises:
        WeightsError: the file ends inside a layer.
    """
    needed = blocks[-1].end if blocks else 0
    if count > needed and cutoff is None:
        warnings.warn(
            f"{path}: {count - needed} floats are left over after the last layer "
            f"({count} in the file, {needed} in the cfg): is it of a cfg with other classes?",
            DarknetWarning,
            stacklevel=3,
        )
    if count >= needed:
        return
    short = next(block for block in blocks if block.end > count)
    if count == 0:
        raise WeightsError(f"{path}: holds a header and no weights, the cfg needs {needed} floats")
    if short.start == count and short.layer != _layer_before(blocks, short):
        return  # the file of a cut-off network, such as darknet53.conv.74
    raise WeightsError(
        f"{path}: ends inside layer {short.layer} [{short.type}] {short.name}: needs "
        f"{short.tensor.numel()} floats, {count - short.start} left ({count} in the file, "
        f"the cfg needs {needed}): is it of another cfg, or not downloaded to its end?"
    )


def _layer_before(blocks: list[Block], block: Block) -> int:
    position = blocks.index(block)
    return blocks[position - 1].layer if position else -1

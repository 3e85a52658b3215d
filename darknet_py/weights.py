"""Darknet's .weights files: a header, then every layer's arrays as float32, in cfg order.

The format, with its quirks, is written down in docs/weights.md.
C: parser.c:load_weights_upto, save_weights_upto.
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from darknet_py.dialect import PJREDDIE, Dialect
from darknet_py.errors import DarknetWarning, WeightsError
from darknet_py.filetype import describe
from darknet_py.filling import read_into
from darknet_py.network import Network
from darknet_py.replacing import replacing


@dataclass(frozen=True)
class WeightsHeader:
    """The first 16 or 20 bytes: version numbers and how many images were seen in training."""

    major: int
    minor: int
    revision: int
    seen: int
    wide_transposed: bool = PJREDDIE.wide_transposed_header
    """The dialect's field `wide_transposed_header`."""

    @property
    def wide(self) -> bool:
        """Whether `seen` takes 64 bits, and the header 20 bytes."""
        small = self.major < 1000 and self.minor < 1000
        return self.major * 10 + self.minor >= 2 and (small or self.wide_transposed)

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

    @classmethod
    def unpack(cls, data: bytes, dialect: Dialect) -> WeightsHeader:
        """The header of a file that starts with `data`, 16 bytes at least."""
        major, minor, revision, seen = struct.unpack_from("<iiiI", data)
        header = cls(major, minor, revision, seen, dialect.wide_transposed_header)
        if header.wide and len(data) >= 20:
            header = replace(header, seen=struct.unpack_from("<Q", data, 12)[0])
        return header


@dataclass(frozen=True, eq=False)
class Block:
    """One array as it lies in a file: `start` counts floats after the header."""

    layer: int
    type: str
    name: str
    tensor: Tensor
    start: int
    turned: bool
    """Whether the file holds the matrix with rows and columns swapped."""

    @property
    def end(self) -> int:
        """Where the next array starts."""
        return self.start + self.tensor.numel()


def load_weights(
    network: Network, path: str | os.PathLike[str], cutoff: int | None = None, start: int = 0
) -> WeightsHeader:
    """Fill `network` from a .weights file, or a .safetensors file or state_dict (.pt) of its own.

    A file that ends with a whole layer (`darknet53.conv.74`) fills the layers it holds; the
    others keep their values. The file's first array belongs to layer `start`, and `cutoff` stops
    before that layer.

    Raises:
        WeightsError: the file is no .weights file, or ends inside a layer; the network is then
            as it was.
    """
    if os.fspath(path).endswith((".safetensors", ".pt", ".pth")):
        return _load_named(network, path, cutoff, start)
    header, data = read_weights(path, network.dialect)
    blocks = list(_blocks(network, start, cutoff, header))
    held = _held(network, os.fspath(path), data.size, blocks, header, whole=cutoff is None)
    _initialize_rest(network, held)
    with torch.no_grad(), open(path, "rb", buffering=0) as file:
        for block in held:
            tensor = block.tensor
            if not block.turned and read_into(tensor, file, header.size + 4 * block.start):
                continue
            values = torch.from_numpy(data[block.start : block.end])
            if block.turned:
                values = values.view(tensor[0].numel(), len(tensor)).t()
            tensor.copy_(values.reshape(tensor.shape))
    network.version, network.seen = (header.major, header.minor, header.revision), header.seen
    return header


def _load_named(
    network: Network, path: str | os.PathLike[str], cutoff: int | None, start: int
) -> WeightsHeader:
    from darknet_py.named import load_named

    if cutoff is not None or start:
        raise WeightsError(f"{os.fspath(path)}: only a .weights file can be loaded in part")
    load_named(network, path)
    return WeightsHeader(*network.version, network.seen, network.dialect.wide_transposed_header)


def save_weights(network: Network, path: str | os.PathLike[str], cutoff: int | None = None) -> None:
    """Write `network` as a .weights file that C reads; a file read before comes out byte for byte.

    Raises:
        WeightsError: the file cannot be written; an older one of that name is then unharmed.
    """
    try:
        with replacing(path) as file:
            write_weights(network, file.write, cutoff)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WeightsError(f"{os.fspath(path)}: cannot be written: {reason}") from None


def write_weights(
    network: Network, write: Callable[[Any], object], cutoff: int | None = None
) -> None:
    """The same through the `write` of an open file."""
    wide = network.dialect.wide_transposed_header
    header = WeightsHeader(*network.version, network.seen, wide)
    if not header.wide and network.seen >= 2**32:
        header = WeightsHeader(*network.dialect.version, network.seen, wide)
    write(header.pack())
    for block in _blocks(network, 0, cutoff, header, saving=True):
        tensor = block.tensor.detach().float().cpu()
        if block.turned:
            tensor = tensor.reshape(len(tensor), -1).t()
        write(tensor.contiguous().numpy().astype("<f4", copy=False).data)


def read_weights(
    path: str | os.PathLike[str], dialect: Dialect = PJREDDIE
) -> tuple[WeightsHeader, np.ndarray]:
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
    kind = describe(start)
    if kind is not None:
        raise WeightsError(f"{name}: is {kind}, not Darknet weights")
    if size < 16:
        what = "is empty" if size == 0 else f"holds only {size} bytes"
        raise WeightsError(
            f"{name}: {what}; a .weights file starts with a header of 16 or 20 bytes"
        )
    header = WeightsHeader.unpack(start, dialect)
    if size < header.size:
        raise WeightsError(f"{name}: holds only {size} bytes of its 20 byte header")
    count, odd = divmod(size - header.size, 4)
    if odd:
        message = f"{name}: ends in {odd} bytes that make no float: not downloaded to its end?"
        warnings.warn(message, DarknetWarning, stacklevel=3)
    if count == 0:
        return header, np.empty(0, np.float32)
    return header, np.memmap(path, "<f4", "c", offset=header.size, shape=(count,))


def count_floats(network: Network) -> int:
    """How many float32 values a whole file for `network` holds after the header."""
    header = WeightsHeader(*network.dialect.version, 0)
    return sum(block.tensor.numel() for block in _blocks(network, 0, None, header))


_SCALES = ("scales", "rolling_mean", "rolling_variance")
_CONVOLUTIONAL = ("conv", "convolutional", "deconv", "deconvolutional")
_CONNECTED = ("conn", "connected", "gru", "lstm", "rnn")


def _blocks(
    network: Network, start: int, cutoff: int | None, header: WeightsHeader, *, saving: bool = False
) -> Iterator[Block]:
    """The arrays that C loads, or saves, from layer `start` to before `cutoff`, in file order."""
    place = 0
    for index, layer in islice(enumerate(network), start, cutoff):
        options, kind = layer.options, layer.section.type
        # PARITY: the loader honours dontload, dontloadscales and numload, the saver dontsave only.
        if options.dontsave if saving else options.dontload:
            continue
        count = 0 if saving or kind not in _CONVOLUTIONAL else options.numload
        for name, tensor in layer.arrays():
            # PARITY: [batchnorm] and the parts of recurrent layers are read all the same.
            scales = name in _SCALES and kind != "batchnorm"
            if options.dontloadscales and scales and not saving:
                continue
            if count:
                if not 0 < count <= len(tensor):
                    message = f"numload must be between 1 and {len(tensor)}, got {count}"
                    raise WeightsError(layer.section.located(message, "numload"))
                tensor = tensor[:count]
            turned = name.rpartition(".")[2] == "weights" and (
                (header.transposed and kind in _CONNECTED)
                or bool(getattr(options, "flipped", False))
            )
            block = Block(index, kind, name, tensor, place, turned)
            yield block
            place = block.end


def _held(
    network: Network,
    path: str,
    count: int,
    blocks: list[Block],
    header: WeightsHeader,
    *,
    whole: bool,
) -> list[Block]:
    """Those of `blocks` that a file of `count` floats holds; warns where it does not just fit.

    Raises:
        WeightsError: the file ends inside a layer.
    """
    needed = blocks[-1].end if blocks else 0
    sizes = f"{count} floats in the file, {needed} in the cfg"
    if count > needed and whole:
        message = (
            f"{path}: {count - needed} floats are left over after the last layer ({sizes}): is it "
            f"of another cfg, or of one with other classes?"
        )
        warnings.warn(message, DarknetWarning, stacklevel=4)
    if count >= needed:
        return blocks
    short = next(block for block in blocks if block.end > count)
    held = [block for block in blocks if block.end <= count]
    if not held and count == 0:
        raise WeightsError(
            f"{path}: holds a header and no weights, the cfg needs {needed} floats "
            f"({header.size + 4 * needed} bytes)"
        )
    if not held or short.start != count or held[-1].layer == short.layer:
        raise WeightsError(
            f"{path}: ends inside layer {short.layer} [{short.type}] {short.name}: needs "
            f"{short.tensor.numel()} floats, {count - short.start} left ({sizes}, which needs "
            f"{header.size + 4 * needed} bytes): is it of another cfg, or not downloaded to its "
            "end?"
        )
    if whole:
        message = (
            f"{path}: ends before layer {short.layer} [{short.type}]; the layers from there to "
            f"{len(network) - 1} keep the values they had"
        )
        warnings.warn(message, DarknetWarning, stacklevel=4)
    return held


def _initialize_rest(network: Network, held: list[Block]) -> None:
    """Give starting values to the layers that the file does not fill, if they never had any."""
    if network.initialized:
        return
    filled = [0] * len(network)
    for block in held:
        filled[block.layer] += block.tensor.numel()
    for layer, count in zip(network, filled, strict=True):
        if count < sum(tensor.numel() for _, tensor in layer.arrays()):
            layer.initialize()
    network.initialized = True

"""Named tensors with the cfg inside: .safetensors."""

from __future__ import annotations

import shutil
from pathlib import Path

from darknet_py.convert import Options
from darknet_py.convert.extras import extra
from darknet_py.convert.proof import check_same
from darknet_py.errors import DarknetError
from darknet_py.metadata import Metadata
from darknet_py.named import array_names, read_named
from darknet_py.network import Network


def write(network: Network, metadata: Metadata, path: Path, options: Options) -> None:
    """Write every array of `network` under its name, and the metadata.

    Raises:
        DarknetError: safetensors is missing, or the file reads back otherwise.
    """
    save_file, error = extra("safetensors.torch").save_file, extra("safetensors").SafetensorError
    tensors = {
        name: (tensor.detach().half() if options.half else tensor.detach()).contiguous()
        for name, tensor in array_names(network).items()
    }
    if not tensors:
        raise DarknetError(f"{metadata.cfg_path}: the network has no weights to write")
    texts = {key: _printable(text) for key, text in metadata.to_dict().items()}
    try:
        save_file(tensors, path, {"format": "pt", **texts})
    except error as reason:
        raise OSError(None, str(reason)) from None
    _open_to_readers(path)
    if options.verify:
        check_same(tensors, read_named(path)[0], options)


def _open_to_readers(path: Path) -> None:
    """Give the file the rights that a new file has: save_file leaves it to its owner alone."""
    new = path.with_name(f"{path.stem}.new")
    new.touch()
    shutil.copymode(new, path)
    new.unlink()


def _printable(text: str) -> str:
    """`text` without bytes that are no UTF-8, which the format cannot hold."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

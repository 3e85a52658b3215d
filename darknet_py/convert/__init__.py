"""Conversion of a network to other formats: the table of them, and `convert`."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from darknet_py.dialect import Dialect
from darknet_py.errors import DarknetError, WriteError

if TYPE_CHECKING:
    from darknet_py.metadata import Metadata
    from darknet_py.network import Network

FULL = 2**16
"""With fewer bytes left on a disk it is full."""

HeadKind = Literal["raw", "boxes", "nms"]


@dataclass(frozen=True)
class Options:
    """What a conversion may be asked for; a format passes over what it has no use for."""

    head: HeadKind = "boxes"
    """The heads' own tensors, the boxes of all heads, or those that non-maximum suppression
    keeps."""
    dynamic_size: bool = False
    """Leave height and width of the input open."""
    half: bool = False
    """Store 16 bit floats."""
    keep_batchnorm: bool = False
    """Do not fold batch norm into the weights."""
    verify: bool = True
    """Compare the result with the network."""
    standalone: bool = False
    """With a state_dict, also write the network as a Python file of its own."""
    int8: bool = False
    """Quantize to 8 bit integers."""
    calibration: str | None = None
    """The folder of pictures that `int8` is calibrated on."""
    image: str | None = None
    """The picture that `verify` runs on; None: one of the package's."""
    thresh: float | None = None
    """With `head` "nms": the least score; None: the dialect's."""
    nms: float = 0.45
    """With `head` "nms": the largest overlap of two boxes of one class."""
    report: Callable[[str], None] = field(default=lambda line: None)
    """Takes each line that tells what was done and measured."""


@dataclass(frozen=True)
class Converter:
    """One format.

    `module` has a function `write(network, metadata, path, options)`; it is imported when it is
    needed. It makes the file `path` (one that does not exist yet) and any files beside it; they
    take the target's name when it returns, and are removed if it raises.
    """

    doc: str
    suffix: str
    module: str
    folds: bool = False
    """Whether batch norm is folded into the weights, unless `keep_batchnorm` is set."""
    verifies: bool = False
    """Whether the result is run and compared by `verify`; others prove theirs in `write`."""
    endings: tuple[str, ...] = ()
    """What the name must end in, where readers go by it."""

    def write(self, network: Network, metadata: Metadata, path: Path, options: Options) -> None:
        """Convert `network` into `path`."""
        module = importlib.import_module(f"darknet_py.convert.{self.module}")
        cast("Any", module).write(network, metadata, path, options)


FORMATS: dict[str, Converter] = {
    "onnx": Converter(
        "ONNX, for onnxruntime, OpenVINO and OpenCV", ".onnx", "onnx", True, True, (".onnx",)
    ),
    "openvino": Converter("OpenVINO's .xml and .bin", ".xml", "openvino", True, True, (".xml",)),
    "safetensors": Converter(
        "named tensors, with the cfg inside",
        ".safetensors",
        "safetensors",
        endings=(".safetensors",),
    ),
    "torch": Converter(
        "a state_dict of torch.save", ".pt", "state_dict", endings=(".pt", ".pth", ".py")
    ),
    "exported": Converter("a program of torch.export", ".pt2", "exported"),
    "weights": Converter("Darknet's .weights", ".weights", "darknet"),
    "timm": Converter("a state_dict for timm's model of the same network", ".pth", "timm"),
}
"""The formats that `convert` writes, by name."""


def convert(
    cfg: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None,
    to: str,
    out: str | os.PathLike[str] | None = None,
    *,
    dialect: str | Dialect | None = None,
    names: Sequence[str] | None = None,
    force: bool = False,
    options: Options | None = None,
) -> Path:
    """Write the network of a cfg and a .weights file in another format, and compare the two.

    >>> convert("yolov4.cfg", "yolov4.weights", "onnx", "yolov4.onnx")

    Args:
        cfg: the network's .cfg file; with `weights` None a .safetensors file, state_dict or ONNX
            model of darknet-py, which carries its cfg.
        weights: its .weights file, .safetensors file or state_dict.
        to: one of `FORMATS`.
        out: the file to write; None: the name of the weights, here, with the format's suffix.
        dialect: "pjreddie" or "alexeyab"; None: found from the cfg.
        names: of the classes, for the metadata; None: those that the file brings, or numbers.
        force: replace a file that exists.
        options: see `Options`.

    Returns:
        The file written.

    Raises:
        DarknetError: a file is wrong, a package is missing, the format cannot hold the network,
            or the result differs by more than the tolerance. No file is left then.
    """
    from darknet_py.convert.source import read_source

    path = Path(out) if out is not None else target_name(weights or cfg, to)
    check_target(path, force, to)
    network, found = read_source(cfg, weights, dialect, exact=to == "weights")
    return convert_network(network, to, path, names=names or found, force=force, options=options)


def target_name(source: str | os.PathLike[str], to: str) -> Path:
    """The file that a conversion of `source` writes if it is told none."""
    return Path(Path(source).name).with_suffix(find_format(to).suffix)


def convert_network(
    network: Network,
    to: str,
    path: str | os.PathLike[str],
    *,
    names: Sequence[str] | None = None,
    force: bool = False,
    options: Options | None = None,
) -> Path:
    """The same for a network that holds its weights; it stays as it is.

    Raises:
        DarknetError: as `convert`.
    """
    from darknet_py.convert.describe import describe

    converter, options, path = find_format(to), options or Options(), Path(path)
    check_target(path, force, to)
    if options.standalone and to == "torch":
        check_target(path.with_suffix(".pt" if path.suffix == ".py" else ".py"), force)
    metadata = describe(network, names or (), options, folds=converter.folds)
    with replacing(path, converter.suffix) as temporary:
        converter.write(network, metadata, temporary, options)
        if converter.verifies and options.verify:
            from darknet_py.convert.verify import verify

            verify(network, temporary, options, name=str(path))
    return path


def find_format(name: str) -> Converter:
    """The format of that name.

    Raises:
        DarknetError: there is none.
    """
    if name not in FORMATS:
        raise DarknetError(f"unknown format {name!r}: --to takes {', '.join(FORMATS)}")
    return FORMATS[name]


def check_target(path: Path, force: bool, to: str | None = None) -> None:
    """See that `path` may be written, and is a name for the format `to`.

    Raises:
        DarknetError: it exists and `force` is not set, or it cannot be made, or is no such name.
    """
    if path.is_dir():
        raise DarknetError(f"{path}: is a folder")
    if path.exists() and not force:
        raise DarknetError(f"{path}: exists already (--force replaces it)")
    if not os.access(path.parent, os.W_OK):
        raise DarknetError(f"{path}: cannot be written: no such folder, or no right to")
    endings = find_format(to).endings if to else ()
    if endings and path.suffix not in endings:
        raise DarknetError(f"{path}: must end in {' or '.join(endings)} to be read as {to}")


@contextlib.contextmanager
def replacing(path: Path, suffix: str) -> Iterator[Path]:
    """A file to write in a folder of its own; all that is there then takes the place of `path`.

    Files beside it must be named after its stem: `model.bin`, `model.onnx.data` of `model.onnx`.

    Raises:
        WriteError: there is no room, or no right to write.
    """
    folder = path.parent / f".{path.stem}.{os.urandom(4).hex()}"
    try:
        folder.mkdir()
        yield folder / path.name
        for file in sorted(folder.iterdir(), key=lambda file: file.name == path.name):
            file.replace(path.parent / file.name)  # the model itself comes last
    except OSError as error:
        reason, full = error.strerror or str(error), os.strerror(errno.ENOSPC)
        with contextlib.suppress(OSError):  # libraries have words of their own for it
            if full in reason or shutil.disk_usage(path.parent).free < FULL:
                reason = full
        raise WriteError(path, reason) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


__all__ = ["FORMATS", "Converter", "Options", "convert", "convert_network"]

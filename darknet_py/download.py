"""Official models by their names: where they are, and the files in the user's cache.

The table is models.json: for each model the packaged cfg, the names of its classes, the size of the
weights (counted from the cfg, with a header of 20 bytes), their hash, where anyone has published
one, and the hosts that have the file.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from darknet_py.cache import cache_folder
from darknet_py.convert.extras import extra
from darknet_py.errors import DarknetError
from darknet_py.files import packaged

if TYPE_CHECKING:
    from darknet_py.transfer import Progress

MIRROR = "DARKNET_PY_MIRROR"
"""The environment variable that names a place (https://...) to ask before all others."""
STALE = 600
"""Seconds after which the file of a download that nobody writes to is taken over."""


@dataclass(frozen=True)
class Model:
    """One line of the table."""

    name: str
    task: Literal["detect", "classify", "text", "go", "nightmare", "backbone"]
    cfg: str
    """A packaged file, such as cfg/yolov4.cfg."""
    weights: str
    """The file's name."""
    bytes: int
    urls: tuple[str, ...]
    hash: str | None = None
    """`sha256:...`, or another kind."""
    names: str | None = None
    """A packaged file of class names."""
    layers: int | None = None
    """How many layers a backbone holds; None: all."""

    @property
    def sizes(self) -> tuple[int, int]:
        """How large the file may be: old ones have a header of 16 bytes."""
        return self.bytes, self.bytes - 4


@dataclass(frozen=True)
class ModelFiles:
    """What a model needs to run."""

    cfg: Path
    weights: Path
    names: Path | None


@functools.cache
def models() -> dict[str, Model]:
    """The table, by name."""
    table = json.loads(Path(__file__).with_name("models.json").read_text(encoding="utf-8"))
    found = {}
    for name, entry in table["models"].items():
        file = entry.pop("remote", entry["weights"])
        hosts = [host for mirror in entry.pop("mirrors") for host in table["hosts"][mirror]]
        found[name] = Model(name, urls=tuple(host + file for host in hosts), **entry)
    return found


def is_name(word: str) -> bool:
    """Whether a word is the name of a model, and no file of that name is there."""
    return word in models() and not os.path.exists(word)


def find_model(name: str) -> Model:
    """The model of that name; the name of its weights file does, too.

    Raises:
        DarknetError: there is none.
    """
    known = models()
    found = known.get(name) or known.get(name.removesuffix(".weights"))
    if found is None:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "darknet-py download --list shows all"
        raise DarknetError(f"{name}: is no file and no model that can be downloaded; {hint}")
    return found


def check_name(word: str) -> None:
    """Where a word can only be meant as the name of a model, see that there is such a model.

    Raises:
        DarknetError: there is none.
    """
    if word and not set(word) & set("/\\.") and not os.path.exists(word):
        find_model(word)


def locate(name: str | os.PathLike[str]) -> ModelFiles:
    """The files of the model `name`, downloaded where they are not yet in the cache.

    Raises:
        DarknetError: there is no such model, or it cannot be downloaded.
    """
    if os.path.exists(name):
        raise DarknetError(f"{os.fspath(name)}: its .weights file must be given, too")
    model = find_model(os.fspath(name))
    cfg = packaged(model.cfg)
    if cfg is None:
        raise DarknetError(f"{model.cfg}: is missing in this installation of darknet-py")
    names = None if model.names is None else packaged(model.names)
    return ModelFiles(cfg, fetch(model), names)


def fetch(
    model: Model,
    folder: Path | None = None,
    progress: Progress | None = None,
    *,
    timeout: float = 30.0,
    pause: float = 1.0,
) -> Path:
    """The weights file of `model` in `folder` (None: the cache); downloaded, if it is not there.

    Mirrors are asked in turn. What an interrupted download left is gone on with. The file appears
    under its name only when it is whole, of the right size, and of the right hash.

    Args:
        model: of the table.
        folder: where the file shall be.
        progress: is told how many bytes there are, and how many there will be.
        timeout: seconds without a byte, after which a mirror counts as broken.
        pause: seconds before a broken connection is tried again.

    Raises:
        DarknetError: no mirror has the file, or it cannot be written; one line says why.
    """
    from urllib.parse import urlsplit  # it takes milliseconds to import

    folder = cache_folder() if folder is None else folder
    target = folder / model.weights
    if target.exists():
        if target.is_file() and target.stat().st_size in model.sizes:
            return target
        raise DarknetError(
            f"{target}: has {target.stat().st_size:,} bytes, {model.name} has {model.bytes:,}; "
            "move it away, and it is downloaded again"
        )
    extra("pooch", "download")
    problems = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _part(target) as part:
            for url in _urls(model):
                problem = _try(model, url, target, part, progress, timeout, pause)
                if problem is None:
                    return target
                problems.append(f"{urlsplit(url).hostname} {problem}")
    except OSError as error:
        raise DarknetError(f"{target}: cannot be written: {error.strerror or error}") from None
    raise DarknetError(
        f"{model.weights}: cannot be downloaded: {'; '.join(problems)} (a copy from elsewhere "
        f"belongs at {target})"
    )


def _urls(model: Model) -> Iterator[str]:
    first = os.environ.get(MIRROR)
    if first:
        yield f"{first.rstrip('/')}/{model.weights}"
    yield from model.urls


def _try(
    model: Model,
    url: str,
    target: Path,
    part: Path,
    progress: Progress | None,
    timeout: float,
    pause: float,
) -> str | None:
    """Download from one mirror; what was wrong with it."""
    pooch = extra("pooch", "download")
    pooch.get_logger().setLevel("WARNING")
    from darknet_py.transfer import Refused, Transfer

    while True:
        transfer = Transfer(part, model.sizes, progress, timeout, pause)
        try:
            pooch.retrieve(
                url, model.hash, fname=target.name, path=target.parent, downloader=transfer
            )
        except Refused as refusal:
            return str(refusal)
        except ValueError:  # the hash; pooch has deleted the file
            if transfer.resumed:
                continue  # with a beginning that was another file's, perhaps
            kind = (model.hash or "").partition(":")[0]
            return f"gives another file: its {kind} is not the one known"
        return None


@contextlib.contextmanager
def _part(target: Path) -> Iterator[Path]:
    """The unfinished file, that of an earlier download if there is one; ours alone meanwhile."""
    free = target.with_name(f"{target.name}.part")
    own = target.with_name(f"{target.name}.{os.getpid()}.part")
    oldest = time.time() - STALE
    for path in target.parent.glob("*.part"):
        if path.name.startswith(f"{target.name}.") and path not in (free, own):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.replace(free)
    with contextlib.suppress(OSError):
        free.replace(own)
    try:
        yield own
    finally:
        with contextlib.suppress(OSError):
            if own.stat().st_size:
                own.replace(free)
            else:
                own.unlink()

"""The images of a command: named in the line, in lists and folders, or asked for."""

from __future__ import annotations

import glob
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from darknet_py.datafile import read_list
from darknet_py.errors import DarknetError, ImageError
from darknet_py.files import packaged
from darknet_py.filetype import PICTURES
from darknet_py.pipeline import overlap

Prepared = TypeVar("Prepared")
Output = TypeVar("Output")


def for_each_image(words: Sequence[str], answer: Callable[[str], Callable[[], None]]) -> int:
    """Answer every image; the exit status is 1 if one of them failed.

    `answer` works on one image and gives back what prints it. An image that fails takes a
    line on stderr, and the next one follows.
    """
    status = 0
    bar = Bar()
    for path, number, total in _numbered(words):
        bar.show(number, total)
        try:
            show = answer(path)
        except DarknetError as error:
            bar.clear()
            sys.stdout.flush()
            print(f"darknet-py: {error}", file=sys.stderr)
            status = 1
            continue
        bar.clear()
        show()
        sys.stdout.flush()
    return status


def for_all_images(
    words: Sequence[str],
    prepare: Callable[[str], Prepared],
    run: Callable[[Sequence[Prepared]], Sequence[Output]],
    answer: Callable[[str, Prepared, Output], Callable[[], None]],
    batch: int,
    *,
    quiet: bool = False,
) -> int:
    """The same in three parts, which overlap where there are several images.

    Args:
        words: as they stand in the line; none: images are asked for.
        prepare: reads an image, in a thread of its own.
        run: computes a batch, in another.
        answer: works on one image's output and gives back what prints it.
        batch: how many images run at once.
        quiet: do not print how many images a second were answered.
    """

    def answer_one(path: str) -> Callable[[], None]:
        prepared = prepare(path)
        return answer(path, prepared, run([prepared])[0])

    images = [image for word in words for image in expand(word)]
    if len(images) < 2:
        return for_each_image(words, answer_one)
    failed, start, bar = 0, time.perf_counter(), Bar()
    bar.show(0, len(images))
    for number, result in enumerate(overlap(images, prepare, run, batch), 1):
        try:
            show = answer(result.item, *result.get())
        except DarknetError as error:
            bar.clear()
            sys.stdout.flush()
            print(f"darknet-py: {error}", file=sys.stderr)
            failed += 1
        else:
            bar.clear()
            show()
            sys.stdout.flush()
        bar.show(number, len(images))
    bar.clear()
    seconds, count = time.perf_counter() - start, len(images) - failed
    if not quiet:
        rate = f"{count} images in {seconds:.2f} seconds: {count / seconds:.1f} images/s"
        print(rate, file=sys.stderr)
    return 1 if failed else 0


def expand(word: str) -> list[str]:
    """The images that a word names: itself, those of a folder, a .txt list or a pattern (`*.jpg`).

    Raises:
        DarknetError: a folder or pattern without images, or a list that cannot be read.
    """
    path = Path(word)
    if path.is_dir():
        images = sorted(str(p) for p in path.iterdir() if p.suffix.lower() in PICTURES)
        if not images:
            raise ImageError(f"{word}: this folder holds no images ({' '.join(PICTURES)})")
        return images
    if path.suffix.lower() == ".txt":
        images = [line.strip() for line in read_list(word)]
        if not images:
            raise ImageError(f"{word}: this list names no images")
        return images
    if not path.exists() and glob.has_magic(word):
        images = sorted(glob.glob(word, recursive=True))
        if not images:
            raise ImageError(f"{word}: this pattern matches no images")
        return images
    found = None if path.exists() else packaged(word)
    return [word if found is None else str(found)]


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all.

    Raises:
        DarknetError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8", errors="surrogateescape")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DarknetError(f"{path}: cannot be written: {error.strerror}") from None


def _numbered(words: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Each image with its number and how many there are (0: nobody knows)."""
    if words:
        images = [image for word in words for image in expand(word)]
        for number, image in enumerate(images):
            yield image, number, len(images)
        return
    while True:
        print("Enter Image Path: ", end="", flush=True)
        line = sys.stdin.readline() if sys.stdin else ""  # closed: None
        if not line:
            return
        if line.strip():
            yield line.strip(), 0, 0


class Bar:
    """How far a list is, at the bottom of a terminal; nothing elsewhere."""

    def __init__(self) -> None:
        self.shown = ""

    def show(self, number: int, total: int) -> None:
        """Show that `number` of `total` are done."""
        if total > 1 and sys.stderr.isatty():
            count = f"{number}/{total}"
            room = min(30, shutil.get_terminal_size().columns - len(count) - 4)
            done = "#" * (room * number // total)
            bar = f"[{done:<{room}}] " if room > 0 else ""
            self.shown = f"{bar}{count}"
            print(f"\r{self.shown}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take it away."""
        if self.shown:
            print(f"\r{'':{len(self.shown)}}\r", end="", file=sys.stderr, flush=True)
            self.shown = ""

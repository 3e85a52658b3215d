"""The result files of `detector valid`, which the data sets' own tools score.

C: detector.c:validate_detector, print_cocos, print_detector_detections and the like.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from darknet_py.errors import DarknetError
from darknet_py.evaluation.stream import Found
from darknet_py.replacing import replacing

_SKIPPED = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
COCO_IDS = [number for number in range(1, 91) if number not in _SKIPPED]
"""COCO's own number of each of its 80 classes (C: detector.c:coco_ids)."""
IMAGENET_CLASSES = 200
KITTI = ("car", "pedestrian", "cyclist")
BDD = (
    *("bike", "bus", "car", "motor", "person"),
    *("rider", "traffic light", "traffic sign", "train", "truck"),
)


class ResultFile(ABC):
    """Takes pictures one after the other; it is closed by `writing`."""

    default_name = ""
    classes: int | None = None
    """The most classes the format knows."""

    def __init__(self, folder: Path, name: str | None, names: Sequence[str]) -> None:
        self.folder, self.name = folder, name or self.default_name
        self.names = list(names)
        if self.classes is not None and len(self.names) > self.classes:
            raise DarknetError(
                f"{type(self).__name__} files have {self.classes} classes, not {len(self.names)}"
            )

    @abstractmethod
    def open(self, stack: ExitStack) -> None:
        """Open the files; `stack` closes them."""

    @abstractmethod
    def add(self, found: Found) -> None:
        """Write one picture's boxes."""

    def finish(self) -> None:  # noqa: B027  # most formats have no end
        """Write what stands at the end."""


class Voc(ResultFile):
    """One file for each class, with lines `id probability xmin ymin xmax ymax`."""

    default_name = "comp4_det_test_"
    first_pixel = 1
    """The number of the first pixel."""

    def open(self, stack: ExitStack) -> None:  # noqa: D102
        self.files = [
            stack.enter_context(replacing(self.folder / f"{self.name}{name.replace('/', '_')}.txt"))
            for name in self.names
        ]

    def add(self, found: Found) -> None:  # noqa: D102
        corners = pixel_corners(found, self.first_pixel)
        name = file_id(found.path)
        for box, class_id, score in scored(found):
            if class_id < len(self.files):
                _write(self.files[class_id], f"{name} {score:f} {_floats(corners[box], ' ')}\n")


class FirstVoc(Voc):
    """The same of `yolo valid`, where pixels count from 0 (C: yolo.c:print_yolo_detections)."""

    first_pixel = 0


class OneFile(ResultFile):
    """Formats of one file."""

    suffix = ".json"

    def open(self, stack: ExitStack) -> None:  # noqa: D102
        self.file = stack.enter_context(replacing(self.folder / f"{self.name}{self.suffix}"))


class Listed(OneFile):
    """A JSON list with one object for each box and class."""

    def open(self, stack: ExitStack) -> None:  # noqa: D102
        super().open(stack)
        _write(self.file, "[")
        self.separator = "\n"

    def add(self, found: Found) -> None:  # noqa: D102
        for text in self.objects(found):
            _write(self.file, self.separator + text)
            self.separator = ",\n"

    @abstractmethod
    def objects(self, found: Found) -> Iterator[str]:
        """The text of each object."""

    def finish(self) -> None:  # noqa: D102
        _write(self.file, "\n]\n")


class Coco(Listed):
    """COCO's results; a picture's number is found in its name."""

    default_name = "coco_results"
    classes = len(COCO_IDS)

    def objects(self, found: Found) -> Iterator[str]:  # noqa: D102
        number = image_number(found.path)
        corners = pixel_corners(found)
        corners[:, 2:] -= corners[:, :2]
        for box, class_id, score in scored(found):
            yield (
                f'{{"image_id":{number}, "category_id":{COCO_IDS[class_id]}, '
                f'"bbox":[{_floats(corners[box])}], "score":{score:f}}}'
            )


class Bdd(Listed):
    """The results of Berkeley DeepDrive (C: AlexeyAB's detector.c:print_bdd_detections)."""

    default_name = "bdd_results"
    classes = len(BDD)

    def objects(self, found: Found) -> Iterator[str]:  # noqa: D102
        name = json.dumps(_base(found.path).replace(".jpg", "", 1), ensure_ascii=False)
        corners = pixel_corners(found)
        for box, class_id, score in scored(found):
            yield (
                f'\t{{\n\t\t"name":{name},\n\t\t"category":"{BDD[class_id]}",\n'
                f'\t\t"bbox":[{_floats(corners[box])}],\n\t\t"score":{score:f}\n\t}}'
            )


class ImageNet(OneFile):
    """Lines `image class probability xmin ymin xmax ymax`, of 200 classes that count from 1."""

    default_name = "imagenet-detection"
    suffix = ".txt"

    def add(self, found: Found) -> None:  # noqa: D102
        corners = pixel_corners(found)
        for box, class_id, score in scored(found):
            if class_id < IMAGENET_CLASSES:
                numbers = f"{found.index + 1} {class_id + 1} {score:f}"
                _write(self.file, f"{numbers} {_floats(corners[box], ' ')}\n")


class Kitti(ResultFile):
    """A file for each picture (C: AlexeyAB's detector.c:print_kitti_detections)."""

    default_name = "kitti_results"
    classes = len(KITTI)

    def open(self, stack: ExitStack) -> None:  # noqa: D102
        self.data = self.folder / self.name / "data"
        self.data.mkdir(parents=True, exist_ok=True)

    def add(self, found: Found) -> None:  # noqa: D102
        corners = pixel_corners(found)
        with replacing(self.data / f"{file_id(found.path)}.txt") as file:
            for box, class_id, score in scored(found):
                place = _floats(corners[box], " ")
                line = f"{KITTI[class_id]} -1 -1 -10 {place} -1 -1 -1 -1000 -1000 -1000 -10"
                _write(file, f"{line} {score:f}\n")


FORMATS: dict[str, type[ResultFile]] = {
    "voc": Voc,
    "coco": Coco,
    "imagenet": ImageNet,
    "bdd": Bdd,
    "kitti": Kitti,
}
"""By the value of `eval` in a .data file; another value is `voc`, as in C."""


@contextmanager
def writing(file: ResultFile) -> Iterator[ResultFile]:
    """The result file, open; what it writes takes its place once all is well."""
    file.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file.open(stack)
        yield file
        file.finish()


def scored(found: Found) -> Iterator[tuple[int, int, float]]:
    """Box, class and score of all that is not 0, box by box."""
    scores = found.detections.scores
    for box, class_id in np.argwhere(scores > 0).tolist():
        yield box, class_id, float(scores[box, class_id])


def pixel_corners(found: Found, first: int = 0) -> np.ndarray:
    """xmin, ymin, xmax, ymax in pixels, inside the picture; pixels count from `first`."""
    size = np.array((found.width, found.height), np.float32)
    centres = (found.detections.boxes[:, :2] * size).astype(np.float64)
    halves = (found.detections.boxes[:, 2:] * size).astype(np.float64) / 2
    low = np.maximum((centres - halves + first).astype(np.float32), np.float32(first))
    high = np.minimum((centres + halves + first).astype(np.float32), size)
    return np.concatenate([low, high], axis=1)


def file_id(path: str) -> str:
    """A file's name up to its first dot (C: utils.c:basecfg)."""
    return _base(path).partition(".")[0]


def image_number(path: str) -> int:
    """COCO's number of a picture: the digits its name starts with, or those after the last `_`.

    C: detector.c:get_coco_image_id, print_cocos.
    """
    name = _base(path)
    digits = re.match(r"\d+", name) or re.match(r"\d+", name.rpartition("_")[2])
    return int(digits[0]) if digits else 0


def _base(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).name


def _floats(values: np.ndarray, separator: str = ", ") -> str:
    return separator.join(f"{value:f}" for value in values.tolist())


def _write(file: BinaryIO, text: str) -> None:
    file.write(text.encode("utf-8", "surrogateescape"))

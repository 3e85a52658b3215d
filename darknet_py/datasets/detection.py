"""Training data of detectors: pictures with rows of boxes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from darknet_py.augmentation import colour, draws, geometry, mosaic
from darknet_py.augmentation.windows import Draw, Window, WindowOptions
from darknet_py.datasets.base import Listed
from darknet_py.datasets.boxes import LabelFiles, Move, fill_grid, fill_rows
from darknet_py.datasets.pictures import Picture, Pictures
from darknet_py.datasets.sequences import Sequences
from darknet_py.labels import BoxLabels, grid_label_path, label_path

_PLACED_LEAST = 0.001
"""The least side of a box in pjreddie's rows, as a part of the image."""


@dataclass
class Boxes(Listed):
    """What the data sets of boxes share: pictures, and label files beside them."""

    classes: int = 1
    rule: Literal["anywhere", "folders"] = "anywhere"
    """`Dialect.label_path`."""
    options: WindowOptions = field(default_factory=WindowOptions)
    pictures: Pictures = field(default_factory=Pictures)
    labels: LabelFiles = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.labels = LabelFiles(self.classes, self.bad)

    def label_of(self, path: str) -> BoxLabels:
        """The boxes of the picture at `path`."""
        return self.labels.read(self.label_file(self.pictures.find(path)))

    def label_file(self, path: str) -> str:
        """The label file of a picture."""
        return label_path(path, self.rule)

    @abstractmethod
    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """See `Dataset.row`."""

    def recolour(self, random: np.random.Generator, picture: np.ndarray) -> np.ndarray:
        """A float32 picture with other colours, within the options' limits."""
        o = self.options
        return colour.random_distort(random, picture, o.hue, o.saturation, o.exposure)


@dataclass
class PlacedDetection(Boxes):
    """pjreddie's: each picture shrinks to a random aspect, somewhere on grey.

    Truth: `most` rows of x, y, width, height, class. C: data.c:load_data_detection.
    """

    most: int = 90

    @property
    def truths(self) -> int:
        """Five for each box."""
        return 5 * self.most

    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """Fill one row."""
        random = self.random(iteration, place)
        path = self.paths[self.draw(random)]
        pixels = self.pictures.read(path).pixels
        high, wide = pixels.shape[:2]
        height, width = image.shape[1:]
        jitter = self.options.jitter
        across = wide + draws.uniform(random, -jitter * wide, jitter * wide)
        down = high + draws.uniform(random, -jitter * high, jitter * high)
        aspect = across / down
        new_width, new_height = (height * aspect, float(height))
        if aspect >= 1:
            new_width, new_height = float(width), width / aspect
        dx = draws.uniform(random, 0, width - new_width)
        dy = draws.uniform(random, 0, height - new_height)
        canvas = np.full((height, width, pixels.shape[2]), 0.5, np.float32)
        # PARITY: the picture moves by whole pixels, its boxes do not (C: image.c:place_image)
        geometry.place(pixels, canvas, int(dx), int(dy), int(new_width), int(new_height))
        canvas = self.recolour(random, canvas)
        mirrored = draws.coin(random)
        if mirrored:
            canvas = geometry.flip(canvas)
        geometry.to_input(canvas, image)
        move = Move(new_width / width, new_height / height, -dx / width, -dy / height, mirrored)
        rows = truth.reshape(self.most, 5)
        fill_rows(rows, self.label_of(path), move, random, (_PLACED_LEAST, _PLACED_LEAST))
        return path


@dataclass
class GridDetection(Boxes):
    """Data for [detection]: windows that repeat the edge pixels, and a grid of truth.

    Truth: for each cell of `side` x `side` 1, the class, x, y, width, height.
    C: data.c:load_data_region.
    """

    side: int = 7
    least: float = 0.005

    @property
    def truths(self) -> int:
        """Five and the classes for each cell."""
        return self.side**2 * (5 + self.classes)

    def label_file(self, path: str) -> str:
        """The label file of a picture."""
        return grid_label_path(path, self.rule)

    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """Fill one row."""
        random = self.random(iteration, place)
        path = self.paths[self.draw(random)]
        pixels = self.pictures.read(path).pixels
        high, wide = pixels.shape[:2]
        height, width = image.shape[1:]
        dw, dh = int(wide * self.options.jitter), int(high * self.options.jitter)
        left, right = (int(draws.uniform(random, -dw, dw)) for _ in range(2))
        top, bottom = (int(draws.uniform(random, -dh, dh)) for _ in range(2))
        window = Window(left, right, top, bottom).box(wide, high)
        mirrored = draws.coin(random)
        picture = geometry.crop_and_resize(pixels, window, width, height)
        if mirrored:
            picture = geometry.flip(picture)
        geometry.to_input(self.recolour(random, picture), image)
        grid = truth.reshape(self.side, self.side, -1)
        move = move_of(window, wide, high, mirrored)
        fill_grid(grid, self.label_of(path), move, random, self.least)
        return path


def move_of(window: tuple[int, int, int, int], width: int, height: int, mirrored: bool) -> Move:
    """The move of a picture of `width` x `height` cut to `window` (left, top, width, height)."""
    left, top, wide, high = window
    return Move(width / wide, height / high, left / wide, top / high, mirrored)


@dataclass
class CroppedDetection(Boxes):
    """AlexeyAB's: a random window of each picture, and four or two pictures in one.

    Truth: `most` rows of x, y, width, height, class, track. C: data.c:load_data_detection.
    """

    most: int = 200
    mixing: Literal["", "mixup", "mosaic"] = ""
    mosaic_bound: bool = False
    contrastive: bool = False
    contrastive_jit_flip: bool = False
    contrastive_color: bool = False
    sequences: Sequences | None = None
    """track=1: rows are the frames of videos."""

    @property
    def truths(self) -> int:
        """Six for each box."""
        return 6 * self.most

    def row(self, iteration: int, place: int, image: np.ndarray, truth: np.ndarray) -> str:
        """Fill one row."""
        random = self.random(iteration, place)
        rows = truth.reshape(self.most, 6)
        size = (image.shape[2], image.shape[1])
        mixing = self.mixing
        if mixing and draws.coin(self.random(iteration, self._group(iteration, place), 1)):
            mixing = ""
        if mixing == "mosaic":
            return self._mosaic(iteration, place, random, size, image, rows)
        pixels, boxes, path = self._view(iteration, place, 0, random, size)[:3]
        geometry.to_input(pixels, image)
        rows[:] = boxes
        if mixing == "mixup":
            pixels, boxes, _ = self._view(iteration, place, 1, random, size)[:3]
            other = np.empty_like(image)
            geometry.to_input(pixels, other)
            image += other
            image *= np.float32(0.5)
            mosaic.append_boxes(rows, boxes)
        return path

    def _mosaic(
        self,
        iteration: int,
        place: int,
        random: np.random.Generator,
        size: tuple[int, int],
        image: np.ndarray,
        rows: np.ndarray,
    ) -> str:
        cut = mosaic.draw_cut(random, *size)
        joined = np.empty((size[1], size[0], len(image)), np.uint8)
        paths = []
        for index in range(4):
            pixels, boxes, path, window, sides = self._view(
                iteration, place, index, random, size, to_corner=draws.coin(random)
            )
            quarter = mosaic.Quarter.of(index, cut, size, window, sides)
            quarter.paste(pixels, joined)
            quarter.add_boxes(rows, boxes, bound=self.mosaic_bound)
            paths.append(path)
        geometry.to_input(joined, image)
        return paths[0]

    def _group(self, iteration: int, place: int) -> int:
        """The first place of those that share what is drawn."""
        if self.sequences is not None:
            return self.sequences.first(iteration, place)
        return place - place % 2 if self.contrastive else place

    def _draw(self, iteration: int, place: int, stage: int) -> Draw:
        """What happens to picture `stage` of a row."""
        group = self._group(iteration, place)
        first = Draw.of(self.random(iteration, group, 2, stage), self.options)
        if self.sequences is not None or group == place:
            return first
        own = Draw.of(self.random(iteration, place, 2, stage), self.options)
        return own.like(
            first, place=not self.contrastive_jit_flip, colour=not self.contrastive_color
        )

    def _path(self, iteration: int, place: int, stage: int) -> str:
        if self.sequences is None:
            group = self._group(iteration, place)
            return self.paths[self.draw(self.random(iteration, group, 3, stage))]
        return self.paths[
            self.sequences.frame(iteration, place, self.length, self.seed, stage, self.contrastive)
        ]

    def _view(
        self,
        iteration: int,
        place: int,
        stage: int,
        random: np.random.Generator,
        size: tuple[int, int],
        *,
        to_corner: bool = False,
    ) -> tuple[np.ndarray, np.ndarray, str, Window, tuple[int, int]]:
        """Picture `stage` of a row, uint8; its boxes, path, window and sides."""
        path = self._path(iteration, place, stage)
        picture = self.pictures.read(path)
        draw = self._draw(iteration, place, stage)
        sides = (picture.pixels.shape[1], picture.pixels.shape[0])
        window = Window.of(draw, self.options, sides, size)
        if to_corner:
            window = window.to_corner(stage, draw.mirrored)
        box = window.box(*sides)
        window = Window(box[0], window.right, box[1], window.bottom)
        boxes = np.zeros((self.most, 6), np.float32)
        move = move_of(box, *sides, draw.mirrored)
        fill_rows(boxes, self.label_of(path), move, random, (1 / size[0], 1 / size[1]))
        pixels = self._paint(random, draw, picture, box, boxes, size)
        if draw.mirrored:
            window = Window(window.right, window.left, window.top, window.bottom)
        return pixels, boxes, path, window, sides

    def _paint(
        self,
        random: np.random.Generator,
        draw: Draw,
        picture: Picture,
        box: tuple[int, int, int, int],
        boxes: np.ndarray,
        size: tuple[int, int],
    ) -> np.ndarray:
        pixels = geometry.cut(picture.pixels, box, *size, picture.mean)
        if draw.mirrored:
            pixels = geometry.flip(pixels)
        pixels = colour.distort_bytes(pixels, draw.hue, draw.saturation, draw.exposure)
        pixels = colour.blur_around(pixels, boxes[: mosaic.count_rows(boxes)], draw.blur)
        return colour.add_noise(random, pixels, draw.noise) if draw.noise else pixels

"""Draw labelled training pictures: `python data/generate.py shapes|glyphs FOLDER`.

`shapes` makes a detection set: eight kinds of figures, turned, stretched, textured and partly
hidden, on textured grounds. `glyphs` makes a classification set: letters and digits in OpenCV's
fonts. Both write pictures, Darknet's label files, lists, a .names and a .data file. The same
seed gives the same pictures.
"""

from __future__ import annotations

import argparse
import itertools
import string
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

SHAPES = ("disc", "square", "triangle", "star", "cross", "ring", "heart", "arrow")
GLYPHS = string.digits + "".join(c for c in string.ascii_uppercase if c not in "IO")
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
)
SIDE = 224
"""Of a picture of shapes, in pixels; a glyph's has 32."""


def draw_ground(random: np.random.Generator, side: int) -> np.ndarray:
    """A textured ground, float32 `(side, side, 3)` from 0 to 255."""
    ground = np.full((side, side, 3), random.uniform(20, 235, 3), np.float32)
    for cells in (2, 5, 13, 40):  # noise of several sizes
        count = min(cells, side)
        coarse = random.normal(0, 1, (count, count, 3 if random.random() < 0.5 else 1))
        coarse = np.broadcast_to(coarse, (count, count, 3)).astype(np.float32)
        fine = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
        ground += fine * random.uniform(0, 30)
    if random.random() < 0.3:  # stripes
        angle, period = random.uniform(0, np.pi), random.uniform(6, 40)
        y, x = np.mgrid[0:side, 0:side]
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
        ground += wave[..., None].astype(np.float32) * random.uniform(5, 30, 3).astype(np.float32)
    ground = np.ascontiguousarray(ground)
    for _ in range(random.integers(0, 6)):  # lines that are no figures
        ends = random.integers(0, side, 4).tolist()
        color = random.uniform(0, 255, 3).tolist()
        cv2.line(ground, ends[:2], ends[2:], color, int(random.integers(1, 3)), cv2.LINE_AA)
    return ground.clip(0, 255)


def outline(kind: str) -> tuple[np.ndarray, float]:
    """The corners of a figure inside the unit circle, and the radius of its hole."""
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    if kind in ("disc", "ring"):
        points = np.stack([np.cos(angles), np.sin(angles)], 1)
    elif kind == "square":
        points = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * 0.75
    elif kind == "triangle":
        points = np.array([(0, -1), (0.9, 0.7), (-0.9, 0.7)])
    elif kind == "star":
        turns = np.arange(10) * np.pi / 5 - np.pi / 2
        radii = np.where(np.arange(10) % 2, 0.42, 1.0)
        points = np.stack([radii * np.cos(turns), radii * np.sin(turns)], 1)
    elif kind == "cross":
        a, b = 0.3, 0.95
        half = [(-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a)]
        points = np.array([*half, *((-x, -y) for x, y in half)])
    elif kind == "heart":
        x = 16 * np.sin(angles) ** 3
        y = 13 * np.cos(angles) - 5 * np.cos(2 * angles) - 2 * np.cos(3 * angles)
        points = np.stack([x, -(y - np.cos(4 * angles))], 1) / 17
    else:  # arrow
        right = [(0.7, -0.2), (0.28, -0.2), (0.28, 0.95)]
        points = np.array([(0, -1), *right, *((-x, y) for x, y in reversed(right))])
    return points, 0.55 if kind == "ring" else 0.0


def draw_shape(random: np.random.Generator, kind: str, side: int) -> np.ndarray:
    """One figure's mask, float32 `(side, side)` from 0 to 1."""
    points, hole = outline(kind)
    radius = np.exp(random.uniform(np.log(0.045), np.log(0.24))) * side
    angle = random.uniform(-0.35, 0.35) if random.random() < 0.7 else random.uniform(-np.pi, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn * radius @ np.diag(random.uniform(0.75, 1.0, 2))
    centre = random.uniform(0.06, 0.94, 2) * side
    mask = np.zeros((side, side), np.uint8)
    for scale, value in ((1.0, 255), (hole, 0)):
        if scale:
            corners = (points * scale) @ matrix.T + centre
            fixed = np.round(corners * 16).astype(np.int32)  # sixteenths of a pixel
            cv2.fillPoly(mask, [fixed], value, cv2.LINE_AA, shift=4)
    return mask.astype(np.float32) / 255


def finish(random: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Blur, noise and uneven light, as uint8."""
    side = len(picture)
    if random.random() < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.3, 1.1))
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side - 0.5
    light = 1 + x * random.uniform(-0.5, 0.5) + y * random.uniform(-0.5, 0.5)
    picture = picture * light[..., None] + random.normal(0, random.uniform(0, 9), picture.shape)
    return np.asarray(picture.clip(0, 255)).astype(np.uint8)


def shapes_picture(random: np.random.Generator, side: int = SIDE) -> tuple[np.ndarray, list[str]]:
    """A picture, and the lines of its label file: class, centre and size of each figure."""
    picture, taken = draw_ground(random, side), np.zeros((side, side), bool)
    lines = []
    for _ in range(random.integers(1, 8)):
        number = int(random.integers(len(SHAPES)))
        mask = draw_shape(random, SHAPES[number], side)
        solid = mask > 0.5
        if solid.sum() < 40 or (solid & taken).sum() > 0.15 * solid.sum():
            continue  # too little of it inside, or it would hide another one
        ground = picture[solid].mean(0)
        color = random.uniform(0, 255, 3)
        while np.abs(color - ground).sum() < 90:
            color = random.uniform(0, 255, 3)
        shade = color + (draw_ground(random, side) - 128) * random.uniform(0, 0.35)
        picture = picture + (shade - picture) * mask[..., None]
        taken |= solid
        rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        box = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
        lines.append(" ".join([str(number), *(f"{v / side:.6f}" for v in box)]))
    return finish(random, picture), lines


def glyph_picture(random: np.random.Generator, glyph: str, side: int = 32) -> np.ndarray:
    """A letter or a digit, `(side, side, 3)` uint8."""
    large = 4 * side
    ground = draw_ground(random, large)
    mask = np.zeros((large, large), np.uint8)
    font, scale = FONTS[random.integers(len(FONTS))], random.uniform(2.2, 4.2)
    width = int(random.integers(3, 14))
    (w, h), _ = cv2.getTextSize(glyph, font, scale, width)
    cv2.putText(mask, glyph, ((large - w) // 2, (large + h) // 2), font, scale, 255, width)
    middle = np.array([large / 2, large / 2])
    turn = cv2.getRotationMatrix2D((0, 0), random.uniform(-18, 18), 1)
    turn[:, :2] += random.uniform(-0.12, 0.12, (2, 2))  # slanted and stretched
    turn[:, 2] = middle - turn[:, :2] @ middle + random.uniform(-0.12, 0.12, 2) * large
    mask = cv2.warpAffine(mask, turn, (large, large), flags=cv2.INTER_LINEAR)
    color, mean = random.uniform(0, 255, 3), ground.mean((0, 1))
    while np.abs(color - mean).sum() < 110:
        color = random.uniform(0, 255, 3)
    picture = ground + (color - ground) * (mask[..., None] / 255)
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return finish(random, small)


def write_shapes(folder: Path, counts: dict[str, int], seed: int) -> None:
    """The detection set; label files lie beside the pictures, where both forks look for them."""
    for name, picture, lines in _each(counts, seed, shapes_picture):
        cv2.imwrite(
            str(folder / "pictures" / f"{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 92]
        )
        (folder / "pictures" / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    _write_data(folder, counts, SHAPES, "jpg", {})


def write_glyphs(folder: Path, counts: dict[str, int], seed: int) -> None:
    """The classification set; a picture's class stands in its name."""

    def draw(random: np.random.Generator) -> tuple[np.ndarray, str]:
        glyph = GLYPHS[random.integers(len(GLYPHS))]
        return glyph_picture(random, glyph), glyph

    written: dict[str, list[str]] = {part: [] for part in counts}
    for name, picture, glyph in _each(counts, seed, draw):
        path = folder / "pictures" / f"{name}_{glyph}.png"
        cv2.imwrite(str(path), picture)
        written[name.partition("_")[0]].append(str(path))
    (folder / "labels.txt").write_text("".join(f"_{glyph}.\n" for glyph in GLYPHS))
    _write_data(folder, counts, GLYPHS, "png", {"labels": folder / "labels.txt", "top": 5})
    for part, paths in written.items():
        (folder / f"{part}.txt").write_text("".join(f"{path}\n" for path in paths))


def _each(
    counts: dict[str, int], seed: int, draw: Callable[[np.random.Generator], tuple]
) -> Iterator[tuple]:
    """(name, what `draw` gives) of every picture; each has random numbers of its own."""
    for (part, count), number in zip(counts.items(), itertools.count()):
        for index in range(count):
            yield f"{part}_{index:05d}", *draw(np.random.default_rng((seed, number, index)))


def _write_data(folder: Path, counts: dict, names: object, suffix: str, more: dict) -> None:
    for part, count in counts.items():
        paths = (folder / "pictures" / f"{part}_{index:05d}.{suffix}" for index in range(count))
        (folder / f"{part}.txt").write_text("".join(f"{path}\n" for path in paths))
    (folder / f"{folder.name}.names").write_text("".join(f"{name}\n" for name in names))
    options = {
        "classes": len(names),
        "train": folder / "train.txt",
        "valid": folder / "valid.txt",
        "names": folder / f"{folder.name}.names",
        "backup": folder / "backup",
        **more,
    }
    (folder / "backup").mkdir(exist_ok=True)
    text = "".join(f"{key} = {value}\n" for key, value in options.items())
    (folder / f"{folder.name}.data").write_text(text)


def main() -> None:
    """Write one of the two sets."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=("shapes", "glyphs"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=4000, help="training pictures")
    parser.add_argument("--valid", type=int, default=500, help="pictures for validation")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    folder = args.folder.resolve()
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    write = write_shapes if args.kind == "shapes" else write_glyphs
    write(folder, {"train": args.train, "valid": args.valid}, args.seed)
    print(f"{folder / folder.name}.data: {args.train} pictures to train on, {args.valid} to test")


if __name__ == "__main__":
    main()

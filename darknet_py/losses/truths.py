"""The objects that a truth lists, and which predicted boxes lie on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Truths:
    """The objects of a mini-batch in a row: image after image, in the order of the labels.

    `counts` says how many each image has.
    """

    boxes: Tensor
    """(n, 4) cxcywh relative to the image."""
    classes: Tensor
    """(n,) as labelled."""
    tracks: Tensor
    """(n,) the number of the thing seen, for tracking; 0 where the truth has none."""
    images: Tensor
    """(n,) the image each belongs to."""
    counts: list[int]
    rows: Tensor
    """(n, row) everything the truth says of each."""


def read_truths(truth: Tensor, row: int, limit: int, classes: int, coords: int = 4) -> Truths:
    """The objects in a truth `(batch, n)`, `row` values for each.

    A row whose x is 0 ends an image's list. Objects of a class that is not one of `classes` are
    left out: AlexeyAB's skips them, pjreddie's writes past its arrays.

    Args:
        truth: as the data set gives it.
        row: values of each object: the box, the class, more.
        limit: the most objects of an image that count.
        classes: how many there are.
        coords: the place of the class in a row.
    """
    table = truth[:, : truth.shape[1] // row * row].reshape(len(truth), -1, row)[:, :limit]
    listed = (table[..., 0] != 0).cumprod(1).bool()
    number = table[..., coords].trunc()
    chosen = listed & (number >= 0) & (number < classes)
    images = chosen.nonzero()[:, 0]
    rows = table[chosen]
    tracks = rows[:, 5].long() if row > 5 and coords == 4 else torch.zeros_like(images)
    return Truths(
        boxes=rows[:, :4],
        classes=rows[:, coords].long(),
        tracks=tracks,
        images=images,
        counts=chosen.sum(1).tolist(),
        rows=rows,
    )


def best_overlaps(boxes: Tensor, truths: Truths, wanted: Tensor) -> Tensor:
    """The IoU of each predicted box with the object of its image that it lies on best.

    Args:
        boxes: `(4, batch, n)`.
        truths: the objects.
        wanted: `(batch, n)`, the boxes to look at; all others get 0.

    Returns:
        `(batch, n)`.
    """
    best = torch.zeros_like(boxes[0])
    start = 0
    for image, count in enumerate(truths.counts):
        theirs = truths.boxes[start : start + count]
        start += count
        if count:
            rows = wanted[image]
            found = boxes[:, image, rows]
            if found.shape[1]:
                best[image, rows] = _overlaps(found, theirs).amax(0)
    return best


def best_objects(boxes: Tensor, truths: Truths, chosen: Tensor) -> Tensor:
    """Which object, of all in the mini-batch, each chosen box lies on best: the first such.

    Args:
        boxes: `(4, batch, n)`.
        truths: the objects.
        chosen: `(batch, n)`.

    Returns:
        One number for each chosen box, in the order of `chosen.nonzero()`.
    """
    start, found = 0, []
    for image, count in enumerate(truths.counts):
        if count:
            theirs = truths.boxes[start : start + count]
            overlaps = _overlaps(boxes[:, image, chosen[image]], theirs)
            found.append(overlaps.argmax(0) + start)
        start += count
    return torch.cat(found) if found else chosen.new_zeros(0, dtype=torch.long)


def _overlaps(boxes: Tensor, truths: Tensor) -> Tensor:
    """The IoU `(m, n)` of `(4, n)` boxes with `(m, 4)` objects; 0 in place of NaN."""
    x, y, width, height = boxes
    tx, ty, twidth, theight = truths.T.unsqueeze(-1)
    across = torch.minimum(x + width / 2, tx + twidth / 2)
    across = across.sub_(torch.maximum(x - width / 2, tx - twidth / 2)).clamp_(min=0)
    down = torch.minimum(y + height / 2, ty + theight / 2)
    down = down.sub_(torch.maximum(y - height / 2, ty - theight / 2)).clamp_(min=0)
    common = across.mul_(down)
    union = (width * height + twidth * theight).sub_(common)
    return common.div_(union).nan_to_num_(0.0)


def rounds(keys: Tensor) -> list[Tensor]:
    """Indices of `keys` in rounds: the first of each key, then the second of each, and so on.

    What must happen to one cell in order is so done for all cells at once.
    """
    if not len(keys):
        return []
    ordered, index = keys.sort(stable=True)
    place = torch.arange(len(keys), device=keys.device)
    begins = torch.ones_like(ordered, dtype=torch.bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    rank = place - torch.where(begins, place, 0).cummax(0).values
    return [index[rank == r] for r in range(int(rank.max()) + 1)]

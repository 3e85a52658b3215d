"""[detection]'s loss. C: detection_layer.c:forward_detection_layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from darknet_py.heads.detection import DetectionOptions
from darknet_py.layers.base import Delta, Step
from darknet_py.losses.boxes import box_iou
from darknet_py.losses.canvas import squared

RANDOM_UNTIL = 64000
"""Images during which `random` draws the box that learns."""
FARTHEST = 20.0
"""A box farther off than this is not chosen."""


@torch.no_grad()
def detection_delta(output: Tensor, truth: Tensor, options: DetectionOptions, step: Step) -> Delta:
    """The delta for an output `(batch, side^2 (classes + num (1 + coords)))`.

    `truth` is `(batch, side^2 (1 + classes + coords))`: for each cell whether an object's centre
    lies in it, its class as 0 and 1, its place in the cell and its sides relative to the image.
    """
    o, (batch, cells) = options, (len(output), options.side**2)
    output, truth = output.float(), truth.float().reshape(batch, cells, -1)
    ends = (cells * o.classes, cells * (o.classes + o.num))
    classes, objectness, boxes = output.tensor_split(ends, 1)
    classes = classes.reshape(batch, cells, o.classes)
    objectness = objectness.reshape(batch, cells, o.num)
    boxes = boxes.reshape(batch, cells, o.num, o.coords)
    has = truth[..., 0].trunc() != 0
    wanted = truth[..., 1 : 1 + o.classes]
    place = truth[..., 1 + o.classes : 5 + o.classes]
    for_classes = torch.where(has.unsqueeze(-1), o.class_scale * (wanted - classes), 0.0)
    for_objectness = o.noobject_scale * (0 - objectness)
    for_boxes = torch.zeros_like(boxes)

    cell = has.nonzero(as_tuple=True)
    goal, found, sure = place[cell], boxes[cell][..., :4], objectness[cell]
    target = torch.cat([goal[:, :2] / o.side, goal[:, 2:]], 1)
    sides = found[..., 2:].square() if o.sqrt else found[..., 2:]
    predicted = torch.cat([found[..., :2] / o.side, sides], -1)
    iou = box_iou(predicted, target.unsqueeze(1))
    best = _responsible(predicted, target, iou, options, step).unsqueeze(-1)
    overlap, confidence = iou.gather(1, best), sure.gather(1, best)
    aim: Tensor | float = overlap if o.rescore else 1.0
    learned = o.object_scale * (aim - confidence)
    for_objectness[cell] = for_objectness[cell].scatter(1, best, learned)
    if o.sqrt:
        goal = torch.cat([goal[:, :2], goal[:, 2:].sqrt()], 1)
    row = torch.arange(len(best), device=best.device)
    taught = for_boxes[cell]
    taught[row, best[:, 0], :4] = o.coord_scale * (goal - found[row, best[:, 0]])
    for_boxes[cell] = taught
    parts = (for_classes, for_objectness, for_boxes)
    values = torch.cat([part.reshape(batch, -1) for part in parts], 1)

    count = len(best)
    scores = classes[cell]
    share = 1 / count if count else math.nan
    sums = [
        overlap.sum(),
        torch.where(wanted[cell] != 0, scores, 0.0).sum(),
        scores.sum(),
        confidence.sum(),
        objectness.sum(),
    ]
    totals: list[float] = torch.stack(sums).tolist()
    return Delta(
        values,
        squared(values),
        {
            "iou": totals[0] * share,
            "class": totals[1] * share,
            "all_classes": totals[2] * share / o.classes,
            "obj": totals[3] * share,
            "no_obj": totals[4] / objectness.numel(),
            "count": count,
        },
    )


def _responsible(
    predicted: Tensor, target: Tensor, iou: Tensor, options: DetectionOptions, step: Step
) -> Tensor:
    """Which of a cell's boxes learns the object: `(k,)`.

    The one with the best IoU, or where none overlaps, the nearest in all four numbers.
    """
    # PARITY: one that overlaps wins over a nearer one (C: detection_layer.c).
    if options.random and step.seen < RANDOM_UNTIL:
        drawn = step.random.integers(0, options.num, len(target))
        return torch.from_numpy(drawn).to(target.device)
    if options.forced:
        small = target[:, 2] * target[:, 3] < 0.1
        return torch.where(small, min(1, options.num - 1), 0)
    far = (predicted - target.unsqueeze(1)).square().sum(-1).sqrt()
    near = torch.where(far < FARTHEST, far, FARTHEST).argmin(1)
    return torch.where(iou.amax(1) > 0, iou.argmax(1), near)

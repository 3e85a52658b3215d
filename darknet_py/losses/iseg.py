"""[iseg]'s loss. C: pjreddie's iseg_layer.c:forward_iseg_layer."""

from __future__ import annotations

import torch
from torch import Tensor

from darknet_py.layers.base import Delta
from darknet_py.losses.canvas import squared

MOST = 90
"""The most objects of one image."""


@torch.no_grad()
def iseg_delta(output: Tensor, truth: Tensor, classes: int) -> Delta:
    """The delta for an output `(batch, classes + ids, h, w)`.

    `truth` is `(batch, 90 (1 + h w))`: for each object its class, -1 ends the list, and its mask.
    Pixels of an object learn its class, and an embedding that is drawn to the object's mean and
    pushed from the means of the others, by a fixed step in each direction.
    """
    output = output.float()
    batch, _, height, width = output.shape
    pixels = output.flatten(2)
    scores, embedding = pixels[:, :classes], pixels[:, classes:]
    for_scores = -scores
    for_embedding = 0.1 * -embedding
    rows = truth.float().reshape(batch, -1, 1 + height * width)[:, :MOST]
    for image in range(batch):
        listed = (rows[image, :, 0].trunc() >= 0).cumprod(0).bool()
        listed &= rows[image, :, 0] < classes
        masks = rows[image, listed, 1:]
        numbers = rows[image, listed, 0].long()
        for number, mask in zip(numbers.tolist(), masks, strict=True):
            inside = mask != 0
            fresh = mask - scores[image, number]
            for_scores[image, number] = torch.where(inside, fresh, for_scores[image, number])
        inside = masks != 0
        present = inside.any(1)
        inside = inside[present].to(output)
        means = inside @ embedding[image].T / inside.sum(1, keepdim=True)
        pull = torch.where(means.unsqueeze(-1) - embedding[image] < 0, -0.1, 0.1)
        away = pull.sum(0)  # (ids, pixels): from all objects' means together
        for own, mask in zip(pull, inside, strict=True):
            for_embedding[image] += mask * (2 * own - away)
    values = torch.cat([for_scores, for_embedding * 0.01], 1).reshape(output.shape)
    return Delta(values, squared(values))

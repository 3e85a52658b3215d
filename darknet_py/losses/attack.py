"""The adversarial step of the YOLO heads: unlearn what background is taken for."""

from __future__ import annotations

import torch
from torch import Tensor

from darknet_py.losses.canvas import Canvas


def attack(canvas: Canvas, attacked: Tensor, own_entries: int, obj_normalizer: float) -> None:
    """Change the deltas of the `attacked` boxes, which lie on no object.

    C: AlexeyAB's yolo_layer.c:process_batch, gaussian_yolo_layer.c:forward_gaussian_yolo_layer,
    where net.adversarial is set.
    """
    place = own_entries - 1
    area = canvas.boxes[2] * canvas.boxes[3]
    scale = torch.where(area > 0, area.sqrt(), area)
    objectness = canvas.out[:, :, place]
    doubt = scale * obj_normalizer * (0 - objectness)
    canvas.delta[:, :, place] = torch.where(attacked, doubt, canvas.delta[:, :, place])
    classes, size = canvas.out[:, :, own_entries:], scale.unsqueeze(2)
    scores = classes * objectness.unsqueeze(2)
    seen = attacked.unsqueeze(2) & (scores > 0.25)
    found = seen.any(2)
    taught = torch.where(seen, size * (0 - classes), canvas.delta[:, :, own_entries:])
    if own_entries == 5:  # [yolo] turns classes round and moves boxes, too
        away = found.unsqueeze(2)
        taught = torch.where(away & (scores < 0.25), size * (1 - classes), taught)
        moved = size * (0 - canvas.out[:, :, :4])
        canvas.delta[:, :, :4] += torch.where(away, moved, 0.0)
    canvas.delta[:, :, own_entries:] = taught
    canvas.touched |= found

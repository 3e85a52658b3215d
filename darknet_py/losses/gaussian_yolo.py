"""[Gaussian_yolo]'s loss. C: gaussian_yolo_layer.c:forward_gaussian_yolo_layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from darknet_py.heads.gaussian_yolo import GaussianYoloOptions
from darknet_py.layers.base import Step
from darknet_py.losses.anchored import AnchorLoss
from darknet_py.losses.boxes import box_giou, box_iou
from darknet_py.losses.canvas import Canvas, Cells, squared
from darknet_py.losses.classes import teach_classes
from darknet_py.losses.lessons import Lesson, Overlap
from darknet_py.losses.truths import Truths

SIGMA = 0.3
"""What C adds to a deviation before it divides by it."""


class GaussianYoloLoss(AnchorLoss):
    """The delta of a [Gaussian_yolo].

    The coordinates learn the likelihood of the object under their normal distributions, or with
    `iou_loss` other than mse the overlap; the deviations always the likelihood.
    """

    options: GaussianYoloOptions
    own_entries: ClassVar[int] = 9
    box_entries: ClassVar[Sequence[int]] = (0, 2, 4, 6)
    rejects: ClassVar[bool] = False

    @property
    def _half(self) -> float:
        """How far the centre is from the point that is told, in sides of the box."""
        return {"left_top": 0.5, "right_bottom": -0.5}.get(self.options.yolo_point, 0.0)

    def _boxes(
        self,
        entries: Tensor,
        cells: tuple[Tensor, Tensor],
        anchors: Tensor,
        size: tuple[int, int],
        step: Step,
    ) -> Tensor:
        width = entries[2].exp() * anchors[0] / step.image.width
        height = entries[3].exp() * anchors[1] / step.image.height
        x = (cells[0] + entries[0]) / size[1] + self._half * width
        y = (cells[1] + entries[1]) / size[0] + self._half * height
        return torch.stack([x, y, width, height])

    def _places(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        if not self._half:
            return super()._places(boxes, size)
        sides = boxes.new_tensor([size[1], size[0]])
        point = (boxes[:, :2] - self._half * boxes[:, 2:]) * sides
        return torch.minimum(point.clamp(min=0), sides - 1).trunc().long()

    def _spare(self, canvas: Canvas, truths: Truths, spared: Tensor, matched: Tensor) -> None:
        o = self.options
        where = spared.nonzero(as_tuple=True)
        if not o.objectness_smooth or not len(where[0]):
            super()._spare(canvas, truths, spared, matched)
            return
        cells = canvas.take(where)
        cells.delta[:, 8] = o.obj_normalizer * (matched[where].square() - cells.out[:, 8])
        self._teach_classes(cells, self._nearest(canvas, truths, spared, where))
        canvas.put(cells)

    def _teach_box(self, canvas: Canvas, cells: Cells, lesson: Lesson, step: Step) -> Overlap:
        o, out = self.options, cells.out[:, 0:8:2]
        deviation = cells.out[:, 1:8:2]
        height, width = canvas.touched.shape[2:]
        column, row = lesson.cell.unbind(1)
        boxes = self._boxes(out.T, (column, row), lesson.anchor.T, (height, width), step).T
        giou, iou = box_giou(boxes, lesson.box), box_iou(boxes, lesson.box)
        x, y, w, h = lesson.box.unbind(1)
        goal = torch.stack(
            [
                (x - self._half * w) * width - column,
                (y - self._half * h) * height - row,
                (w * step.image.width / lesson.anchor[:, 0]).log(),
                (h * step.image.height / lesson.anchor[:, 1]).log(),
            ],
            1,
        )
        off = (goal - out) / deviation
        steps, unsure = self._likelihood(off, deviation, (2 - w * h).unsqueeze(-1))
        if self.kind != "mse":
            steps = self._approach(boxes, lesson)
            # A corner instead of the centre: half of the sides' step goes with it.
            centre = steps[:, :2] - self._half * steps[:, 2:]
            steps = torch.cat([centre, steps[:, 2:] * out[:, 2:].exp()], 1)
        cells.delta[:, 0:8:2] += self._limit(steps * self._box_weight(lesson))
        cells.delta[:, 1:8:2] += self._limit(unsure * o.uc_normalizer)
        return Overlap(iou if self.kind == "mse" else giou, giou)

    def _likelihood(self, off: Tensor, deviation: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Steps of the coordinates and of their deviations, `off` in deviations."""
        density = torch.exp(off.square() * -0.5) / (math.sqrt(2 * math.pi) * (deviation + SIGMA))
        # PARITY: the factor is one half where the density is not tiny, so off grows without bound
        # in the steps (C: gaussian_yolo_layer.c:delta_gaussian_yolo_box).
        share = 0.5 / (density + 1e-9) * density * scale
        unsure = share * (off.square() / deviation - 1 / (deviation + SIGMA))
        return share * off / deviation, unsure

    def _teach_classes(self, cells: Cells, lesson: Lesson) -> None:
        cells.delta[:, 9:] = teach_classes(
            cells.delta[:, 9:],
            cells.out[:, 9:],
            lesson.number,
            self.options,
            self.multipliers,
            first_tells=True,
        )

    def _settle(self, canvas: Canvas) -> None:
        self._average(canvas, taught=False)

    def _cost(self, canvas: Canvas) -> tuple[Tensor, dict[str, float]]:
        batch = len(canvas.out)
        taught = canvas.take(canvas.touched.nonzero(as_tuple=True)).delta
        classes = squared(canvas.delta[:, :, 8]) + squared(taught[:, 9:])
        # PARITY: C takes entries 4 to 7, w and h, for the deviations in what it prints.
        unsure = squared(taught[:, 4:8])
        overlap = squared(taught[:, :4])
        loss = classes + overlap + unsure
        parts = {"class_loss": classes, "iou_loss": overlap, "uc_loss": unsure, "total_loss": loss}
        canvas.sums |= {name: part / batch for name, part in parts.items()}
        names = ("iou", "class", "obj", "any", "r50", "r75", "count")
        iou, score, objectness, anywhere, half, most, count, *losses = canvas.figures(
            *names, *parts
        )
        share = 1 / count if count else math.nan
        return loss, {
            "iou": iou * share,
            "class": score * share,
            "obj": objectness * share,
            "no_obj": anywhere / canvas.touched.numel(),
            "r50": half * share,
            "r75": most * share,
            "count": count,
        } | dict(zip(parts, losses, strict=True))

"""[yolo]'s loss. C: yolo_layer.c:forward_yolo_layer of both forks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from darknet_py.heads.yolo import YoloOptions
from darknet_py.layers.base import Step
from darknet_py.losses.anchored import AnchorLoss
from darknet_py.losses.boxes import box_giou, box_iou
from darknet_py.losses.canvas import Canvas, Cells, squared
from darknet_py.losses.classes import teach_classes
from darknet_py.losses.lessons import Lesson, Overlap
from darknet_py.losses.truths import Truths


class YoloLoss(AnchorLoss):
    """The delta of a [yolo].

    For x, y, objectness and classes it goes straight to what is squashed: with mse and the
    logistic function that is cross entropy's gradient. The box of `iou_loss` other than mse gets
    the gradient of the overlap in its own coordinates, for w and h times e^w.
    """

    options: YoloOptions
    own_entries: ClassVar[int] = 5
    box_entries: ClassVar[Sequence[int]] = (0, 1, 2, 3)
    rejects: ClassVar[bool] = True

    def _boxes(
        self,
        entries: Tensor,
        cells: tuple[Tensor, Tensor],
        anchors: Tensor,
        size: tuple[int, int],
        step: Step,
    ) -> Tensor:
        x = (cells[0] + entries[0]) / size[1]
        y = (cells[1] + entries[1]) / size[0]
        sides = entries[2:].square() * 4 if self.options.new_coords else entries[2:].exp()
        width = sides[0] * anchors[0] / step.image.width
        height = sides[1] * anchors[1] / step.image.height
        return torch.stack([x, y, width, height])

    def _spare(self, canvas: Canvas, truths: Truths, spared: Tensor, matched: Tensor) -> None:
        if not self.options.objectness_smooth:
            super()._spare(canvas, truths, spared, matched)
            return
        delta, objectness = canvas.delta[:, :, 4], canvas.out[:, :, 4]
        smooth = torch.maximum(delta, self.options.obj_normalizer * (matched - objectness))
        canvas.delta[:, :, 4] = torch.where(spared, smooth, delta)

    def _teach_box(self, canvas: Canvas, cells: Cells, lesson: Lesson, step: Step) -> Overlap:
        o, out = self.options, cells.out[:, :4]
        canvas.add("rewritten", (cells.delta[:, :4] != 0).any(1))
        canvas.add("taught", torch.ones_like(out[:, 0]))
        height, width = canvas.touched.shape[2:]
        column, row = lesson.cell.unbind(1)
        boxes = self._boxes(out.T, (column, row), lesson.anchor.T, (height, width), step).T
        overlap = Overlap(box_iou(boxes, lesson.box), box_giou(boxes, lesson.box))
        weight = self._box_weight(lesson)
        if self.kind == "mse":
            x, y, w, h = lesson.box.unbind(1)
            sides = torch.stack([w * step.image.width, h * step.image.height], 1)
            goal = sides / (4 * lesson.anchor) if o.new_coords else sides / lesson.anchor
            goal = goal.sqrt() if o.new_coords else goal.log()
            centre = torch.stack([x * width - column, y * height - row], 1)
            scale = (2 - w * h).unsqueeze(-1)
            steps = scale * (torch.cat([centre, goal], 1) - out) * weight
        else:
            steps = self._approach(boxes, lesson)
            if not o.new_coords:
                steps = torch.cat([steps[:, :2], steps[:, 2:] * out[:, 2:].exp()], 1)
            steps = self._limit(steps * weight)
        before = cells.delta[:, :4] if self.dialect.yolo_boxes_add_up else 0.0
        cells.delta[:, :4] = before + steps
        return overlap

    def _teach_objectness(self, cells: Cells, lesson: Lesson) -> None:
        before = cells.delta[:, 4].clone()
        super()._teach_objectness(cells, lesson)
        if self.options.objectness_smooth:
            cells.delta[:, 4] = torch.where(before == 0, cells.delta[:, 4], before)

    def _teach_classes(self, cells: Cells, lesson: Lesson) -> None:
        cells.delta[:, 5:] = teach_classes(
            cells.delta[:, 5:],
            cells.out[:, 5:],
            lesson.number,
            self.options,
            self.multipliers,
            first_tells=self.dialect.yolo_first_class_tells,
            focal=self.options.focal_loss,
        )

    def _settle(self, canvas: Canvas) -> None:
        if self.options.iou_thresh < 1:
            self._average(canvas, taught=True)

    def _cost(self, canvas: Canvas) -> tuple[Tensor, dict[str, float]]:
        o, batch = self.options, len(canvas.out)
        taught = canvas.take(canvas.touched.nonzero(as_tuple=True)).delta
        rest = squared(canvas.delta[:, :, 4]) + squared(taught[:, 5:])
        loss = rest + squared(taught[:, :4])
        cost = loss
        counted = canvas.sums.get("count", loss.new_zeros(()))
        if self.kind != "mse" and o.show_details:
            # PARITY: the cost is of the IoU, too, where the gradient is diou's or ciou's
            # (C: yolo_layer.c:forward_yolo_layer).
            name = "giou" if self.kind == "giou" else "iou"
            lost = counted - canvas.sums.get(name, loss.new_zeros(()))
            cost = o.iou_normalizer * lost / counted.clamp(min=1) + o.obj_normalizer * rest
        canvas.sums |= {"loss": loss / batch, "rest": o.obj_normalizer * rest / batch}
        return cost, self._figures(canvas)

    def _figures(self, canvas: Canvas) -> dict[str, float]:
        names = ["iou", "class", "obj", "any", "r50", "r75", "count", "rest", "loss"]
        numbers = canvas.figures(*names, "rewritten", "taught")
        iou, score, objectness, anywhere, half, most, count, rest, loss, again, taught = numbers
        # PARITY: AlexeyAB counts 1 where there was no object, pjreddie divides by 0.
        if self.dialect.name == "alexeyab":
            count = max(count, 1.0)
        share = 1 / count if count else float("nan")
        return {
            "iou": iou * share,
            "class": score * share,
            "obj": objectness * share,
            "no_obj": anywhere / canvas.touched.numel(),
            "r50": half * share,
            "r75": most * share,
            "count": count,
            "class_loss": rest,
            "iou_loss": loss - rest,
            "total_loss": loss,
            "rewritten": again,
            "taught": taught,
        }

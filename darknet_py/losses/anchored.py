"""What the losses of [yolo] and [Gaussian_yolo] share: which boxes learn which objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from darknet_py.anchors import FLT_MAX, YoloHeadOptions
from darknet_py.dialect import Dialect
from darknet_py.layers.base import Delta, Step
from darknet_py.losses.attack import attack
from darknet_py.losses.boxes import MEASURES, box_iou, overlap_gradient
from darknet_py.losses.canvas import Canvas, Cells
from darknet_py.losses.classes import class_multipliers
from darknet_py.losses.lessons import Lesson, Overlap
from darknet_py.losses.truths import Truths, best_objects, best_overlaps, read_truths, rounds


class AnchorLoss:
    """The delta of a head with one box for each cell and anchor.

    First every box is taught to be background, unless it lies on an object; then each object
    teaches the box at its centre whose anchor is most like it, and with `iou_thresh` below 1
    those of other anchors like it, too.
    """

    own_entries: ClassVar[int]
    box_entries: ClassVar[Sequence[int]]
    """The entries that hold x, y, width and height."""
    rejects: ClassVar[bool]
    """Whether [net]'s keys against bad labels hold."""

    def __init__(
        self,
        options: YoloHeadOptions,
        anchors: np.ndarray,
        mask: Sequence[int],
        class_map: Sequence[int] | None,
        dialect: Dialect,
    ) -> None:
        self.options = options
        self.anchors = torch.from_numpy(anchors)
        self.mask = list(mask)
        self.class_map = class_map
        self.dialect = dialect
        self.multipliers = class_multipliers(options)
        self.kind = options.iou_loss if options.iou_loss in ("mse", *MEASURES) else "iou"

    @torch.no_grad()
    def __call__(self, output: Tensor, truth: Tensor, step: Step, index: int) -> Delta:
        """The delta for an output `(batch, n entries, h, w)` of layer `index`."""
        canvas = self._canvas(output.float(), step)
        truths = self._read(truth.float())
        self._background(canvas, truths, step)
        step.marks[index] = self._objects(canvas, truths, step)
        self._settle(canvas)
        if step.rejection is not None and self.rejects:
            step.rejection.reject(canvas.delta, step.iteration)
        cost, figures = self._cost(canvas)
        return Delta(canvas.delta.reshape(output.shape), cost, figures)

    def _read(self, truth: Tensor) -> Truths:
        known = self.options.classes
        if self.class_map is not None:
            mapped = len(self.class_map)
            known = min(known, mapped) if self.dialect.labels_before_map else mapped
        return read_truths(truth, self.dialect.truth_values, self.options.max, known)

    def _number(self, labels: Tensor) -> Tensor:
        """The head's classes of labels."""
        if self.class_map is None:
            return labels
        return torch.tensor(self.class_map, device=labels.device)[labels]

    def _canvas(self, output: Tensor, step: Step) -> Canvas:
        batch, _, height, width = output.shape
        out = output.reshape(batch, len(self.mask), -1, height, width)
        rows = torch.arange(height, device=out.device, dtype=out.dtype).unsqueeze(-1)
        columns = torch.arange(width, device=out.device, dtype=out.dtype)
        sides = self.anchors[self.mask].to(out).T[:, :, None, None]
        entries = [out[:, :, entry] for entry in self.box_entries]
        boxes = self._boxes(torch.stack(entries), (columns, rows), sides, (height, width), step)
        touched = torch.zeros_like(entries[0], dtype=torch.bool)
        return Canvas(out, torch.zeros_like(out), boxes, touched)

    def _boxes(
        self,
        entries: Tensor,
        cells: tuple[Tensor, Tensor],
        anchors: Tensor,
        size: tuple[int, int],
        step: Step,
    ) -> Tensor:
        """Boxes `(4, ...)` cxcywh relative to the image, of entries `(4, ...)` at `cells`."""
        raise NotImplementedError

    def _teach_box(self, canvas: Canvas, cells: Cells, lesson: Lesson, step: Step) -> Overlap:
        """Add to the boxes' deltas; gives how well they overlapped."""
        raise NotImplementedError

    def _teach_classes(self, cells: Cells, lesson: Lesson) -> None:
        """Change the classes' deltas."""
        raise NotImplementedError

    def _settle(self, canvas: Canvas) -> None:
        """What follows once all objects have been taught."""
        raise NotImplementedError

    def _cost(self, canvas: Canvas) -> tuple[Tensor, dict[str, float]]:
        """C's *l.cost and the figures it prints."""
        raise NotImplementedError

    def _background(self, canvas: Canvas, truths: Truths, step: Step) -> None:
        """Teach every box to be background, but those that lie on an object."""
        o, place = self.options, self.own_entries - 1
        objectness = canvas.out[:, :, place]
        canvas.add("any", objectness)
        likely = torch.ones_like(canvas.touched)
        if self.dialect.yolo_spares == "likely":
            likely = canvas.out[:, :, self.own_entries :].amax(2) > 0.25
        # An IoU is never above 1, so a truth_thresh of 1 teaches nothing here.
        believes = o.truth_thresh < 1
        wanted = torch.ones_like(likely) if believes else likely
        boxes = canvas.boxes.flatten(2)
        best = best_overlaps(boxes, truths, wanted.flatten(1)).view_as(likely)
        matched = torch.where(likely, best, 0.0) if believes else best
        spared = matched > o.ignore_thresh
        canvas.delta[:, :, place] = o.obj_normalizer * (0 - objectness)
        self._spare(canvas, truths, spared, matched)
        if step.adversarial:
            attack(canvas, ~spared, self.own_entries, o.obj_normalizer)
        if believes:
            self._believe(canvas, truths, step, best)

    def _spare(self, canvas: Canvas, truths: Truths, spared: Tensor, matched: Tensor) -> None:
        """Change the objectness's delta of the boxes that lie on an object."""
        delta = canvas.delta[:, :, self.own_entries - 1]
        delta.masked_fill_(spared, 0.0)

    def _believe(self, canvas: Canvas, truths: Truths, step: Step, best: Tensor) -> None:
        """Teach boxes that lie on an object by more than `truth_thresh` that object."""
        o, chosen = self.options, best > self.options.truth_thresh
        where = chosen.nonzero(as_tuple=True)
        if not len(where[0]):
            return
        lesson = self._nearest(canvas, truths, chosen, where)
        cells = canvas.take(where)
        place = self.own_entries - 1
        goal = best[where].square() if o.objectness_smooth else torch.ones_like(best[where])
        cells.delta[:, place] = o.obj_normalizer * (goal - cells.out[:, place])
        self._teach_classes(cells, lesson)
        if o.objectness_smooth:
            index = self.own_entries + lesson.number.unsqueeze(-1)
            score = cells.out.gather(1, index).squeeze(-1)
            weight = 1.0 if lesson.weight is None else lesson.weight
            value = weight * (goal - score)
            cells.delta.scatter_(1, index, value.unsqueeze(-1))
        self._teach_box(canvas, cells, lesson, step)
        canvas.put(cells)

    def _nearest(
        self, canvas: Canvas, truths: Truths, chosen: Tensor, where: tuple[Tensor, ...]
    ) -> Lesson:
        """For each chosen box, `where` it stands, the object that it lies on best."""
        objects = best_objects(canvas.boxes.flatten(2), truths, chosen.flatten(1))
        anchor = torch.tensor(self.mask, device=objects.device)[where[1]]
        cell = torch.stack([where[3], where[2]], 1)
        return self._lesson(truths, objects, anchor, cell)

    def _lesson(self, truths: Truths, objects: Tensor, anchor: Tensor, cell: Tensor) -> Lesson:
        number = self._number(truths.classes[objects])
        weight = None if self.multipliers is None else self.multipliers.to(number.device)[number]
        sides = self.anchors.to(truths.boxes)[anchor]
        return Lesson(truths.boxes[objects], number, cell, sides, weight)

    def _places(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        """Column and row `(m, 2)` of the cells that objects belong to."""
        return (boxes[:, :2] * boxes.new_tensor([size[1], size[0]])).trunc().long()

    def _pairs(self, truths: Truths, step: Step) -> tuple[Tensor, Tensor, Tensor]:
        """Objects and anchors that belong together, and whether the anchor fits best."""
        o = self.options
        anchors = self.anchors.to(truths.boxes)
        sides = torch.stack(
            [anchors[:, 0] / step.image.width, anchors[:, 1] / step.image.height], 1
        )
        shapes = torch.cat([torch.zeros_like(sides), sides], 1)
        objects = torch.cat([torch.zeros_like(truths.boxes[:, :2]), truths.boxes[:, 2:]], 1)
        overlap = box_iou(shapes, objects.unsqueeze(1))
        fits = torch.zeros_like(overlap, dtype=torch.bool)
        fits.scatter_(1, overlap.argmax(1, keepdim=True), True)
        chosen = fits
        if o.iou_thresh < 1:
            measure = MEASURES.get(o.iou_thresh_kind, box_iou)
            chosen = fits | (measure(shapes, objects.unsqueeze(1)) > o.iou_thresh)
        own = torch.zeros(len(anchors), dtype=torch.bool, device=overlap.device)
        own[self.mask] = True
        which, anchor = (chosen & own).nonzero(as_tuple=True)
        return which, anchor, fits[which, anchor]

    def _objects(self, canvas: Canvas, truths: Truths, step: Step) -> tuple[Tensor, Tensor]:
        """Teach each object; gives the track and the class of each box, `(batch, n h w)`, or -1."""
        count, (height, width) = len(self.mask), canvas.touched.shape[2:]
        tracks = truths.classes.new_full((len(canvas.out), count * height * width), -1)
        numbers = tracks.clone()
        if not len(truths.boxes):
            return tracks, numbers
        which, anchor, fits = self._pairs(truths, step)
        places = self._places(truths.boxes, (height, width))[which]
        own = torch.full((len(self.anchors),), -1, device=anchor.device)
        for position, number in reversed(list(enumerate(self.mask))):
            own[number] = position
        # PARITY: a centre on the right or lower border falls into memory's next cell
        # (C: yolo_layer.c:entry_index); past the image's last one it teaches nothing here.
        flat = (own[anchor] * height + places[:, 1]) * width + places[:, 0]
        inside = (flat >= 0) & (flat < count * height * width)
        which, anchor, fits = which[inside], anchor[inside], fits[inside]
        places, flat = places[inside], flat[inside]
        image = truths.images[which]
        lessons = self._lesson(truths, which, anchor, places)
        tracks_of = truths.tracks[which]
        for rows in rounds(image * (count * height * width) + flat):
            at, lesson = flat[rows], lessons.of(rows)
            where = (
                image[rows],
                at // (height * width),
                at // width % height,
                at % width,
            )
            cells = canvas.take(where)
            iou = self._teach_box(canvas, cells, lesson, step)
            self._teach_objectness(cells, lesson)
            self._teach_classes(cells, lesson)
            canvas.put(cells)
            self._count(canvas, cells, lesson, iou)
            best = fits[rows]
            tracks[where[0][best], at[best]] = tracks_of[rows][best]
            numbers[where[0][best], at[best]] = lesson.number[best]
        return tracks, numbers

    def _approach(self, boxes: Tensor, lesson: Lesson) -> Tensor:
        """The overlap's steps for predicted boxes `(k, 4)`; a side of 0 counts as 1 there."""
        sides = torch.where(boxes[:, 2:] == 0, 1.0, boxes[:, 2:])
        return overlap_gradient(torch.cat([boxes[:, :2], sides], 1), lesson.box, self.kind)

    def _box_weight(self, lesson: Lesson) -> Tensor | float:
        """What a box's steps are multiplied by, a number or `(k, 1)`."""
        if lesson.weight is None:
            return self.options.iou_normalizer
        return (self.options.iou_normalizer * lesson.weight).unsqueeze(-1)

    def _limit(self, steps: Tensor) -> Tensor:
        """0 in place of what is not finite, the rest within `max_delta` (C: fix_nan_inf)."""
        steps, most = steps.nan_to_num(0.0, 0.0, 0.0), self.options.max_delta
        return steps if most == FLT_MAX else steps.clamp(-most, most)

    def _teach_objectness(self, cells: Cells, lesson: Lesson) -> None:
        place = self.own_entries - 1
        weight = 1.0 if lesson.weight is None else lesson.weight
        cells.delta[:, place] = weight * self.options.obj_normalizer * (1 - cells.out[:, place])

    def _count(self, canvas: Canvas, cells: Cells, lesson: Lesson, iou: Overlap) -> None:
        """Add to the figures."""
        index = self.own_entries + lesson.number.unsqueeze(-1)
        canvas.add("class", cells.out.gather(1, index))
        canvas.add("obj", cells.out[:, self.own_entries - 1])
        canvas.add("iou", iou.shown)
        canvas.add("giou", iou.giou)
        canvas.add("r50", iou.shown > 0.5)
        canvas.add("r75", iou.shown > 0.75)
        canvas.add("count", torch.ones_like(iou.shown))

    def _average(self, canvas: Canvas, *, taught: bool) -> None:
        """Divide boxes' deltas by the number of classes that were taught there.

        Args:
            canvas: all deltas.
            taught: leave out boxes whose objectness has no delta.
        """
        where = canvas.touched.nonzero(as_tuple=True)
        cells, own = canvas.take(where), self.own_entries
        classes = (cells.delta[:, own:] > 0).sum(1).clamp(min=1)
        if taught:
            classes = torch.where(cells.delta[:, own - 1] != 0, classes, 1)
        cells.delta[:, : own - 1] /= classes.unsqueeze(-1)
        canvas.put(cells)

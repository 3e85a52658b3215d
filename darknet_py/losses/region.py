"""[region]'s loss. C: region_layer.c:forward_region_layer of both forks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from darknet_py.datafile import Tree
from darknet_py.dialect import Dialect
from darknet_py.heads.region import RegionOptions
from darknet_py.layers.base import Delta, Step
from darknet_py.losses.boxes import box_iou
from darknet_py.losses.canvas import Canvas, squared
from darknet_py.losses.region_classes import RegionClasses
from darknet_py.losses.truths import Truths, best_objects, best_overlaps, read_truths, rounds

WARM_UP = 12800
"""Images during which every box is drawn to its anchor."""
ELSEWHERE = 100000
"""An object with x and y above this has a class, but no place."""


class RegionLoss:
    """The delta of a [region].

    Every box is taught to be background, unless it lies on an object; early on also to be its
    anchor. Then each object teaches the box of its cell whose sides are most like its own. With a
    class tree an object may stand for a whole image: it teaches the likeliest box its class.
    """

    def __init__(
        self,
        options: RegionOptions,
        anchors: np.ndarray,
        tree: Tree | None,
        class_map: Sequence[int] | None,
        dialect: Dialect,
    ) -> None:
        self.options = options
        self.anchors = torch.from_numpy(anchors)
        self.tree = tree
        self.class_map = class_map
        self.dialect = dialect
        self.interleaved = dialect.region_layout == "interleaved"
        # PARITY: AlexeyAB's objectness is entry 4 whatever `coords` says (C: region_layer.c).
        self.place = 4 if self.interleaved else options.coords
        self.classes = RegionClasses(options, tree, keeps=not self.interleaved)

    @torch.no_grad()
    def __call__(self, output: Tensor, truth: Tensor, step: Step) -> Delta:
        """The delta for an output of the input's shape `(batch, num entries, h, w)`."""
        canvas = self._canvas(output.float())
        truths = self._read(truth.float())
        placed = self._name_images(canvas, truths)
        self._background(canvas, truths, placed, step)
        self._objects(canvas, truths, placed)
        cost = squared(canvas.delta)
        raw = canvas.delta.reshape(output.shape)
        if self.interleaved:
            return Delta(raw, cost, self._figures(canvas))
        # What backward_region_layer_gpu does; the CPU's backward does nothing.
        values, slope = canvas.delta.clone(), canvas.out * (1 - canvas.out)
        values[:, :, :2] *= slope[:, :, :2]
        if not self.options.background:
            values[:, :, self.place] *= slope[:, :, self.place]
        return Delta(values.reshape(output.shape), cost, self._figures(canvas), raw)

    def _read(self, truth: Tensor) -> Truths:
        o, known = self.options, self.options.classes
        if self.class_map is not None and not self.dialect.labels_before_map:
            known = max(known, len(self.class_map))
        if self.interleaved:
            return read_truths(truth, self.dialect.truth_values, o.max, known)
        # PARITY: pjreddie looks at 30 objects, whatever `max` says (C: region_layer.c).
        return read_truths(truth, o.coords + 1, 30, known, o.coords)

    def _canvas(self, output: Tensor) -> Canvas:
        batch, _, height, width = output.shape
        num = self.options.num
        if self.interleaved:
            out = output.reshape(batch, height, width, num, -1).permute(0, 3, 4, 1, 2)
            out = torch.cat([out[:, :, :2].sigmoid(), out[:, :, 2:]], 2)
        else:
            out = output.reshape(batch, num, -1, height, width)
        anchors = self.anchors.to(out).T[:, :, None, None]
        column = torch.arange(width, device=out.device, dtype=out.dtype)
        row = torch.arange(height, device=out.device, dtype=out.dtype).unsqueeze(-1)
        x, y, w, h = out[:, :, :4].unbind(2)
        boxes = torch.stack(
            [
                (column + x) / width,
                (row + y) / height,
                w.exp() * anchors[0] / width,
                h.exp() * anchors[1] / height,
            ]
        )
        return Canvas(out, torch.zeros_like(out), boxes, torch.zeros_like(x).bool())

    def _slope(self, values: Tensor) -> Tensor | float:
        """The logistic function's gradient, where it is a part of the delta."""
        return values * (1 - values) if self.interleaved else 1.0

    def _name_images(self, canvas: Canvas, truths: Truths) -> Tensor:
        """Teach the images that have a class but no box; which images are left, `(batch,)`."""
        placed = torch.ones(len(canvas.out), dtype=torch.bool, device=canvas.out.device)
        if self.tree is None:
            return placed
        objects = ((truths.boxes[:, 0] > ELSEWHERE) & (truths.boxes[:, 1] > ELSEWHERE)).nonzero()
        first = self.place + 1
        for item in objects[:, 0].tolist():
            image, number = int(truths.images[item]), int(truths.classes[item])
            if not placed[image]:
                continue
            placed[image] = False
            objectness = canvas.out[image, :, self.place]
            if not self.interleaved:
                away = self.options.noobject_scale * (0 - objectness)
                canvas.delta[image, :, self.place] = away
            path = self.classes.path(number).to(objectness.device)
            chance = objectness * canvas.out[image, :, first + path].prod(1)
            anchor, row, column = np.unravel_index(int(chance.argmax()), tuple(chance.shape))
            at = torch.tensor([[image], [anchor], [row], [column]], device=objectness.device)
            cells = canvas.take(tuple(at))
            numbers = truths.classes[item : item + 1]
            self.classes.teach(canvas, cells, numbers, first, self.options.class_scale)
            # PARITY: the .3 that the objectness is drawn to is overwritten by 0.
            cells.delta[:, self.place] = 0.0
            canvas.put(cells)
        return placed

    def _background(self, canvas: Canvas, truths: Truths, placed: Tensor, step: Step) -> None:
        o = self.options
        here = placed[:, None, None, None].expand_as(canvas.touched)
        best = best_overlaps(canvas.boxes.flatten(2), truths, here.flatten(1)).view_as(here)
        objectness = canvas.out[:, :, self.place]
        canvas.add("any", torch.where(here, objectness, 0.0))
        slope = self._slope(objectness)
        goal: Tensor | float = 1.0 if o.background else 0.0
        spared = here & (best > o.thresh)
        if self.interleaved and o.classfix == -1:
            goal, spared = best, torch.zeros_like(here)
        delta = (o.noobject_scale * (goal - objectness) * slope).masked_fill(spared, 0.0)
        old = canvas.delta[:, :, self.place]
        canvas.delta[:, :, self.place] = torch.where(here, delta, old)
        if self.interleaved and o.classfix > 0:
            self._fix_classes(canvas, truths, spared)
        if step.seen < WARM_UP:
            self._warm_up(canvas, here)

    def _fix_classes(self, canvas: Canvas, truths: Truths, spared: Tensor) -> None:
        """Teach boxes on an object its class, as they are (AlexeyAB)."""
        where = spared.nonzero(as_tuple=True)
        if not len(where[0]):
            return
        objects = best_objects(canvas.boxes.flatten(2), truths, spared.flatten(1))
        cells = canvas.take(where)
        scale: Tensor | float = self.options.class_scale
        if self.options.classfix == 2:
            scale = scale * cells.out[:, 4:5]
        self.classes.teach(canvas, cells, truths.classes[objects], 5, scale)
        canvas.put(cells)

    def _warm_up(self, canvas: Canvas, here: Tensor) -> None:
        centre = canvas.out[:, :, :2]
        steps = [(0.5 - centre) * self._slope(centre), 0 - canvas.out[:, :, 2:4]]
        early = 0.01 * torch.cat(steps, 2)
        canvas.delta[:, :, :4] = torch.where(here.unsqueeze(2), early, canvas.delta[:, :, :4])

    def _objects(self, canvas: Canvas, truths: Truths, placed: Tensor) -> None:
        _, num, _, height, width = canvas.out.shape
        sides = truths.boxes.new_tensor([width, height])
        cell = (truths.boxes[:, :2] * sides).trunc()
        at = (cell[:, 1] * width + cell[:, 0]).long()
        # PARITY: a centre on the right border falls into the next row (C: entry_index).
        kept = placed[truths.images] & (at >= 0) & (at < height * width)
        if self.class_map is not None:
            kept &= truths.classes < len(self.class_map)
        at, image, cell = at[kept], truths.images[kept], cell[kept]
        box, rows = truths.boxes[kept], truths.rows[kept]
        number = truths.classes[kept]
        if self.class_map is not None:
            number = torch.tensor(self.class_map, device=number.device)[number]
        anchors = self.anchors.to(box) / sides
        found = canvas.out.flatten(3)[image, :, 2:4, at].exp() * anchors
        shapes = anchors.expand_as(found) if self.options.bias_match else found
        zero = torch.zeros_like(shapes)
        alone = torch.cat([torch.zeros_like(box[:, :2]), box[:, 2:]], 1).unsqueeze(1)
        anchor = box_iou(torch.cat([zero, shapes], 2), alone).argmax(1)
        for turn in rounds((image * num + anchor) * height * width + at):
            where = (image[turn], anchor[turn], at[turn] // width, at[turn] % width)
            shape = anchors[anchor[turn]]
            self._teach(canvas, where, (box[turn], rows[turn], number[turn]), cell[turn], shape)

    def _teach(
        self,
        canvas: Canvas,
        where: tuple[Tensor, ...],
        lesson: tuple[Tensor, Tensor, Tensor],
        cell: Tensor,
        shape: Tensor,
    ) -> None:
        """Teach each object's box; the cells are all different."""
        o, (box, rows, number) = self.options, lesson
        cells = canvas.take(where)
        out, size = cells.out, box.new_tensor([canvas.out.shape[4], canvas.out.shape[3]])
        predicted = torch.cat([(cell + out[:, :2]) / size, out[:, 2:4].exp() * shape], 1)
        iou = box_iou(predicted, box)
        scale: Tensor | float = o.coord_scale
        if not self.interleaved:
            scale = (o.coord_scale * (2 - box[:, 2] * box[:, 3])).unsqueeze(-1)
        centre = (box[:, :2] * size - cell - out[:, :2]) * self._slope(out[:, :2])
        sides = (box[:, 2:] / shape).log() - out[:, 2:4]
        cells.delta[:, :4] = scale * torch.cat([centre, sides], 1)
        if not self.interleaved and o.coords > 4:
            # PARITY: the mask is read one place late and the scale is cut to a whole number
            # (C: region_layer.c:delta_region_mask).
            mask = rows[:, 5 : o.coords + 1] - out[:, 4 : o.coords]
            cells.delta[:, 4 : o.coords] = math.trunc(o.mask_scale) * mask
        objectness = out[:, self.place]
        goal: Tensor | float = iou if o.rescore else 1.0
        goal = 0.0 if o.background else goal
        told = o.object_scale * (goal - objectness) * self._slope(objectness)
        cells.delta[:, self.place] = told
        self.classes.teach(canvas, cells, number, self.place + 1, o.class_scale)
        canvas.put(cells)
        canvas.add("iou", iou)
        canvas.add("obj", objectness)
        canvas.add("r50", iou > 0.5)
        canvas.add("count", torch.ones_like(iou))

    def _figures(self, canvas: Canvas) -> dict[str, float]:
        iou, score, objectness, anywhere, half, count, classes = canvas.figures(
            "iou", "class", "obj", "any", "r50", "count", "classes"
        )
        share = 1 / count if count else math.nan
        return {
            "iou": iou * share,
            "class": score / classes if classes else math.nan,
            "obj": objectness * share,
            "no_obj": anywhere / canvas.touched.numel(),
            "r50": half * share,
            "count": count,
        }

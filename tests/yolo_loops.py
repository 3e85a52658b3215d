"""C's loops over the boxes of a [yolo]: a slow second opinion on its loss."""

from __future__ import annotations

import math

import numpy as np
import torch

from darknet_py.losses.boxes import MEASURES, box_iou, overlap_gradient

SIDES = [(20, 30), (40, 60), (90, 50), (120, 140), (150, 70)]


def one(*values):
    """One box as a tensor."""
    return torch.tensor([values], dtype=torch.float32)


class Loops:
    """forward_yolo_layer's loops over an output `(n, entries, h, w)` of one image."""

    def __init__(self, head, out, image):
        self.o, self.head, self.out, self.image = head.options, head, out, image
        self.delta = np.zeros_like(out)
        self.alexeyab = head.dialect.name == "alexeyab"
        self.weights = [1.0] * 3
        if self.o.counters_per_class:
            counters = [max(c, 1) for c in self.o.counters_per_class]
            self.weights = [min(max(counters) / c, self.o.max_delta) for c in counters]
        self.iou = self.giou = self.count = self.rewritten = 0

    def box(self, out, n, row, column):
        sides = [4 * v * v if self.o.new_coords else math.exp(v) for v in out[2:4]]
        height, width = self.out.shape[2:]
        (aw, ah), (w, h) = SIDES[n], self.image
        return [
            (column + out[0]) / width,
            (row + out[1]) / height,
            sides[0] * aw / w,
            sides[1] * ah / h,
        ]

    def teach_classes(self, delta, out, number):
        o, high, low = self.o, 1.0, 0.0
        if o.label_smooth_eps:
            high, low = 1 - o.label_smooth_eps / 2, o.label_smooth_eps / 2
        if delta[5 + (number if self.alexeyab else 0)]:
            delta[5 + number] = (high - out[5 + number]) * self.weights[number]
            return
        p = out[5 + number] + 1e-15
        for c in range(3):
            if o.focal_loss:
                factor = -(1 - p) * (2 * p * math.log(p) + p - 1) / 2
                delta[5 + c] = ((c == number) - out[5 + c]) * factor
            else:
                delta[5 + c] = (high if c == number else low) - out[5 + c]
                if c == number and o.counters_per_class:
                    delta[5 + c] *= self.weights[c] * o.cls_normalizer

    def teach_box(self, delta, out, n, row, column, box, number):
        o, weight = self.o, self.o.iou_normalizer * self.weights[number]
        self.rewritten += any(delta[:4])
        predicted = self.box(out, n, row, column)
        iou = float(box_iou(one(*predicted), one(*box)))
        giou = float(MEASURES["giou"](one(*predicted), one(*box)))
        height, width = self.out.shape[2:]
        if o.iou_loss == "mse":
            goal = [box[0] * width - column, box[1] * height - row]
            for entry in (0, 1):
                part = box[2 + entry] * self.image[entry] / SIDES[n][entry]
                goal.append(math.sqrt(part / 4) if o.new_coords else math.log(part))
            steps = [
                (2 - box[2] * box[3]) * (g - v) * weight for g, v in zip(goal, out, strict=False)
            ]
        else:
            steps = overlap_gradient(one(*predicted), one(*box), o.iou_loss)[0].tolist()
            for entry in (2, 3):
                steps[entry] *= 1 if o.new_coords else math.exp(out[entry])
            steps = [min(max(s * weight, -o.max_delta), o.max_delta) for s in steps]
        for entry, s in enumerate(steps):
            delta[entry] = s + (delta[entry] if self.alexeyab else 0)
        return iou, giou

    def background(self, truth):
        o = self.o
        for n, row, column in np.ndindex(3, *self.out.shape[2:]):
            out, delta = self.out[n, :, row, column], self.delta[n, :, row, column]
            box = self.box(out, self.head.mask[n], row, column)
            ious = [float(box_iou(one(*box), one(*t[:4]))) for t in truth]
            best = max(ious, default=0)
            sure = not self.alexeyab or max(out[5:]) > 0.25
            delta[4] = o.obj_normalizer * (0 - out[4])
            if sure and best > o.ignore_thresh:
                smooth = max(delta[4], o.obj_normalizer * (best - out[4]))
                delta[4] = smooth if o.objectness_smooth else 0
            if best > o.truth_thresh:
                t = truth[ious.index(best)]
                number, goal = int(t[4]), best * best if o.objectness_smooth else 1
                delta[4] = o.obj_normalizer * (goal - out[4])
                self.teach_classes(delta, out, number)
                if o.objectness_smooth:
                    delta[5 + number] = self.weights[number] * (goal - out[5 + number])
                self.teach_box(delta, out, self.head.mask[n], row, column, t[:4], number)

    def objects(self, truth):
        o, (height, width) = self.o, self.out.shape[2:]
        for x, y, w, h, label in truth[:, :5]:
            number = int(label)
            column, row = (
                int(np.float32(x) * np.float32(width)),
                int(np.float32(y) * np.float32(height)),
            )
            shapes = [one(0, 0, aw / self.image[0], ah / self.image[1]) for aw, ah in SIDES]
            ious = [float(box_iou(s, one(0, 0, w, h))) for s in shapes]
            best = ious.index(max(ious))
            measure = MEASURES[o.iou_thresh_kind]
            chosen = [best] + [
                n
                for n, s in enumerate(shapes)
                if n != best and o.iou_thresh < 1 and measure(s, one(0, 0, w, h)) > o.iou_thresh
            ]
            for n in (n for n in chosen if n in self.head.mask):
                at = (self.head.mask.index(n), slice(None), row, column)
                out, delta = self.out[at], self.delta[at]
                iou, giou = self.teach_box(delta, out, n, row, column, (x, y, w, h), number)
                self.iou, self.giou, self.count = self.iou + iou, self.giou + giou, self.count + 1
                if not (o.objectness_smooth and delta[4]):
                    delta[4] = self.weights[number] * o.obj_normalizer * (1 - out[4])
                self.teach_classes(delta, out, number)
        if o.iou_thresh < 1:
            for n, row, column in np.ndindex(3, height, width):
                delta = self.delta[n, :, row, column]
                if delta[4]:
                    delta[:4] /= max((delta[5:] > 0).sum(), 1)

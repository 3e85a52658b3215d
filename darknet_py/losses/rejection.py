"""[net]'s keys against bad labels: deltas too large or too small to be believed are dropped."""

from __future__ import annotations

import math

from torch import Tensor


class LabelRejection:
    """What the [yolo] heads of a network share of AlexeyAB's filter for bad labels.

    Late in the training, from three quarters of it, the largest deltas are dropped: those
    `sigmas` deviations off, or about `percentage` of them. From iteration `equidistant_point` on
    the smallest are. The averages it goes by are kept from call to call.
    C: yolo_layer.c:forward_yolo_layer.
    """

    def __init__(
        self,
        max_batches: int,
        *,
        sigmas: float = 0.0,
        percentage: float = 0.0,
        equidistant_point: int = 0,
    ) -> None:
        self.max_batches = max_batches
        self.sigmas = sigmas
        self.percentage = percentage
        self.equidistant_point = equidistant_point
        self.largest = self.average = self.deviation = self.threshold = 0.0

    def state(self) -> dict[str, float]:
        """The averages, for a checkpoint."""
        names = ("largest", "average", "deviation", "threshold")
        return {name: getattr(self, name) for name in names}

    def restore(self, state: dict[str, float]) -> None:
        """Go on from a checkpoint's averages."""
        for name, value in state.items():
            setattr(self, name, value)

    def reject(self, delta: Tensor, iteration: int) -> None:
        """Set deltas that are not believed to 0, in place."""
        start = self.max_batches * 3 // 4
        late = start < iteration
        distant = 0 < self.equidistant_point < iteration
        by_sigmas, by_share = bool(self.sigmas) and late, bool(self.percentage) and late
        if not (by_sigmas or by_share or distant):
            return
        left = self.max_batches - self.equidistant_point
        progress = (iteration - self.equidistant_point) / left if left else math.inf
        least = self.average * progress * 1.4
        size = delta.abs()
        given = size[size > 0]
        if not len(given):
            return
        largest, average = float(given.max()), float(given.mean())
        self.largest = (self.largest or largest) * 0.99 + largest * 0.01
        self.average = self.average * 0.99 + average * 0.01
        if by_sigmas:
            bound = self._by_sigmas(delta, (iteration - start) / start if start else math.inf)
            delta.masked_fill_(delta.abs() > max(bound[0], bound[1]), 0.0)
            least = min(bound[0], self.average) * progress
        if by_share:
            self._by_share(delta)
        if distant:
            delta.masked_fill_(delta.abs() < least, 0.0)

    def _by_sigmas(self, delta: Tensor, progress: float) -> tuple[float, float]:
        """The final bound, and the present one that sinks to it."""
        # PARITY: signed deltas are measured from the mean of their sizes; this step's deviation
        # counts from the next call on (C: yolo_layer.c:forward_yolo_layer).
        old = self.deviation
        given = delta[delta != 0]
        spread = float((given - self.average).square().mean().sqrt())
        self.deviation = old * 0.99 + spread * 0.01
        final = self.average + old * self.sigmas
        return final, self.largest - progress * abs(self.largest - final)

    def _by_share(self, delta: Tensor) -> None:
        """Drop what is above the threshold, and move that towards the share asked for."""
        self.threshold = self.threshold or self.largest
        given, over = delta != 0, delta.abs() > self.threshold
        everything, rejected = int(given.sum()), int(over.sum())
        delta.masked_fill_(over, 0.0)
        entries = delta.shape[2]
        share = 100 * rejected * entries / everything if everything else math.nan
        if share > self.percentage:
            self.threshold += 0.01
        elif self.threshold > 0.01:
            self.threshold -= 0.01

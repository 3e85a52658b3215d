"""track=1: rows of a batch that are frames of videos (AlexeyAB's recurrent detectors)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from darknet_py.augmentation import draws


@dataclass(frozen=True)
class Sequences:
    """Which frame a place of a batch shows. C: data.c:get_sequential_paths.

    A part of the batch holds `streams` videos, frame by frame: its row i is of stream
    i % streams. The list's order is the videos' time.
    """

    streams: int
    """Videos beside each other: batch / subdivisions."""
    rows: int
    """Rows of an iteration, all subdivisions together."""
    subdivisions: int
    sequential: int
    """sequential_subdivisions: into how many parts an iteration falls at the start."""
    speed: int = 2
    """augment_speed: the most frames from one to the next."""
    steps: Sequence[int] = ()
    scales: Sequence[float] = ()
    """seq_scales: what `sequential` is multiplied by at each of `steps`."""

    def parts(self, iteration: int) -> int:
        """Into how many parts an iteration falls. C: network.c:get_current_seq_subdivisions."""
        count = min(self.sequential, self.subdivisions)
        for step, scale in zip(self.steps, self.scales, strict=False):
            if step > iteration:
                break
            count = int(count * scale)
        return min(max(count, 1), self.subdivisions)

    def first(self, iteration: int, place: int) -> int:
        """The first place of the part that `place` is in."""
        parts = self.parts(iteration)
        part = next(i for i in range(parts) if place < (i + 1) * self.rows // parts)
        return part * self.rows // parts

    def frame(
        self, iteration: int, place: int, count: int, seed: int, stage: int, contrastive: bool
    ) -> int:
        """The number of the frame, of `count`, that a place shows."""
        first = self.first(iteration, place)
        time, stream = divmod(place - first, self.streams)
        random = draws.generator(seed, iteration, first, 3, stage)
        speed = draws.whole(random, 1, max(self.speed, 1))
        starts = random.integers(count, size=self.streams).tolist()
        if contrastive:
            stream -= stream % 2
        return int((starts[stream] + time * speed) % count)

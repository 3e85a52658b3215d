"""The chart of a training run, as AlexeyAB's program draws it: loss, score, time left."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

SIZE, OFFSET = 1000, 60
DRAWN = SIZE - OFFSET
LINES = 100
_FONT = cv2.FONT_HERSHEY_COMPLEX_SMALL
_BLACK, _BLUE, _RED, _WHITE = (0, 0, 0), (0, 0, 255), (200, 0, 0), (255, 255, 255)
_Point = tuple[int, int]


class Chart:
    """A picture of 1000 x 1000 pixels that grows with the run.

    C: AlexeyAB's image_opencv.cpp:draw_train_chart, draw_train_loss.
    """

    def __init__(
        self, max_batches: int, max_loss: float, title: str, background: np.ndarray | None = None
    ) -> None:
        """Draw the frame.

        Args:
            max_batches: at the right edge.
            max_loss: at the top; a larger loss is drawn there.
            title: what the score is called.
            background: an older chart (uint8 RGB, of the same size) to go on with.
        """
        self.max_batches, self.max_loss = max(max_batches, 1), max(max_loss, 1e-9)
        self.title = title
        self._scored: tuple[int, float] | None = None
        self._best = 0.0
        self._written = 0
        if background is not None and background.shape == (SIZE, SIZE, 3):
            self.picture = background.copy()
            return
        self.picture = np.full((SIZE, SIZE, 3), 255, np.uint8)
        self._draw_frame()

    def _draw_frame(self) -> None:
        for i in range(LINES + 1):
            place = i * DRAWN // LINES
            grey = 128 if i % 10 == 0 else 224
            if i:
                self._line((OFFSET, place), (SIZE, place), (grey,) * 3)
            self._line((OFFSET + place, DRAWN), (OFFSET + place, 0), (grey,) * 3)
            if i % 10:
                continue
            if i:
                loss = self.max_loss * (LINES - i) / LINES
                self._write(f"{loss:2.1f}", (30, place + 3))
            self._write(str(self.max_batches * i // LINES), (OFFSET + place - 20, DRAWN + 15))
        self._write("Loss", (10, 60), _BLUE)
        self._write("Iteration number", (DRAWN // 2, SIZE - 10))
        self._write(f"in cfg max_batches={self.max_batches}", (DRAWN - 195, SIZE - 10))

    def add(self, iteration: int, loss: float) -> None:
        """Draw one average loss."""
        y = int(DRAWN * (1 - loss / self.max_loss)) if np.isfinite(loss) else 0
        cv2.circle(self.picture, (self._x(iteration), max(y, 1)), 1, _BLUE, cv2.FILLED)

    def add_score(self, iteration: int, score: float) -> None:
        """Draw a score, from 0 to 1, joined to the one before."""
        point = (self._x(iteration), int(DRAWN * (1 - score)))
        if self._scored is None:
            self._write(self.title, (10, 12), (255, 0, 0))
        else:
            before = (self._x(self._scored[0]), int(DRAWN * (1 - self._scored[1])))
            self._line(before, point, (255, 0, 0))
        cv2.rectangle(self.picture, (0, 16), (OFFSET - 3, 34), _WHITE, cv2.FILLED)
        self._write(f"{score * 100:2.1f}% ", (10, 28), _RED)
        far = self._scored is None or abs(self._scored[1] - score) > 0.1
        if far or self._best < score or iteration - self._written >= self.max_batches / 10:
            self._written, self._best = iteration, max(self._best, score)
            text, place = f"{score * 100:2.0f}% ", (point[0] - 30, point[1] + 15)
            self._write(text, place, _WHITE, 5)
            self._write(text, place, _RED)
        self._scored = iteration, score

    def tell(self, iteration: int, loss: float, hours: float) -> None:
        """Write the line below the curve."""
        cv2.rectangle(self.picture, (15, DRAWN + 18), (815, DRAWN + 38), _WHITE, cv2.FILLED)
        text = (
            f"current avg loss = {loss:2.4f}    iteration = {iteration}    "
            f"approx. time left = {hours:2.2f} hours"
        )
        self._write(text, (15, DRAWN + 33), (0, 0, 100))

    def replay(
        self, losses: Sequence[tuple[int, float]], scores: Sequence[tuple[int, float]]
    ) -> None:
        """Draw what a run knows of the time before it was resumed."""
        for iteration, loss in losses:
            self.add(iteration, loss)
        for iteration, score in scores:
            self.add_score(iteration, score)

    def _x(self, iteration: int) -> int:
        return OFFSET + int(DRAWN * iteration / self.max_batches)

    def _line(self, start: _Point, end: _Point, color: tuple[int, ...]) -> None:
        cv2.line(self.picture, start, end, color, 1)

    def _write(
        self, text: str, place: _Point, color: tuple[int, ...] = _BLACK, thickness: int = 1
    ) -> None:
        cv2.putText(self.picture, text, place, _FONT, 0.7, color, thickness, cv2.LINE_AA)

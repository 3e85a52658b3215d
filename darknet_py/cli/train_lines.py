"""What C prints while it trains, in each dialect's format (-c_lines)."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from darknet_py.examiners import MapExaminer, TopExaminer
    from darknet_py.session import Session
    from darknet_py.train import Progress

Style = Literal["detector", "classifier", "counted", "epochs", "rnn"]
"""Whose lines: `counted` are those of yolo, coco and super, `epochs` all the others'."""

_YOLO = (
    "Region {index} Avg IOU: {iou:f}, Class: {class:f}, Obj: {obj:f}, No Obj: {no_obj:f}, "
    ".5R: {r50:f}, .75R: {r75:f},  count: {count:.0f}"
)
_GAUSSIAN = _YOLO + (
    ", class_loss = {class_loss:.2f}, iou_loss = {iou_loss:.2f}, uc_loss = {uc_loss:.2f}, "
    "total_loss = {total_loss:.2f} "
)
_REGION = (
    "Region Avg IOU: {iou:f}, Class: {class:f}, Obj: {obj:f}, No Obj: {no_obj:f}, "
    "Avg Recall: {r50:f},  count: {count:.0f}"
)
_DETECTION = (
    "Detection Avg IOU: {iou:f}, Pos Cat: {class:f}, All Cat: {all_classes:f}, "
    "Pos Obj: {obj:f}, Any Obj: {no_obj:f}, count: {count:.0f}"
)
_V3 = (
    "v3 ({loss} loss, Normalizer: (iou: {iou_normalizer:.2f}, obj: {obj_normalizer:.2f}, "
    "cls: {cls_normalizer:.2f}) Region {index} Avg (IOU: {iou:f}), count: {count:.0f}, "
)
_DETAILS = "class_loss = {class_loss:f}, iou_loss = {iou_loss:f}, "


@dataclass
class CLines:
    """Prints a run as the dialect's C does."""

    session: Session
    style: Style
    base: str
    examiner: MapExaminer | TopExaminer | None = None
    hours: float = field(default=-1.0, init=False)

    def __post_init__(self) -> None:
        learner = self.session.learner
        self.network = learner.network
        self.alexeyab = self.network.dialect.name == "alexeyab"
        self.images = learner.batch * learner.subdivisions
        self.file = sys.stderr if self.style == "rnn" else sys.stdout

    def begin(self) -> None:
        """The lines before the first iteration."""
        options, net = self.session.learner.options, self.network.net
        cadence = self.session.checkpoints.cadence
        self._print(self.base)
        if self.style == "classifier":
            self._print("1")
        if self.alexeyab and self.style == "detector":
            if self.images < 8:
                self._print(
                    f"\n Warning: You set batch={self.images} lower than 64! It is recommended to "
                    "set batch=64 subdivision=64 "
                )
            self._print(
                f"Weights are saved after: {cadence.every} iterations. "
                f"Last weights (*_last.weight) are stored every {cadence.last_every} iterations. "
            )
        rate = (
            f"Learning Rate: {options.learning_rate:g}, Momentum: {options.momentum:g}, "
            f"Decay: {options.decay:g}"
        )
        if self.style == "rnn" and not self.alexeyab:
            batch = self.session.learner.batch
            rate += f", Inputs: {self.network.image.size} {batch} {max(net.time_steps, 1)}"
        self._print(rate)
        if self.style in ("classifier", "epochs"):
            self._print(str(self.session.dataset.length))
        if self.alexeyab and self.style == "detector":
            from darknet_py.evaluation.report import head_lines

            types = [(head.index, head.section.type) for head in self.network.heads]
            print(head_lines(types), end="", flush=True)

    def show(self, progress: Progress) -> None:
        """The lines of one iteration."""
        if self.style not in ("rnn",):
            slow = self.alexeyab and self.style == "detector" and progress.waited > 0.1
            why = " - performance bottleneck on CPU or Disk HDD/SSD" if slow else ""
            self._print(f"Loaded: {progress.waited:f} seconds{why}")
        for mini_batch in progress.figures:
            for index, figures in mini_batch.items():
                self._show_head(index, figures)
        self._print(self._line(progress))
        left = max(self.session.learner.options.max_batches - progress.iteration, 0)
        remaining = left * (progress.seconds + progress.waited) / 3600
        self.hours = remaining if self.hours < 0 else 0.01 * remaining + 0.99 * self.hours

    def _line(self, progress: Progress) -> str:
        p = progress
        numbers = f"{p.loss:f}, {p.average:f} avg"
        rest = f"{p.rate:f} rate, {p.seconds:f} seconds"
        if self.style == "rnn":
            epochs = p.images / self.session.dataset.length
            return f"{p.iteration}: {numbers}, {rest}, {epochs:f} epochs"
        if self.style == "detector" and self.alexeyab:
            return (
                f"{self._next_map()}\n {p.iteration}: {numbers} loss, {rest}, {p.images} images, "
                f"{self.hours:f} hours left"
            )
        if self.style in ("detector", "counted"):
            return f"{p.iteration}: {numbers}, {rest}, {p.images} images"
        seen = self.session.learner.seen
        hours = ""
        if self.style == "classifier" and self.alexeyab:
            hours = f", {self.hours:f} hours left"
        epochs = seen / self.session.dataset.length
        return f"{p.iteration}, {epochs:.3f}: {numbers}, {rest}, {seen} images{hours}"

    def _next_map(self) -> str:
        run = self.session.run
        if self.examiner is None:
            return ""
        lines = f"\n (next mAP calculation at {self.examiner.next(run.scored)} iterations) "
        if run.score > 0:
            lines += (
                f"\n Last accuracy {self.examiner.title} = {run.score * 100:2.2f} %, "
                f"best = {run.best * 100:2.2f} % "
            )
        return lines

    def show_score(self, score: float, *, is_best: bool) -> None:
        """The lines after an evaluation."""
        if self.style == "classifier":
            title = self.examiner.title if self.examiner else ""
            self._print(f"\n accuracy {title} = {score:f} ")
            return
        report = getattr(self.examiner, "report", None)
        if report is not None:
            from darknet_py.evaluation.report import format_map

            print(format_map(report), end="", flush=True)
        title = self.examiner.title if self.examiner else ""
        self._print(f"\n mean_average_precision ({title}) = {score:f} ")
        if is_best:
            self._print("New best mAP!")

    def _show_head(self, index: int, figures: dict[str, float]) -> None:
        layer = self.network[index]
        kind = layer.section.type
        values: dict[str, Any] = {"index": index, **figures}
        if kind == "yolo" and self.alexeyab:
            options: Any = layer.options
            loss = options.iou_loss if options.iou_loss in ("mse", "giou") else "iou"
            values |= {"loss": loss, "iou_normalizer": options.iou_normalizer}
            values |= {"obj_normalizer": options.obj_normalizer}
            values |= {"cls_normalizer": options.cls_normalizer}
            details = _DETAILS if options.show_details else ""
            self._head(_V3 + details + "total_loss = {total_loss:f} ", values, sys.stderr)
        elif kind == "yolo":
            self._head(_YOLO, values, sys.stdout)
        elif kind == "Gaussian_yolo":
            self._head(_GAUSSIAN, values, sys.stderr)
        elif kind == "region":
            self._head(_REGION, values, sys.stdout)
        elif kind == "detection":
            self._head(_DETECTION, values, sys.stdout)

    def _head(self, line: str, values: dict[str, Any], file: Any) -> None:
        print(line.format(**values), file=file, flush=True)

    def _print(self, line: str) -> None:
        print(line, file=self.file, flush=True)

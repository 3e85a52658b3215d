"""What a run leaves to look at: its chart, TensorBoard's files, pictures, the layers' times."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darknet_py.convert.extras import extra
from darknet_py.errors import DarknetError, ImageError

if TYPE_CHECKING:
    from darknet_py.session import Session
    from darknet_py.train import Progress


class Records:
    """Chart, stream and TensorBoard of one run, as its flags say; a context."""

    def __init__(self, args: Namespace, session: Session, base: str) -> None:
        from darknet_py.chart import Chart
        from darknet_py.image import load_image

        self.session, run = session, session.run
        options, examiner = session.learner.options, session.examiner
        self.names = () if args.no_chart else ("chart.png", f"chart_{base}.png")
        background = load_image(args.chart) if args.chart else None
        title = "mAP%" if examiner is None or examiner.title.startswith("mAP") else examiner.title
        self.chart = Chart(options.max_batches, options.max_chart_loss, title, background)
        if background is None:
            self.chart.replay(run.losses, run.scores)
        self.server: Any = None
        if args.mjpeg_port > 0:
            from darknet_py.mjpeg import PictureServer

            self.server = PictureServer(args.mjpeg_port)
        self.board = _open_board(args.tensorboard, session.learner.iteration)
        self.clock = _clock(session) if args.benchmark_layers else None
        if args.show_imgs:
            _save_views(session)

    def __enter__(self) -> Records:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close what is open."""
        if self.board is not None:
            self.board.close()
        if self.server is not None:
            self.server.close()
        if self.clock is not None:
            print(self.clock.table(), flush=True)

    def add(self, progress: Progress, hours: float) -> None:
        """One iteration."""
        run, iteration = self.session.run, progress.iteration
        self.chart.add(iteration, run.average)
        self.chart.tell(iteration, run.average, hours)
        if iteration % 100 == 0:
            self.save()
        if self.server is not None:
            from darknet_py.image import to_jpeg

            self.server.show(to_jpeg(self.chart.picture, 70))
        if self.board is not None:
            count = self.session.learner.batch * self.session.learner.subdivisions
            values = {
                "loss": progress.loss,
                "average loss": run.average,
                "rate": progress.rate,
                "images a second": count / max(progress.seconds + progress.waited, 1e-9),
            }
            for name, value in values.items():
                self.board.add_scalar(name, value, iteration)

    def add_score(self) -> None:
        """One evaluation."""
        run, examiner = self.session.run, self.session.examiner
        self.chart.add_score(*run.scores[-1])
        if self.board is not None and examiner is not None:
            self.board.add_scalar(examiner.title, run.score, run.scored)
        self.save()

    def save(self) -> None:
        """Write the chart; one that cannot be written does not end a run."""
        from darknet_py.image import save_image

        for name in self.names:
            try:
                save_image(self.chart.picture, name)
            except ImageError as error:
                print(f"darknet-py: warning: {error}", file=sys.stderr)
                return


def _open_board(folder: str | None, iteration: int) -> Any:
    if folder is None:
        return None
    extra("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    try:
        return SummaryWriter(folder, purge_step=iteration + 1)
    except OSError as error:
        raise DarknetError(f"{folder}: cannot be written: {error.strerror}") from None


def _clock(session: Session) -> Any:
    from darknet_py.layer_clock import LayerClock

    return LayerClock(session.learner.network)


def _save_views(session: Session) -> None:
    """The pictures of the first mini-batch, as the network sees them."""
    from darknet_py.datasets import save_views

    iteration = session.learner.iteration
    written = save_views(session.dataset, iteration, Path(), session.dataset.batch(iteration))
    if written:
        print(f"{written[0]} to {written[-1]}: what the network sees", file=sys.stderr)

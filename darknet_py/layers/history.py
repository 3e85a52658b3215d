"""[history]: the last inputs, one behind the other (AlexeyAB)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_py.layers.base import Shape, Site, image
from darknet_py.layers.recurrent import Recurrent
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class HistoryOptions(LayerOptions):
    """Keys of [history] (C: parser.c:parse_history)."""

    history_size: int = key("how many inputs are kept, this one included", 4)


class History(Recurrent):
    """The input, then those of the time steps before it, newest first, along the channels.

    Input `(batch, c, h, w)`, output and state `(batch, history_size * c, h, w)`; steps that
    never were are 0. C: conv_lstm_layer.c:forward_history_layer.
    """

    Options = HistoryOptions
    options: HistoryOptions

    def __init__(self, options: HistoryOptions, site: Site) -> None:
        super().__init__(options, site)
        site.need_image()
        self.size = options.history_size
        if self.size < 1:
            raise site.section.error(
                f"history_size must be at least 1, got {self.size}", "history_size"
            )

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        (shape,) = inputs
        self.in_shape = shape
        self.out_shape = Shape(self.size * shape.channels, shape.height, shape.width)

    def state_shape(self, x: Tensor) -> tuple[int, ...]:
        """`(batch, history_size * c, h, w)`."""
        batch, channels, height, width = image(x).shape
        return batch, self.size * channels, height, width

    def step(self, x: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """The output, which is the new state too."""
        (before,) = memory
        x = image(x)
        # PARITY: a network whose [net] has time_steps=1 keeps no history: all but the newest
        # input stays 0 (C: conv_lstm_layer.c:forward_history_layer).
        if self.time_steps == 1:
            before = torch.zeros_like(before)
        # PARITY: no gradient goes back in time (C: backward_history_layer_gpu).
        before = before.detach()
        output = torch.cat([x, before[:, : (self.size - 1) * x.shape[1]]], 1)
        return output, output

    def row(self) -> str:
        """As conv_lstm_layer.c:make_history_layer prints it for a batch of one."""
        i, o = self.in_shape, self.out_shape
        return (
            f"HISTORY b = 1, s = {self.size:2d}, steps = {self.time_steps:2d}   "
            f"{i.width:4d} x{i.height:4d} x{i.channels:4d} -> "
            f"{o.width:4d} x{o.height:4d} x{o.channels:4d} "
        )

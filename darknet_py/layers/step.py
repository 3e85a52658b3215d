"""What passes between a layer's loss and the training of its network: Step, Delta."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from darknet_py.shape import Shape

if TYPE_CHECKING:
    from darknet_py.losses.rejection import LabelRejection


@dataclass(frozen=True)
class Step:
    """What a loss may know of the iteration it belongs to.

    `seen` counts the images seen, this mini-batch's included; `iteration` the updates made;
    `batch` the images of this mini-batch; `image` is the network's present input; `outputs` are
    those of the layers so far. The rest is [net]'s, and where in the iteration this is.
    """

    seen: int
    iteration: int
    batch: int
    image: Shape
    outputs: Sequence[Tensor]
    random: np.random.Generator
    subdivision: int = 0
    max_batches: int = 0
    burn_in: int = 0
    label_smooth_eps: float = 0.0
    adversarial: bool = False
    rejection: LabelRejection | None = None
    """[net]'s filter for bad labels, kept from step to step."""
    marks: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """By [yolo] layer: the track and the class each box was taught, `(batch, n h w)`, or -1."""


@dataclass
class Delta:
    """What a loss gives: a step direction for its layer's input, and figures to print.

    `values` has the shape of the layer's input and is minus the gradient, summed over the samples
    (C: l.delta); `cost` is C's *l.cost; `figures` is what C prints of this head. `raw` is C's
    l.delta where the layer's backward pass still changes it; None: `values` is.
    """

    values: Tensor
    cost: float | Tensor
    figures: dict[str, float] = field(default_factory=dict)
    raw: Tensor | None = None

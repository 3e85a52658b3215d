"""What lowered layers run: operations on tensors that may be fused, and written in place."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from darknet_py.image import interleave
from darknet_py.kernels.call import Told
from darknet_py.shape import Shape


@dataclass(frozen=True)
class Place:
    """Where and how a lowered network runs."""

    device: torch.device
    dtype: torch.dtype
    """Of the arrays and of what flows between layers: float32, bfloat16 or float16."""
    fused: bool
    """Whether oneDNN's fused convolutions may be used (onednn.py)."""
    native: bool = False
    """Whether kernels of our own may be used (native.py)."""
    consumes: bool = False
    """Whether layers give up the memory of the arrays they have no more use for."""

    def to(self, x: Tensor) -> Tensor:
        """`x` on this device, in this type; images with the channels last in memory."""
        x = x.to(self.device, non_blocking=True)
        image = x.dim() == 4
        if image and x.device.type == "cpu" and _is_picture(x):
            return _interleave(x).to(self.dtype)
        layout = torch.channels_last if image else torch.contiguous_format
        # the layout first: in one step a CPU takes twice as long
        return x.contiguous(memory_format=layout).to(self.dtype)


def _is_picture(x: Tensor) -> bool:
    """Whether `interleave` can lay it out."""
    if torch.compiler.is_compiling():
        return False
    return 1 < x.shape[1] <= 4 and x.dtype == torch.float32 and x.is_contiguous() and x.numel() > 0


def _interleave(x: Tensor) -> Tensor:
    """A batch of pictures with the channels last."""
    y = torch.empty_like(x, memory_format=torch.channels_last)
    for planes, picture in zip(x.detach().numpy(), y.permute(0, 2, 3, 1).numpy(), strict=True):
        interleave(planes, picture)
    return y


@dataclass(frozen=True)
class Slot:
    """Some channels of a concatenation, which the first to write into it allocates."""

    buffers: dict[int, Tensor]
    index: int
    channels: int
    start: int
    end: int
    place: Place

    def take(self, batch: int, height: int, width: int) -> Tensor:
        """The memory of these channels, for maps of this size."""
        buffer = self.buffers.get(self.index)
        if buffer is None:
            buffer = torch.empty(
                (batch, self.channels, height, width),
                dtype=self.place.dtype,
                device=self.place.device,
                memory_format=torch.channels_last,
            )
            self.buffers[self.index] = buffer
        return buffer[:, self.start : self.end]

    def like(self, x: Tensor) -> Tensor:
        """The same for a map `(batch, c, h, w)` that is to be written here."""
        return self.take(x.shape[0], x.shape[2], x.shape[3])


class Operation:
    """A function of tensors, `operation(*inputs)`.

    The planner (lower/plan.py) may set `reuse` before the first call, and call with `out=`, a
    place in a concatenation.
    """

    fresh = False
    """Whether the output is memory of its own, which nothing but the caller holds."""
    reusable: tuple[int, ...] = ()
    """The inputs whose memory the output could take, best first."""
    can_write = False
    """Whether the call takes `out=`: where to write the output, perhaps a part of some channels."""
    reuse: int | None = None
    """The input whose memory the output may take: nobody reads it any more."""
    traceable = False
    """Whether there is `plain`."""

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """The output."""
        raise NotImplementedError(type(self).__name__)

    def plain(self, *inputs: Tensor) -> Tensor:
        """The output by functions that oneDNN Graph knows and fuses itself, nothing in place.

        Its branches depend on sizes alone: lower/segments.py records what it does.
        """
        raise NotImplementedError(type(self).__name__)

    def tell(self, *shapes: Shape) -> Told | None:
        """What a kernel of our own is told to do the same (native.py); None: there is none for it.

        Args:
            shapes: of the inputs.
        """
        return None

    def followed_by(self, addition: Operation) -> Operation | None:
        """One operation for this one and a sum; None: there is none better than both.

        Its inputs are this one's and then those of the sum that are not this one's output.
        """
        return None


class Plain(Operation):
    """A layer's own `forward`.

    It gets float32 tensors in C's order, as it does in training, or with `direct` whatever the
    layers before give: any layout, any precision.
    """

    def __init__(
        self,
        layer: nn.Module,
        place: Place,
        *,
        direct: bool = False,
        fresh: bool = False,
        traceable: bool = False,
    ) -> None:
        self.layer, self.place, self.direct, self.fresh = layer, place, direct, fresh
        self.traceable = traceable

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """The layer's output."""
        if not self.direct:
            inputs = tuple(x.to(torch.float32).contiguous() for x in inputs)
        y: Tensor = self.layer(*inputs)
        return y

    def plain(self, *inputs: Tensor) -> Tensor:
        """The same."""
        return self(*inputs)


class Identity(Operation):
    """The input itself."""

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """The input."""
        return inputs[0]

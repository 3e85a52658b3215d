"""Fast inference: a network's layers folded, fused and laid out for one device."""

from __future__ import annotations

import copy
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property

import torch
from torch import Tensor

from darknet_py.errors import DarknetError
from darknet_py.layers import Layer
from darknet_py.lower.graphs import Graphed, Runner
from darknet_py.lower.plan import Step, plan
from darknet_py.lower.program import Program, Room
from darknet_py.lower.program import divide as divide_programs
from darknet_py.lower.segments import Segment, divide
from darknet_py.network import Network
from darknet_py.operations import Place, Plain, Slot, onednn
from darknet_py.operations.native import find_library
from darknet_py.operations.native_convolution import NativeConvolution

PATIENCE = 3
"""The first run of a batch size in which its segments may be compiled, in up to two seconds."""
WORTH = 2.0
"""Seconds that a batch size's runs have taken before its segments are compiled: that costs about
half a second, and saves a sixth to a half of what comes after."""

TOGETHER = 25 << 20
"""Bytes of maps that are alive at once up to which pictures run together: more leave the cache. Of
a larger picture it holds too little anyway; all run together then, and share the weights.
"""


class Lowered:
    """A network for inference only; `prepare` makes it.

    `lowered(x)` takes `(batch, channels, height, width)`, float32, RGB from 0 to 1, on any device,
    and gives the outputs that were asked for, float32, in C's order.
    """

    def __init__(self, network: Network, steps: list[Step], wanted: list[int], place: Place):
        self.steps, self.wanted, self.place = steps, wanted, place
        self.image = network.image
        self.worth, self.patience = WORTH, PATIENCE
        self._runs: Counter[tuple[int, int]] = Counter()
        self._seconds: defaultdict[tuple[int, int], float] = defaultdict(float)
        self._divided: dict[tuple[int, int], list[Step | Segment]] = {}
        self._programs: list[Step | Program] | None = None
        if place.native and any(isinstance(step.operation, NativeConvolution) for step in steps):
            shapes = {-1: network.image} | {step.index: step.shape for step in steps}
            self._programs = divide_programs(steps, shapes, place)
        readers = [step.operation for step in steps if -1 in step.sources]
        self._reads_planes = self._programs is not None and all(
            isinstance(reader, NativeConvolution) and reader.reads_planes for reader in readers
        )
        self._rooms: defaultdict[tuple[int, int], list[Room]] = defaultdict(list)
        self._run: Runner = self.run
        if place.device.type == "cuda" and not self._remembers():
            self._run = Graphed(self.run)

    @torch.inference_mode()
    def __call__(self, x: Tensor, *, ordered: bool = True) -> list[Tensor]:
        """The outputs for a batch.

        Args:
            x: as above.
            ordered: in C's order in memory, too; else maps may lie there with their channels last,
                which saves a copy.

        Raises:
            DarknetError: `x` is not of the size that the network had when it was prepared.
        """
        image = self.image
        wanted = (image.channels, image.height, image.width) if image.is_image else (image.size,)
        if x.shape[1:] != wanted:
            sizes = ", ".join(map(str, wanted))
            raise DarknetError(
                f"the network's input must be (batch, {sizes}), got {tuple(x.shape)}; for other "
                "sizes, resize the network and prepare it again"
            )
        start = time.perf_counter()
        outputs = self._run(
            x.to(self.place.device, torch.float32) if self._reads_planes else self.place.to(x)
        )
        self._seconds[_key(x)] += time.perf_counter() - start
        outputs = [y.to(torch.float32) for y in outputs]
        return [y.contiguous() for y in outputs] if ordered else outputs

    def run(self, x: Tensor) -> list[Tensor]:
        """The same for an input as `Place.to` gives it; outputs of any layout and precision."""
        if len(x) > 1 and len(x) > self.together:
            some = max(n for n in range(1, self.together + 1) if len(x) % n == 0)
            parts = [self.run(x[i : i + some]) for i in range(0, len(x), some)]
            return [torch.cat(several) for several in zip(*parts, strict=True)]
        key = _key(x)
        outputs, buffers = {-1: x}, dict[int, Tensor]()
        del x  # it is freed behind its last reader
        if self._programs is not None:
            self._run_programs(self._programs, key, outputs, buffers)
        else:
            for step in self._choose(key):
                if isinstance(step, Segment) and step.run(outputs):
                    continue
                for single in step.steps if isinstance(step, Segment) else (step,):
                    self._execute(single, outputs, buffers)
        return [outputs[i] for i in self.wanted]

    @cached_property
    def together(self) -> int:
        """How many pictures of a batch run together, at most."""
        if self._programs is None or self._remembers():
            return sys.maxsize
        programs = [step for step in self._programs if isinstance(step, Program)]
        live = max((program.plan(1)[1] for program in programs), default=0)
        return round(TOGETHER / live) if 0 < live < TOGETHER else sys.maxsize

    def _run_programs(
        self,
        steps: Sequence[Step | Program],
        key: tuple[int, int],
        outputs: dict[int, Tensor],
        buffers: dict[int, Tensor],
    ) -> None:
        waiting = self._rooms[key]
        try:
            room = waiting.pop()
        except IndexError:
            self._rooms = defaultdict(list, {key: waiting})  # of other batches' they are freed
            room = Room([step for step in steps if isinstance(step, Program)], *key)
        for step in steps:
            if isinstance(step, Program):
                step.run(outputs, room)
            else:
                self._execute(step, outputs, buffers)
        waiting.append(room)

    def _choose(self, key: tuple[int, int]) -> Sequence[Step | Segment]:
        """The single steps, or segments compiled from them once that pays."""
        if not self.place.fused:
            return self.steps
        self._runs[key] += 1
        if key not in self._divided:
            if self._runs[key] < self.patience or self._seconds[key] < self.worth:
                return self.steps
            self._divided[key] = divide(self.steps)
        return self._divided[key]

    def _execute(self, step: Step, outputs: dict[int, Tensor], buffers: dict[int, Tensor]) -> None:
        index, target = step.index, step.target
        if step.written:
            y = buffers.pop(index)
            for part in step.parts:
                y[:, part.start : part.end].copy_(outputs[part.source])
            outputs[index] = y
        elif target is not None:
            slot = Slot(
                buffers, target.index, target.channels, target.start, target.end, self.place
            )
            outputs[index] = step.operation(*[outputs[i] for i in step.sources], out=slot)
        else:
            outputs[index] = step.operation(*[outputs[i] for i in step.sources])
        for dead in step.freed:
            del outputs[dead]

    def compile(self, mode: str = "max-autotune") -> None:
        """Have torch compile the whole as it runs first, for a GPU above all.

        What kernels of our own run stays as it is: these are compiled.

        Args:
            mode: as `torch.compile` takes it; "max-autotune" tries kernels, for minutes, and
                records CUDA graphs itself.
        """
        if self._programs is None:
            self._run = torch.compile(self.run, mode=mode)

    def _remembers(self) -> bool:
        operations = [step.operation for step in self.steps]
        return any(isinstance(o, Plain) and remembers(o.layer) for o in operations)

    def reset_state(self) -> None:
        """Forget what recurrent layers remember."""
        for step in self.steps:
            if isinstance(step.operation, Plain) and isinstance(step.operation.layer, Layer):
                step.operation.layer.reset_state()


def _key(x: Tensor) -> tuple[int, int]:
    """What segments are compiled for: size of the batch, and threads."""
    return len(x), torch.get_num_threads()


def prepare(
    network: Network,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    *,
    wanted: Iterable[int] | None = None,
    every_layer: bool = False,
    fused: bool | None = None,
    native: bool | None = None,
    consume: bool = False,
) -> Lowered:
    """What runs `network` fast, for inference only; the network itself stays as it is.

    Args:
        network: with its weights; later changes of them do not count.
        device: where to run; None: where the network is.
        dtype: float32 (None), bfloat16 or float16; heads and softmax always run in float32.
        wanted: the layers whose outputs are given; a negative number counts back from the end.
            None: the heads', or if there are none the last that is no [cost].
        every_layer: give every layer's output, for comparisons: nothing is fused across layers.
        fused: use oneDNN's fused convolutions; None: where they are to be had. False: no kernels of
            our own either.
        native: use kernels of our own; None: where there is a C++ compiler to make them.
        consume: the network is not needed any more: the weights of each convolution are freed
            (and are no numbers) once they are folded and packed, so that they take the memory of
            one copy.
    """
    here = next((p.device for p in network.parameters()), torch.device("cpu"))
    there = here if device is None else torch.device(device)
    kind = dtype or torch.float32
    can_fuse = there.type == "cpu" and fused is not False and onednn.can_fuse(kind)
    numbers = range(len(network))
    if every_layer:
        chosen = list(numbers)
    elif wanted is not None:
        chosen = [numbers[i] for i in wanted]
    else:
        chosen = [head.index for head in network.heads] or [network.output_index]
    layers = list(network)[: max(chosen, default=-1) + 1]
    allowed = there.type == "cpu" and fused is not False and native is not False
    own = allowed and find_library(kind) is not None
    place = Place(there, kind, can_fuse, own, consume)
    operations = [layer.lower(place) for layer in layers]
    for operation in operations:
        if isinstance(operation, Plain):
            operation.layer = _own(operation.layer, here, there)
    return Lowered(network, plan(layers, operations, chosen, every_layer), chosen, place)


def _own(layer: torch.nn.Module, here: torch.device, there: torch.device) -> torch.nn.Module:
    """The layer, or a copy of one that remembers, is in training, or is elsewhere."""
    if here == there and not remembers(layer) and not layer.training:
        return layer
    return copy.deepcopy(layer).eval().to(there)


def remembers(layer: torch.nn.Module) -> bool:
    """Whether a layer's output depends on the inputs before."""
    return isinstance(layer, Layer) and type(layer).reset_state is not Layer.reset_state

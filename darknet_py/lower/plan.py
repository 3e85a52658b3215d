"""In which order a lowered network runs, what is fused, and where each output is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from darknet_py.layers import Layer
from darknet_py.operations import Identity, Operation
from darknet_py.operations.addition import Addition
from darknet_py.operations.joining import Concatenation
from darknet_py.shape import Shape


@dataclass(frozen=True)
class Part:
    """Some channels, from `start` to before `end`, of concatenation `index`: output `source`."""

    index: int
    channels: int
    source: int
    start: int
    end: int


@dataclass
class Step:
    """One operation, which stands for layer `index`, and perhaps for one before it."""

    index: int
    operation: Operation
    sources: tuple[int, ...]
    shape: Shape
    """Of the output."""
    freed: tuple[int, ...] = ()
    """Outputs that nobody reads after this step."""
    target: Part | None = None
    """Where in a concatenation this output is written."""
    parts: tuple[Part, ...] = ()
    """Of a concatenation that others write into: what it copies itself. None do: empty."""
    written: bool = False
    """Whether others write into this concatenation."""


def plan(
    layers: Sequence[Layer], operations: Sequence[Operation], wanted: Iterable[int], every: bool
) -> list[Step]:
    """The steps for `layers`.

    Args:
        layers: of the network, in order, none behind the last one wanted.
        operations: what stands for each.
        wanted: the layers whose outputs are asked for.
        every: whether each output is kept: nothing is fused across layers or written in place.
    """
    kept = set(wanted)
    steps = [
        Step(layer.index, operation, layer.sources, layer.out_shape)
        for layer, operation in zip(layers, operations, strict=True)
    ]
    if not every:
        steps = _skip(steps, kept)
        steps = _fuse(steps, kept)
        _reuse(steps, kept)
        _place(steps, layers, kept)
    _free(steps, kept)
    return steps


def _readers(steps: Sequence[Step]) -> dict[int, list[Step]]:
    readers: dict[int, list[Step]] = {}
    for step in steps:
        for source in set(step.sources):
            readers.setdefault(source, []).append(step)
    return readers


def _skip(steps: list[Step], kept: set[int]) -> list[Step]:
    """Leave out what does nothing: its readers read its source."""
    same: dict[int, int] = {}
    for step in steps:
        step.sources = tuple(same.get(source, source) for source in step.sources)
        if isinstance(step.operation, Identity) and step.index not in kept:
            same[step.index] = step.sources[0]
    return [step for step in steps if step.index not in same]


def _fuse(steps: list[Step], kept: set[int]) -> list[Step]:
    """Let sums go into the operations before them."""
    readers, by_index, gone = _readers(steps), {step.index: step for step in steps}, set()
    for step in steps:
        if not isinstance(step.operation, Addition) or len(set(step.sources)) != 2:
            continue
        for source, other in (step.sources, step.sources[::-1]):
            before = by_index.get(source)
            if before is None or source in kept or len(readers[source]) > 1:
                continue
            joined = before.operation.followed_by(step.operation)
            if joined is not None:
                step.operation, step.sources = joined, (*before.sources, other)
                gone.add(source)
                break
    return [step for step in steps if step.index not in gone]


def _reuse(steps: Sequence[Step], kept: set[int]) -> None:
    """Let outputs take the memory of inputs that die, where nothing else can hold these."""
    readers, fresh = _readers(steps), {s.index for s in steps if s.operation.fresh}
    for step in steps:
        for number in step.operation.reusable:
            source = step.sources[number]
            others = [reader for reader in readers[source] if reader is not step]
            if (
                source in fresh - kept
                and readers[source][-1] is step
                and step.sources.count(source) == 1
                and all(reader.operation.fresh for reader in others)
            ):
                step.operation.reuse = number
                break


def _place(steps: Sequence[Step], layers: Sequence[Layer], kept: set[int]) -> None:
    """Let outputs that only a concatenation reads be written into it."""
    readers, by_index = _readers(steps), {step.index: step for step in steps}
    for step in steps:
        repeated = len(set(step.sources)) < len(step.sources)
        if not isinstance(step.operation, Concatenation) or repeated:
            continue
        channels = [layers[source].out_shape.channels for source in step.sources if source >= 0]
        if len(channels) < len(step.sources):
            continue
        start, copied = 0, []
        for source, count in zip(step.sources, channels, strict=True):
            part = Part(step.index, sum(channels), source, start, start + count)
            start = part.end
            before = by_index[source]
            if before.operation.can_write and source not in kept and len(readers[source]) == 1:
                before.target, step.written = part, True
            else:
                copied.append(part)
        step.parts = tuple(copied) if step.written else ()


def _free(steps: Sequence[Step], kept: set[int]) -> None:
    """Name what dies at each step."""
    last = {source: step.index for step in steps for source in step.sources}
    for step in steps:
        step.freed = tuple(
            source
            for source in {step.index, *step.sources}
            if last.get(source, step.index) == step.index and source not in kept
        )

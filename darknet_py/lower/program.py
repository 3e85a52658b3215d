"""Steps in a row as calls of our own kernels, which run one after the other without Python."""

from __future__ import annotations

import ctypes
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from darknet_py import activations
from darknet_py.kernels.call import (
    AVERAGE,
    DENSE,
    DEPTHWISE,
    MULTIPLY,
    PICTURE,
    SOFTMAX,
    SQUASH,
    Call,
)
from darknet_py.lower.plan import Part, Step
from darknet_py.lower.segments import group_steps
from darknet_py.operations import Place
from darknet_py.operations.activation import NUMBERS
from darknet_py.operations.joining import Concatenation, Slice, copy_call
from darknet_py.operations.native import find_library, lay_out, lay_out_picture, new_map
from darknet_py.shape import Shape

LINEAR = NUMBERS[activations.linear]
OF_FLOATS = (SQUASH, SOFTMAX)
"""Kernels whose results are float32 whatever the type."""

_LINE = 64
"""Maps begin at a multiple of this many bytes."""


@dataclass(frozen=True)
class _Told:
    """A call, and which maps it reads and writes: their numbers, and the first channels of each."""

    call: Call
    x: int
    other: int | None
    y: int
    start: int = 0
    x_start: int = 0
    other_start: int = 0


class Room:
    """What one run of a network's programs needs for itself.

    That is memory for the maps that nobody outside a program reads, which they take one after the
    other, and the calls, which know where in it the maps lie.
    """

    def __init__(self, programs: Sequence[Program], batch: int, threads: int) -> None:
        plans = [program.plan(batch) for program in programs]
        self._arena = torch.empty(
            max((total for _, total in plans), default=0) + _LINE, dtype=torch.uint8
        )
        start = -(-self._arena.data_ptr() // _LINE) * _LINE
        self.calls = {
            id(program): program.make_calls(batch, threads, start, places)
            for program, (places, _) in zip(programs, plans, strict=True)
        }


class Program:
    """Steps in a row, for each of which there is a kernel."""

    def __init__(self, steps: Sequence[Step], shapes: dict[int, Shape], place: Place) -> None:
        """Take the steps.

        Args:
            steps: in order.
            shapes: of all outputs, by their numbers, and of the network's input, -1.
            place: where they run.
        """
        self.steps, self.place = tuple(steps), place
        inside = {step.index for step in steps}
        dead = {index for step in steps for index in step.freed}
        self.sources = sorted({i for step in steps for i in step.sources} - inside)
        self.results = sorted(inside - dead)
        self.freed = tuple(dead - inside)
        """Outputs from before that nobody reads after this program."""
        self._shapes = shapes
        self._told = _resolve(steps, shapes, {*self.results})
        _join(self._told, {*self.results})
        outside = {*self.sources, *self.results}
        self._outward = [
            (number, told)
            for number, told in enumerate(self._told)
            if outside & {told.x, told.other, told.y}
        ]
        pictures = [told for told in self._told if told.call.kind == PICTURE]
        rest = [told for told in self._told if told.call.kind != PICTURE]
        self._pictures = {told.x for told in pictures} - {told.x for told in rest}
        self._pictures -= {told.other for told in self._told}  # others do not read planes
        self._floats = {told.y for told in self._told if told.call.kind in OF_FLOATS}
        library = find_library(place.dtype)
        if library is None:
            raise RuntimeError("there are no kernels")
        self._library = library

    def run(self, outputs: dict[int, Tensor], room: Room) -> None:
        """Add the results to `outputs` and drop what is dead.

        Args:
            outputs: by their numbers.
            room: for this batch and number of threads; nobody else has it meanwhile.
        """
        dtype, calls = self.place.dtype, room.calls[id(self)]
        given = {
            i: lay_out_picture(outputs[i]) if i in self._pictures else lay_out(outputs[i], dtype)
            for i in self.sources
        }
        batch = len(outputs[self.sources[0]])
        made = {i: new_map(batch, self._shapes[i], self._type_of(i)) for i in self.results}
        given |= {i: (y, self._shapes[i].channels) for i, y in made.items()}
        _point(calls, self._outward, given, dtype)
        self._library.run(calls, len(self._told))
        shapes = self._shapes
        outputs.update({i: y if shapes[i].is_image else y.flatten(1) for i, y in made.items()})
        for index in self.freed:
            del outputs[index]

    def _type_of(self, index: int) -> torch.dtype:
        """Of an output."""
        return torch.float32 if index in self._floats else self.place.dtype

    def plan(self, batch: int) -> tuple[dict[int, int], int]:
        """Where in a memory each map inside begins, and how much they take; bytes."""
        sizes = {
            told.y: batch * self._shapes[told.y].size * self._type_of(told.y).itemsize
            for told in self._told
        }
        for index in self.results:
            sizes.pop(index, None)
        return _pack(_lives(self._told, sizes), sizes)

    def make_calls(
        self, batch: int, threads: int, start: int, places: dict[int, int]
    ) -> ctypes.Array[Call]:
        """The calls, for a memory from `start` on."""
        calls = (Call * len(self._told))(*(told.call for told in self._told))
        itemsize = self.place.dtype.itemsize
        for call, told in zip(calls, self._told, strict=True):
            call.batch, call.threads, call.half = batch, threads, self.place.dtype != torch.float32
            call.y_pitch = self._shapes[told.y].channels
            if told.y in places:
                call.y = start + places[told.y] + told.start * itemsize
            if told.x in places:
                call.x = start + places[told.x] + told.x_start * itemsize
                call.x_pitch = self._shapes[told.x].channels
            if told.other in places:
                call.other = start + places[told.other] + told.other_start * itemsize
                call.other_pitch = self._shapes[told.other].channels
        return calls


def divide(steps: Sequence[Step], shapes: dict[int, Shape], place: Place) -> list[Step | Program]:
    """The steps, those that kernels do in programs as long as they come.

    A concatenation that others write into stays with all of these, in or out of programs.
    """
    read = {source for step in steps for source in step.sources}
    loose = {step.index for step in steps if not _is_told(step, shapes, read)}
    found: list[Step | Program] = []
    for run, is_loose in group_steps(steps, loose):
        found += run if is_loose else [Program(run, shapes, place)]
    return found


def _is_told(step: Step, shapes: dict[int, Shape], read: set[int]) -> bool:
    """Whether kernels do it. What other steps read is of the one type that all have."""
    told = _tell(step, shapes)
    if step.index in read and any(one.call.kind in OF_FLOATS for one in told):
        return False
    return len(told) > 0 or step.written


def _tell(step: Step, shapes: dict[int, Shape]) -> list[_Told]:
    """The calls of a step; empty: there is no kernel for it, or nothing is left to do."""
    if isinstance(step.operation, Concatenation):
        start, parts = 0, list(step.parts)
        if not step.written:
            for source in step.sources:
                end = start + shapes[source].channels
                parts.append(Part(step.index, shapes[step.index].channels, source, start, end))
                start = end
        return [
            _Told(copy_call(shapes[p.source]), p.source, None, step.index, p.start) for p in parts
        ]
    told = step.operation.tell(*(shapes[i] for i in step.sources))
    if told is None:
        return []
    other = None if told.other is None else step.sources[told.other]
    x, target = step.sources[told.x], step.target
    if target is None:
        return [_Told(told.call, x, other, step.index, x_start=told.start)]
    return [_Told(told.call, x, other, target.index, target.start, told.start)]


def _resolve(steps: Sequence[Step], shapes: dict[int, Shape], results: set[int]) -> list[_Told]:
    """All calls. Who reads a part of a map's channels reads them in that map, if it is here."""
    found: list[_Told] = []
    parts: dict[int | None, tuple[int, int]] = {}
    for step in steps:
        for one in _tell(step, shapes):
            x, x_start = parts.get(one.x, (one.x, 0))
            other, other_start = parts.get(one.other, (one.other, 0))
            x_start += one.x_start
            if isinstance(step.operation, Slice) and step.index not in results:
                parts[step.index] = x, x_start
                continue
            found.append(replace(one, x=x, other=other, x_start=x_start, other_start=other_start))
    return found


def _join(told: Sequence[_Told], results: set[int]) -> None:
    """Say which calls the next one may run with (kernels/kernels.cpp: run_first).

    These are expanding convolutions that only the depthwise one behind them reads, depthwise ones
    with a mean behind them, and products with a single pixel that only a 1 x 1 convolution reads.
    """
    uses = Counter(i for one in told for i in (one.x, one.other, one.y))
    for one, after in itertools.pairwise(told):
        call, then = one.call, after.call
        behind = after.x == one.y and not after.x_start and not one.start
        alone = behind and uses[one.y] == 2 and one.y not in results
        if call.kind == DENSE and then.kind == DEPTHWISE:
            call.joined = alone and one.other is None and _is_plain(call)
        elif call.kind == DEPTHWISE and then.kind == AVERAGE:
            call.joined = behind and call.filters == then.channels
        elif call.kind == MULTIPLY and then.kind == DENSE:
            scales = call.size == 0 and call.first == LINEAR and call.filters == call.channels
            call.joined = alone and scales and _is_plain(then)


def _is_plain(call: Call) -> bool:
    """Whether a convolution is of single pixels, each."""
    return bool(call.size == call.stride_x == call.stride_y == 1 and not call.padding)


def _point(
    calls: ctypes.Array[Call],
    told: Sequence[tuple[int, _Told]],
    maps: dict[int, tuple[Tensor, int]],
    dtype: torch.dtype,
) -> None:
    """Say where the maps lie that come from outside, or leave."""
    for number, one in told:
        call = calls[number]
        if one.x in maps:
            x, call.x_pitch = maps[one.x]
            call.x = x.data_ptr() + one.x_start * x.element_size()
        if one.other in maps:
            x, call.other_pitch = maps[one.other]
            call.other = x.data_ptr() + one.other_start * x.element_size()
        if one.y in maps:
            call.y = maps[one.y][0].data_ptr() + one.start * dtype.itemsize


def _lives(told: Sequence[_Told], sizes: dict[int, int]) -> dict[int, tuple[int, int]]:
    """The first and the last call that touches each map."""
    lives: dict[int, tuple[int, int]] = {}
    for number, one in enumerate(told):
        for index in (one.x, one.other, one.y):
            if index in sizes:
                end = number + one.call.joined  # the next call may run at the same time
                lives[index] = lives.get(index, (number, number))[0], end
    return lives


def _pack(lives: dict[int, tuple[int, int]], sizes: dict[int, int]) -> tuple[dict[int, int], int]:
    """Where each map lies in one memory, so that those alive at once do not overlap; its size."""
    places: dict[int, int] = {}
    total = 0
    for index in sorted(lives, key=lambda i: -sizes[i]):
        first, last = lives[index]
        taken = sorted(
            (places[i], places[i] + sizes[i])
            for i in places
            if lives[i][0] <= last and first <= lives[i][1]
        )
        place = 0
        for start, end in taken:
            if place + sizes[index] <= start:
                break
            place = max(place, -(-end // _LINE) * _LINE)
        places[index] = place
        total = max(total, place + sizes[index])
    return places, total

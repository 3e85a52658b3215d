"""Steps in a row compiled together: by oneDNN Graph, which TorchScript reaches.

A convolution costs 25 us before it computes where torch calls oneDNN, some 5 in a compiled
segment. Torch may drop this any day: what cannot be compiled runs step by step.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from torch import Tensor

from darknet_py.lower.plan import Step

Function = Callable[..., tuple[Tensor, ...]]

_COMPILING = threading.Lock()
"""One segment at a time: the switch for oneDNN Graph is the whole process's."""


class Segment:
    """Steps in a row, which all are traceable, as one function of outputs before them."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)
        inside = {step.index for step in steps}
        dead = {index for step in steps for index in step.freed}
        self.sources = sorted({i for step in steps for i in step.sources} - inside)
        self.results = sorted(inside - dead)
        self.freed = tuple(dead - inside)
        """Outputs from before that nobody reads after this segment."""
        self._function: Function | None = None
        self._failed = False

    def run(self, outputs: dict[int, Tensor]) -> bool:
        """Add the results to `outputs` and drop what is dead; False: it cannot be compiled.

        Args:
            outputs: by their numbers; those that it reads have the same sizes at each call.
        """
        inputs = tuple(outputs[i] for i in self.sources)
        if self._function is None and not self._failed:
            with _COMPILING:
                if self._function is None and not self._failed:  # no other thread was first
                    self._function = _compile(self._plain, inputs)
                    self._failed = self._function is None
        if self._function is None:
            return False
        outputs.update(zip(self.results, self._function(*inputs), strict=True))
        for index in self.freed:
            del outputs[index]
        return True

    def _plain(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The results by the operations' plain functions, nothing in place."""
        outputs = dict(zip(self.sources, inputs, strict=True))
        for step in self.steps:
            outputs[step.index] = step.operation.plain(*[outputs[i] for i in step.sources])
        return tuple(outputs[i] for i in self.results)


def divide(steps: Sequence[Step]) -> list[Step | Segment]:
    """The steps, those that can be traced in segments as long as they come."""
    loose = {step.index for step in steps if not step.operation.traceable}
    found: list[Step | Segment] = []
    for run, is_loose in group_steps(steps, loose):
        found += run if is_loose else [Segment(run)]
    return found


def group_steps(steps: Sequence[Step], loose: set[int]) -> list[tuple[list[Step], bool]]:
    """Runs of steps that are loose, or that are not, and which they are.

    A concatenation that others write into stays with all of these, in or out of a run.

    Args:
        steps: in order.
        loose: those that run by themselves.
    """
    found = set(loose)
    while True:
        runs = [list(run) for _, run in groupby(steps, lambda step: step.index in found)]
        place = {step.index: number for number, run in enumerate(runs) for step in run}
        writers = [(step.index, step.target.index) for step in steps if step.target is not None]
        torn = {i for a, b in writers if a in found or place[a] != place[b] for i in (a, b)}
        if torn <= found:
            return [(run, run[0].index in found) for run in runs]
        found.update(torn)


def _compile(function: Function, inputs: tuple[Tensor, ...]) -> Function | None:
    """`function` compiled for inputs like these; None: that cannot be done here, or goes wrong."""
    try:
        expected = function(*inputs)
        before = torch.jit.onednn_fusion_enabled()  # type: ignore[no-untyped-call]
        torch.jit.enable_onednn_fusion(True)
    except (AttributeError, RuntimeError):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript calls itself deprecated
            traced: Function = torch.jit.trace(  # type: ignore[no-untyped-call]
                function, inputs, check_trace=False
            )
        for _ in range(3):  # it looks at the inputs first, then it compiles
            found = traced(*inputs)
    except RuntimeError:
        return None
    finally:
        torch.jit.enable_onednn_fusion(before)
    return traced if all(map(_is_close, found, expected)) else None


def _is_close(a: Tensor, b: Tensor) -> bool:
    """Whether no value differs by more than 1e-4 (16 bits: 0.1) of the largest one."""
    share = 1e-4 if a.dtype == torch.float32 else 0.1
    return a.shape == b.shape and bool((a - b).abs().max() <= share * b.abs().max())

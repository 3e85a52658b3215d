"""The processes that train one network together, and what they tell each other."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from darknet_py.errors import DarknetError, TrainError

T = TypeVar("T")
PATIENCE = timedelta(hours=2)
"""How long a process waits for the others: the first one may be evaluating."""
_START = timedelta(minutes=10)
"""How long all may take to start."""
LAUNCHER = "DARKNET_PY_LAUNCHER"
"""The environment variable with the process that `launch` runs in."""
_FAILED = "darknet_py/failed"


@dataclass(frozen=True)
class Group:
    """This process, `rank`, of `ranks`. With one process everything is what it is already."""

    rank: int = 0
    ranks: int = 1
    device: str | None = None
    """Where this process computes; None: nobody said."""
    _store: Store | None = field(default=None, repr=False)

    @property
    def is_first(self) -> bool:
        """Whether this is the one that prints and writes."""
        return self.rank == 0

    @property
    def share(self) -> tuple[int, int]:
        """(rank, ranks), as `Loader` takes it."""
        return self.rank, self.ranks

    def add_up(self, tensor: Tensor) -> Tensor:
        """Replace `tensor` by the sum over the processes; all get the same bits."""
        if self.ranks > 1:
            with _lost():
                dist.all_reduce(tensor)
        return tensor

    def gather(self, tensor: Tensor) -> Tensor:
        """All processes' tensors, along a new first dimension."""
        if self.ranks == 1:
            return tensor[None]
        parts = [torch.empty_like(tensor) for _ in range(self.ranks)]
        with _lost():
            dist.all_gather(parts, tensor.contiguous())
        return torch.stack(parts)

    def spread(self, tensor: Tensor) -> None:
        """Give all processes the first one's tensor."""
        if self.ranks > 1:
            dense = tensor.contiguous()
            with _lost():
                dist.broadcast(dense, 0)
            if dense is not tensor:
                tensor.copy_(dense)

    def agree(self, value: T) -> T:
        """What the first process has; all must ask."""
        values = [value]
        if self.ranks > 1:
            with _lost():
                dist.broadcast_object_list(values, 0)
        return values[0]

    def total(self, value: float) -> float:
        """The sum over the processes; all must ask."""
        if self.ranks == 1:
            return value
        kind = "cuda" if dist.get_backend() == "nccl" else "cpu"
        return float(self.add_up(torch.tensor(value, dtype=torch.float64, device=kind)))

    def any(self, value: bool) -> bool:
        """Whether it is true in any process; all must ask."""
        return self.total(float(value)) > 0

    def _is_first_to_fail(self) -> bool:
        """Whether no other process has told the user yet why the training ends."""
        assert self._store is not None
        try:
            return bool(self._store.compare_set(_FAILED, "", f"{self.rank}") == b"%d" % self.rank)
        except RuntimeError:  # whoever kept it has gone
            return True


ALONE = Group()


@contextmanager
def join(device: str | None = None, gpus: Sequence[int] = ()) -> Iterator[Group]:
    """Take part in what torchrun, or `launch`, started; alone where neither did.

    An error in one process ends all of them, and only the first error is raised as it is: in
    the other processes it becomes a silent SystemExit(1).

    Args:
        device: where to compute, if not on GPUs where there are any.
        gpus: the GPU of each process of this machine; none: 0, 1, ...

    Raises:
        DarknetError: the others cannot be reached, or there is no GPU for this process.
        TrainError: another process has gone without a word.
    """
    if not is_member():
        yield Group(device=device)
        return
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    device = _choose_device(device, gpus, int(os.environ.get("LOCAL_RANK", rank)))
    backend = "nccl" if device.startswith("cuda") else "gloo"
    try:
        store, rank, ranks = next(iter(rendezvous("env://", timeout=_START)))
        dist.init_process_group(backend, store=store, rank=rank, world_size=ranks, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())
        raise DarknetError(f"process {rank} of {ranks} cannot reach the others: {text}") from None
    group = Group(rank, ranks, device, store)
    if os.environ.get(LAUNCHER) == str(os.getppid()):
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        yield group
    except (Exception, KeyboardInterrupt):
        is_first = group._is_first_to_fail()
        if backend == "gloo":  # NCCL would wait for what is under way
            dist.destroy_process_group()
        if is_first:
            raise
        raise SystemExit(1) from None
    dist.destroy_process_group()


def is_member() -> bool:
    """Whether this process was started as one of several."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return several and "RANK" in os.environ and "MASTER_ADDR" in os.environ


def _choose_device(device: str | None, gpus: Sequence[int], place: int) -> str:
    if device is not None and not device.startswith("cuda"):
        return device
    count = torch.cuda.device_count()
    if not count:
        return "cpu"
    chosen = gpus[place] if place < len(gpus) else place
    if chosen >= count:
        raise DarknetError(
            f"there is no GPU {chosen} for process {place} of this machine, which has {count}: "
            f"start as many processes (torchrun --nproc-per-node {count})"
        )
    torch.cuda.set_device(chosen)
    return f"cuda:{chosen}"


def _end_with(parent: int) -> None:
    """End when the process that started this one does, even if it was killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


@contextmanager
def _lost() -> Iterator[None]:
    """In place of a backend's own words on a connection that is gone."""
    try:
        yield
    except RuntimeError as error:
        if "out of memory" in str(error):
            raise
        raise TrainError("another process of this training has gone, so it ends") from None

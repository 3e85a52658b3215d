"""`-gpus 0,1`: one process of this machine for each GPU, as torchrun would start them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from darknet_py.errors import DarknetError
from darknet_py.group import LAUNCHER

_PATIENCE = 10.0
"""Seconds that the others are given when one has failed, or the user has asked for the end."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def read_gpus(text: str | None) -> tuple[int, ...]:
    """The numbers in `0,1`; none for anything else that C would take, such as -1.

    Raises:
        DarknetError: a GPU is named twice.
    """
    words = (text or "").split(",")
    if not all(word.strip().isdigit() for word in words):
        return ()
    gpus = tuple(int(word) for word in words)
    if len(set(gpus)) < len(gpus):
        raise DarknetError(f"-gpus {text}: a GPU is named twice")
    return gpus


def launch(gpus: Sequence[int], command: Sequence[str]) -> int:
    """Run `command` in a process for each of several GPUs; its exit status.

    Raises:
        DarknetError: this machine has not that many.
    """
    count = torch.cuda.device_count()
    if max(gpus) >= count:
        asked = ",".join(map(str, gpus))
        raise DarknetError(
            f"-gpus {asked}: there is no GPU {max(gpus)}, this machine has {count} "
            f"(torchrun --nproc-per-node {len(gpus)} trains in {len(gpus)} processes without)"
        )
    return start(len(gpus), command)


def start(count: int, command: Sequence[str]) -> int:
    """Run `command` in `count` processes that find each other; the first bad exit status, or 0.

    When one fails the others are ended. Ctrl-C and SIGTERM reach all of them.
    """
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        LAUNCHER: str(os.getpid()),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # which is the one above
    }
    with _passing_signals() as processes:
        for rank in range(count):
            place = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            own = os.environ | shared | place
            processes.append(subprocess.Popen(command, env=own, start_new_session=True))
        try:
            return _wait(processes)
        finally:
            _end(processes)


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> int:
    """Until all have ended, or one has failed and the others had time to."""
    deadline, first = float("inf"), 0
    while time.monotonic() < deadline:
        statuses = [process.poll() for process in processes]
        failed = [status for status in statuses if status]
        if failed and not first:
            first, deadline = failed[0], time.monotonic() + _PATIENCE
        if None not in statuses:
            break
        time.sleep(0.05)
    return 128 - first if first < 0 else first


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def _passing_signals() -> Iterator[list[subprocess.Popen[bytes]]]:
    """A list whose processes get the signals that end a program, while this one waits for them."""
    processes: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, frame: object) -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in _SIGNALS}
    try:
        yield processes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def own_command() -> list[str]:
    """The command line that this process runs, for others to run."""
    return [sys.executable, "-m", "darknet_py", *sys.argv[1:]]

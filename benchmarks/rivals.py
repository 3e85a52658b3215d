"""Who is measured, how each is installed, and the processes that run them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WORK = Path(os.environ.get("DARKNET_PY_BENCH", HERE / ".work"))
"""Where files are made and rivals installed; a second run finds them there."""

ALEXEYAB = "DARKNET_PY_ALEXEYAB"
"""The variable that names the libdarknet.so of a build of AlexeyAB's fork."""

sys.path.insert(0, str(HERE.parent / "tests"))

import opencv4  # noqa: E402  (tests/opencv4.py)


@dataclass(frozen=True)
class Rival:
    """A column: an engine with a precision."""

    name: str
    engine: str
    dtype: str = "f32"
    mine: bool = False
    """Whether it is darknet-py itself."""
    batches: tuple[int, ...] = (1, 8)
    """Where it is measured."""
    slow: bool = False
    """Whether a run or two are all that is waited for."""

    @property
    def needs_onnx(self) -> bool:
        """Whether it reads our ONNX."""
        return self.engine in ("onnxruntime", "openvino")


RIVALS = (
    Rival("ours", "ours", mine=True),
    Rival("ours, no kernels", "bare", mine=True),
    Rival("ours -compile", "compiled", mine=True, batches=(1,)),
    Rival("ours -backend auto", "auto", mine=True),
    Rival("C (Debian)", "c", batches=(1,), slow=True),
    Rival("C (AlexeyAB)", "alexeyab", batches=(1,), slow=True),
    Rival("OpenCV 4.14", "opencv"),
    Rival("onnxruntime", "onnxruntime"),
    Rival("OpenVINO", "openvino"),
    Rival("torch eager", "eager"),
    Rival("ours bf16", "ours", "bf16", mine=True),
    Rival("ours bf16, no kernels", "bare", "bf16", mine=True),
    Rival("ours bf16 -compile", "compiled", "bf16", mine=True, batches=(1,)),
    Rival("ours bf16 -backend auto", "auto", "bf16", mine=True, batches=(1,)),
    Rival("OpenVINO bf16", "openvino", "bf16"),
)


def install() -> None:
    """Fetch what can be fetched: Debian's darknet (as root), OpenCV 4.14, our extras."""
    if not shutil.which("darknet") and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "install", "-y", "-qq", "darknet"], check=False)
    if opencv4.python() is None:
        try:
            opencv4.make(WORK / "opencv4")
        except (OSError, subprocess.SubprocessError) as error:
            print(f"OpenCV 4.14 cannot be installed: {error}", file=sys.stderr)


def interpreter(rival: Rival) -> Path | None:
    """The Python that runs a rival; None: it is not installed."""
    if rival.engine != "opencv":
        return Path(sys.executable)
    made = WORK / "opencv4" / "bin" / "python"
    return opencv4.python() or (made if made.is_file() else None)


class Process:
    """A worker that is started when it is first asked, and again after it has died."""

    def __init__(self, rival: Rival) -> None:
        self.rival = rival
        self._process: subprocess.Popen[bytes] | None = None
        self._reason = ""

    def ask(self, seconds: float, **order: Any) -> dict[str, Any]:
        """The worker's answer; `cannot` says why there is none, so after `seconds`."""
        self.tell(**order)
        return self.hear(seconds)

    def tell(self, **order: Any) -> None:
        """Give an order; `hear` must be called before the next one."""
        self._reason = ""
        python = interpreter(self.rival)
        if python is None or (self.rival.engine == "alexeyab" and not os.environ.get(ALEXEYAB)):
            self._reason = "not installed"
            return
        if self._process is None:
            self._process = self._start(python)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # hear finds that it has died
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()

    def hear(self, seconds: float) -> dict[str, Any]:
        """The answer to the last order."""
        process = self._process
        if self._reason or process is None:
            return {"cannot": self._reason}
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], seconds)[0]:
            self.stop()
            return {"cannot": f"takes longer than {seconds:.0f} s"}
        line = process.stdout.readline()
        if not line:
            self._process = None
            return {"cannot": f"its process ends with status {process.wait()}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _start(self, python: Path) -> subprocess.Popen[bytes]:
        environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
        # One folder for what is compiled, so that a second benchmark need not wait for it again.
        environment.setdefault("DARKNET_PY_COMPILED", str(WORK / "compiled"))
        environment.setdefault("DARKNET_PY_CACHE", str(WORK / "cache"))
        return subprocess.Popen(
            [python, HERE / "worker.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=HERE.parent,
        )

    def stop(self) -> None:
        """End the worker."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

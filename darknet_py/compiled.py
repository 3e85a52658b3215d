"""Networks as machine code of their own: compiled once, kept on disk, loaded by later processes."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from darknet_py import __version__
from darknet_py.backends.identity import code_state
from darknet_py.cache import cache_folder
from darknet_py.convert.program import fold
from darknet_py.errors import DarknetError, DarknetWarning
from darknet_py.inputs import run_batch
from darknet_py.layers import Head
from darknet_py.layers.base import as_array
from darknet_py.layers.recurrent import Recurrent
from darknet_py.layers.softmax import Softmax
from darknet_py.network import Network
from darknet_py.processor import find_features

CACHE = "DARKNET_PY_COMPILED"
"""The variable that names another folder for what is compiled. What lies there is run: the folder
is its owner's alone."""

LARGEST_CACHE = 8 * 2**30
"""Above this many bytes the programs that were used longest ago are removed."""

OPTIONS = {"freezing": True, "cpp.dynamic_threads": True}
"""Of PyTorch's compiler: weights become constants in oneDNN's layout, any number of threads."""

Runner = Callable[[Tensor], list[Tensor]]
"""An input batch in, the outputs of the heads out (else of the last layer), float32."""


class CompiledNetwork:
    """A network compiled as a whole, for inference on the CPU.

    The first batch decides the shape that is compiled for: smaller batches are filled up, larger
    ones run in parts. Where that cannot be done, a warning says why, and `plain` runs instead.
    """

    def __init__(
        self,
        network: Network,
        plain: Callable[[], Runner],
        *,
        dtype: torch.dtype = torch.float32,
        folder: Path | None = None,
    ) -> None:
        """Take a network that holds its weights; it is not changed.

        Args:
            network: on the CPU.
            plain: makes what runs if compiling fails.
            dtype: what is computed with, float32 or bfloat16.
            folder: where compiled programs lie; None: $DARKNET_PY_COMPILED, or the user's.
        """
        self.network, self.dtype, self._make_plain = network, dtype, plain
        self.folder = cache_folder(CACHE, "compiled") if folder is None else folder
        self._plain: Runner | None = None
        self._programs: dict[tuple[int, ...], Any] = {}
        self._batch = 0

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> list[Tensor]:
        """The outputs for `(batch, channels, height, width)`, or `(batch, inputs)`."""
        self._batch = self._batch or len(x)
        if self._plain is None and not self._ready(x):
            self._plain = self._make_plain()
        if self._plain is not None:
            return self._plain(x)
        run = self._programs[tuple(x.shape[1:])].run
        x, size = x.float().contiguous(), self._batch
        parts = []
        for part in (x[start : start + size] for start in range(0, len(x), size)):
            parts.append([output[: len(part)] for output in run([_filled(part, size)])])
        return parts[0] if len(parts) == 1 else [torch.cat(p) for p in zip(*parts, strict=True)]

    def _ready(self, x: Tensor) -> bool:
        """Have a program for `x`; False, and a warning, if there can be none."""
        shape = tuple(x.shape[1:])
        if shape in self._programs:
            return True
        try:
            self._programs[shape] = self._program((self._batch, *shape))
        except Exception as error:  # the compiler's own are of many kinds
            reason = (" ".join(str(error).split()) or type(error).__name__)[:200]
            message = f"{self.network.sections[0].path}: runs without -compile: {reason}"
            warnings.warn(message, DarknetWarning, stacklevel=4)
            return False
        return True

    def _program(self, shape: tuple[int, ...]) -> Any:
        key = find_key(self.network, shape, self.dtype)
        for path in self.folder.glob(f"{key}-*.so"):
            if path.stem.rpartition("-")[2] == str(path.stat().st_size):
                try:
                    program = _load(path)
                except RuntimeError:  # not for this machine after all: made anew
                    continue
                os.utime(path)  # of use today
                return program
        return _load(compile_network(self.network, shape, self.dtype, self.folder, key))


def compile_runner(network: Network, wanted: Sequence[int] | None, half: bool) -> CompiledNetwork:
    """What `Detector` and `Classifier` run after `compile()`; `half`: with bfloat16.

    Raises:
        DarknetError: the network is on another device than the CPU.
    """
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    if device.type != "cpu":
        raise DarknetError(f"compiled networks run on the CPU, this one is on {device}")

    def plain(x: Tensor) -> list[Tensor]:
        return run_batch(network, x.numpy(), wanted, half)

    dtype = torch.bfloat16 if half else torch.float32
    return CompiledNetwork(network, lambda: plain, dtype=dtype)


def find_key(network: Network, shape: Sequence[int], dtype: torch.dtype) -> str:
    """What a program depends on: cfg, weights, shape, type, versions, and the CPU."""
    digest = hashlib.sha256()
    versions = (__version__, code_state(), torch.__version__, OPTIONS)
    for text in (*versions, network.dialect.name, shape, dtype, find_features()):
        digest.update(f"{text}\n".encode())
    for section in network.sections:
        options = {name: option.value for name, option in section.options.items()}
        digest.update(f"{section.type} {options}\n".encode())
    for index, name, tensor in network.arrays():
        digest.update(f"{index} {name}\n".encode())
        digest.update(as_array(tensor.contiguous()).data)
    return digest.hexdigest()[:40]


@torch.no_grad()
def compile_network(
    network: Network, shape: Sequence[int], dtype: torch.dtype, folder: Path, key: str
) -> Path:
    """Compile for inputs of `shape`; the file takes its place in `folder` once it is whole.

    Raises:
        Exception: there is no C++ compiler, or the network cannot be expressed; of any kind.
    """
    if any(isinstance(layer, Recurrent) for layer in network):
        raise ValueError("recurrent networks are not compiled")
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except Exception:
        raise ValueError("there is no C++ compiler (g++ or clang++)") from None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    inputs = torch.zeros(*shape)
    graph = Graph(fold(network), dtype).eval()
    room = tempfile.mkdtemp(prefix=".", dir=folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(graph, (inputs,), strict=False).module()
            options = OPTIONS | {"aot_inductor.output_path": os.path.join(room, "program.so")}
            built = Path(str(torch._inductor.aot_compile(program, (inputs,), options=options)))
        path = folder / f"{key}-{built.stat().st_size}.so"
        built.replace(path)
    finally:
        shutil.rmtree(room, ignore_errors=True)
    _tidy(folder, path)
    return path


class Graph(nn.Module):
    """A folded network as one function of the input, in a type of its own; heads stay float32."""

    def __init__(self, network: Network, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.dtype = network.to(dtype).requires_grad_(False), dtype
        for layer in network:
            if getattr(layer.options, "activation", "") == "mish":
                vars(layer)["activation"] = fast_mish
        self.wanted = [head.index for head in network.heads] or [network.output_index]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The outputs of the heads, else of the last layer."""
        outputs: dict[int, Tensor] = {-1: x.to(self.dtype)}
        for layer in list(self.network)[: max(self.wanted) + 1]:
            inputs = [outputs[source] for source in layer.sources]
            if isinstance(layer, Head | Softmax):
                inputs = [tensor.float() for tensor in inputs]
            outputs[layer.index] = layer(*inputs)
        return tuple(outputs[index].float() for index in self.wanted)


def fast_mish(x: Tensor) -> Tensor:
    """Mish with one exponential, `n / (n + 2)` for `tanh(log(1 + e^x))`, `n = e^x (e^x + 2)`."""
    power = x.float().clamp(max=20).exp()
    n = power * (power + 2)
    return (x * (n / (n + 2))).to(x.dtype)


def _filled(x: Tensor, batch: int) -> Tensor:
    missing = batch - len(x)
    return x if not missing else torch.cat([x, x.new_zeros(missing, *x.shape[1:])])


def _load(path: Path) -> Any:
    """The program of a file. PyTorch's public loader would copy it first."""
    return torch._C._aoti.AOTIModelContainerRunnerCpu(str(path), 1)


def _tidy(folder: Path, newest: Path) -> None:
    """Remove programs that no process has used for longest, while all take too much room."""
    found = []
    for path in folder.glob("*.so"):
        try:
            state = path.stat()
        except FileNotFoundError:  # another process tidies, too
            continue
        found.append((path != newest, -state.st_mtime, state.st_size, path))
    total = 0
    for _, _, size, path in sorted(found):
        total += size
        if total > LARGEST_CACHE and path != newest:
            path.unlink(missing_ok=True)

"""What Detector and Classifier share: devices, and the run of a batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from threading import RLock
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from darknet_py.allocator import return_memory, reuse_memory, trim_memory
from darknet_py.errors import DarknetError
from darknet_py.layers.convolutional import Convolutional
from darknet_py.lower import Lowered, prepare
from darknet_py.network import Network
from darknet_py.rereading import WeightsFile
from darknet_py.shape import Shape


def find_device(device: str | torch.device | None) -> torch.device:
    """The device of that name; None: the GPU, if PyTorch finds one.

    Raises:
        DarknetError: there is no such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        raise DarknetError(f"no device {device!s}: {str(error).splitlines()[0]}") from None
    return found


@dataclass
class _Prepared:
    """A network made ready, and what it was like then."""

    lowered: Lowered
    image: Shape
    wanted: list[int] | None
    half: bool
    arrays: list[Tensor]
    counted: list[Tensor]
    """Those whose changes PyTorch counts."""
    state: list[object]


_prepared: WeakKeyDictionary[Network, _Prepared] = WeakKeyDictionary()
"""The last `prepare` of each network that is in use."""
_lock = RLock()


def run_batch(
    network: Network,
    inputs: np.ndarray,
    wanted: Iterable[int] | None,
    half: bool,
    file: WeightsFile | None = None,
    *,
    ordered: bool = True,
) -> list[Tensor]:
    """The outputs of the layers `wanted` (None: the network's own) for prepared pictures.

    The network is lowered for this (`lower.prepare`), and again when its size, the layers wanted or
    an array have changed. PyTorch counts changes of an array but not those made through `.data`,
    `numpy()` or within `torch.inference_mode()`: whoever changes values that way calls `forget`.

    Args:
        network: on any device.
        inputs: float32 `(batch, channels, height, width)`.
        wanted: layer indices.
        half: calculate with 16 bits: bfloat16 on the CPU, float16 elsewhere.
        file: the network is in nobody else's hands, and on the CPU: its weights are given up once
            it is lowered, and read from this file again where they are needed; only its size, the
            layers wanted and `half` are looked at then, since nobody changes an array.
        ordered: see `Lowered`.
    """
    chosen = None if wanted is None else list(wanted)
    x = torch.from_numpy(inputs)
    if len(x) > 1:
        reuse_memory(len(x))
    with _lock:
        found = _prepared.get(network)
        if found is None or not _holds(found, network, chosen, half, private=file is not None):
            _prepared.pop(network, None)
            if file is not None:
                return _consume(network, x, chosen, half, file, ordered)
            found = _prepared[network] = _prepare(network, chosen, half)
            reuse_memory(len(x))
    if found.lowered.place.device.type == "cuda":
        x = x.pin_memory()
    return found.lowered(x, ordered=ordered)


def _consume(
    network: Network,
    x: Tensor,
    wanted: list[int] | None,
    half: bool,
    file: WeightsFile,
    ordered: bool,
) -> list[Tensor]:
    """Prepare and run with as little memory as possible."""
    return_memory()
    try:
        file.give_back(network)
        found = _prepared[network] = _prepare(network, wanted, half, consume=True)
        trim_memory()
        return found.lowered(x, ordered=ordered)
    finally:
        reuse_memory(len(x))


def give_back(network: Network, file: WeightsFile) -> None:
    """Have the network's weights in it again, if they were given up.

    Raises:
        WeightsError: the file is gone, or another one.
    """
    with _lock:
        file.give_back(network)
        found = _prepared.get(network)
        if found is not None:  # they are what it was prepared from
            found.state = _state(network, found.arrays, found.counted)


def settle(network: Network) -> None:
    """Go on with the next batch as after many: what pays in the long run is done at once."""
    with _lock:
        found = _prepared.get(network)
        if found is not None:
            found.lowered.worth = 0.0


def forget(network: Network) -> None:
    """Prepare the network anew for its next batch, with the values its arrays have then."""
    with _lock:
        _prepared.pop(network, None)


def _prepare(
    network: Network, wanted: list[int] | None, half: bool, *, consume: bool = False
) -> _Prepared:
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    short = torch.bfloat16 if device.type == "cpu" else torch.float16
    outputs = [network.output_index] if wanted is None else wanted
    dtype = short if half else None
    lowered = prepare(network, dtype=dtype, wanted=outputs, consume=consume)
    arrays = [*network.parameters(), *network.buffers()]
    counted = [x for x in arrays if not x.is_inference()]
    state = _state(network, arrays, counted)
    return _Prepared(lowered, network.image, wanted, half, arrays, counted, state)


def _holds(
    found: _Prepared, network: Network, wanted: list[int] | None, half: bool, *, private: bool
) -> bool:
    """Whether nothing has changed; a private network's layers and arrays are not looked through."""
    same = (found.image, found.wanted, found.half) == (network.image, wanted, half)
    return same and (private or found.state == _state(network, found.arrays, found.counted))


def _state(network: Network, arrays: list[Tensor], counted: list[Tensor]) -> list[object]:
    """What changes when an array, or how a layer works, does."""
    layers = [layer for layer in network if isinstance(layer, Convolutional)]
    state: list[object] = [(layer.bits, layer.in_c_order, layer.activation) for layer in layers]
    return [*state, *map(Tensor.data_ptr, arrays), *map(attrgetter("_version"), counted)]

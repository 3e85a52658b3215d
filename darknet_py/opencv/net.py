"""A Darknet network with the interface of `cv2.dnn.Net`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import cv2
import numpy as np
import torch
from torch import Tensor

from darknet_py.batchnorm import BatchNormalizer
from darknet_py.errors import DarknetError
from darknet_py.layers import Head, Layer
from darknet_py.network import Network
from darknet_py.opencv.errors import as_opencv
from darknet_py.opencv.names import INPUT_TYPE, NamedLayer, name_layers, unconnected
from darknet_py.opencv.rows import default_nms, head_rows

_CUDA_TARGETS = (6, 7)  # DNN_TARGET_CUDA, DNN_TARGET_CUDA_FP16


class Net:
    """What `readNetFromDarknet` gives; an empty one has no layers.

    Layers are named as OpenCV 4.14 names them, and numbered from 1; 0 is the input. Batch norm
    divides by `sqrt(variance + 1e-6)`, as there.
    """

    def __init__(self, network: Network | None = None, *, has_weights: bool = True) -> None:
        self.network, self.has_weights = network, has_weights
        self._named: list[NamedLayer] = []
        self._nms: dict[int, float] = {}
        self._input: Tensor | None = None
        self._ticks = 0
        if network is not None:
            for module in network.modules():
                if isinstance(module, BatchNormalizer):
                    module.epsilon = "opencv"
            self._named = name_layers(network)
            self._nms = {head.index: default_nms(head) for head in network.heads}
        self._places = {layer.name: layer for layer in self._named}

    def empty(self) -> bool:
        """Whether there are no layers."""
        return not self._named

    def getLayerNames(self) -> tuple[str, ...]:
        """Every layer's name, in order, without the input."""
        return tuple(self._places)

    def getLayerId(self, layer: str) -> int:
        """The number of the layer of that name, -1 if there is none."""
        if layer == "_input":
            return 0
        return list(self._places).index(layer) + 1 if layer in self._places else -1

    @as_opencv
    def getLayer(self, layerId: int | float | str) -> NamedLayer:
        """The layer of that name or number: its `name` and `type`."""
        if isinstance(layerId, str):
            return self._place(layerId)
        number = int(layerId)
        if number == 0:
            return NamedLayer("_input", INPUT_TYPE, -1, "whole")
        if not 0 < number <= len(self._named):
            raise DarknetError(f"there is no layer {number}, only 0 to {len(self._named)}")
        return self._named[number - 1]

    def getLayerTypes(self) -> tuple[str, ...]:
        """The types that occur, sorted."""
        return tuple(sorted({INPUT_TYPE, *(layer.type for layer in self._named)}))

    def getLayersCount(self, layerType: str) -> int:
        """How many layers are of that type."""
        return sum(layer.type == layerType for layer in self._named)

    def getUnconnectedOutLayersNames(self) -> tuple[str, ...]:
        """The names of the layers that no other reads: the heads, or the softmax."""
        if self.network is None:
            return ()
        return tuple(layer.name for layer in unconnected(self.network, self._named))

    def getUnconnectedOutLayers(self) -> np.ndarray:
        """The numbers of the layers that no other reads."""
        names = self.getUnconnectedOutLayersNames()
        return np.array([self.getLayerId(name) for name in names], np.int32)

    @as_opencv
    def setInput(
        self,
        blob: np.ndarray,
        name: str = "",
        scalefactor: float = 1.0,
        mean: float | Sequence[float] = (),
    ) -> None:
        """Set the input: `(blob - mean) * scalefactor`.

        Args:
            blob: `(batch, channels, height, width)` of any size the network can take, as
                `blobFromImage` makes it.
            name: "" or "data".
            scalefactor: see above.
            mean: one number for each channel.
        """
        network = self._filled()
        if name not in ("", "data"):
            raise DarknetError(f"the input is called data, not {name!r}")
        values = np.asarray(blob)
        if values.ndim != 4 or values.shape[1] != network.image.channels or not values.size:
            raise DarknetError(
                f"the blob must be (batch, {network.image.channels}, height, width), "
                f"got {values.shape}"
            )
        values = values.astype(np.float32)  # a copy: the caller may fill the blob anew
        if mean is not None and np.size(mean):
            means = np.zeros(values.shape[1], np.float32)
            given = np.atleast_1d(np.asarray(mean, np.float32))[: len(means)]
            means[: len(given)] = given
            values -= means[:, None, None]
        if scalefactor != 1.0:
            values *= np.float32(scalefactor)
        self._input = torch.from_numpy(values)

    @overload
    def forward(  # type: ignore[overload-overlap]  # a str is a Sequence[str], too
        self, outputName: str = ""
    ) -> np.ndarray: ...

    @overload
    def forward(self, outputName: Sequence[str]) -> tuple[np.ndarray, ...]: ...

    @overload
    def forward(self, *, outBlobNames: Sequence[str]) -> tuple[np.ndarray, ...]: ...

    @as_opencv
    def forward(
        self, outputName: str | Sequence[str] = "", *, outBlobNames: Sequence[str] | None = None
    ) -> np.ndarray | tuple[np.ndarray, ...]:
        """The output of the layer of that name ("": the last), or of several, as numpy arrays.

        A head gives its rows (rows.py), any other layer `(batch, c, h, w)` or `(batch, n)`.
        """
        names = outputName if outBlobNames is None else outBlobNames
        if names is not None and not isinstance(names, str):
            return tuple(self._run([self._place(name) for name in names]))
        self._filled()
        return self._run([self._place(names) if names else self._named[-1]])[0]

    @as_opencv
    def forwardAndRetrieve(self, outBlobNames: Sequence[str]) -> tuple[tuple[np.ndarray, ...], ...]:
        """As `forward` of several names, each output in a tuple of its own."""
        return tuple((array,) for array in self._run([self._place(n) for n in outBlobNames]))

    def getPerfProfile(self) -> tuple[int, np.ndarray]:
        """How long the last `forward` took, in ticks of `cv2.getTickFrequency`, and no details."""
        return self._ticks, np.zeros(0)

    def getFLOPS(self, netInputShape: Sequence[int] = ()) -> int:
        """Floating point operations for one input, as Darknet counts them."""
        return sum(layer.operations for layer in self.network or ())

    def setPreferableBackend(self, backendId: int) -> None:
        """Accepted; PyTorch computes."""

    def setPreferableTarget(self, targetId: int) -> None:
        """A CUDA target moves the network to the GPU, if PyTorch has one; others are accepted."""
        if self.network is not None:
            gpu = targetId in _CUDA_TARGETS and torch.cuda.is_available()
            self.network.to("cuda" if gpu else "cpu")

    def enableFusion(self, fusion: bool) -> None:
        """Accepted, without effect."""

    def enableWinograd(self, useWinograd: bool) -> None:
        """Accepted, without effect."""

    def setInputsNames(self, inputBlobNames: Sequence[str]) -> None:
        """Accepted, without effect."""

    def setInputShape(self, inputName: str, shape: Sequence[int]) -> None:
        """Accepted, without effect: the blob's size counts."""

    def disable_region_nms(self) -> None:
        """Let the heads keep every box's scores, as `DetectionModel` does in OpenCV."""
        self._nms = dict.fromkeys(self._nms, 0.0)

    def _filled(self) -> Network:
        if self.network is None:
            raise DarknetError("the Net is empty: read one with readNetFromDarknet(cfg, weights)")
        return self.network

    def _place(self, name: str) -> NamedLayer:
        self._filled()
        if name not in self._places:
            raise DarknetError(f"there is no layer {name!r}; the outputs are {self._outputs()}")
        return self._places[name]

    def _outputs(self) -> str:
        return ", ".join(self.getUnconnectedOutLayersNames())

    @torch.inference_mode()
    def _run(self, places: Sequence[NamedLayer]) -> list[np.ndarray]:
        network, x = self._filled(), self._input
        if x is None:
            raise DarknetError("there is no input yet: call setInput(blob) before forward()")
        if not self.has_weights and any(True for _ in network.arrays()):
            raise DarknetError("no weights were read: give readNetFromDarknet the .weights, too")
        start = cv2.getTickCount()
        height, width = x.shape[2:]
        if (height, width) != (network.image.height, network.image.width):
            network.resize(height, width)
        layers = [self._layer(place) for place in places]
        pairs = list(zip(layers, places, strict=True))
        needed = sorted({i for pair in pairs for i in _needs(*pair) if i >= 0})
        x = x.to(next((tensor.device for tensor in network.parameters()), x.device))
        values = {-1: x, **dict(zip(needed, network.run(x, needed), strict=True))}
        results = [
            self._finish(layer, place, [values[i] for i in _needs(layer, place)])
            for layer, place in pairs
        ]
        self._ticks = int(cv2.getTickCount() - start)
        return results

    def _layer(self, place: NamedLayer) -> Layer:
        """The layer that computes `place`: to OpenCV a [cost] is the layer before it."""
        layer = self._filled()[place.index]
        while layer.section.type == "cost" and layer.sources[0] >= 0:
            layer = self._filled()[layer.sources[0]]
        return layer

    def _finish(self, layer: Layer, place: NamedLayer, inputs: list[Tensor]) -> np.ndarray:
        if place.stage == "permuted":
            return as_numpy(inputs[0].permute(0, 2, 3, 1))
        if isinstance(layer, Head):
            image = self._filled().image
            return head_rows(layer, inputs[0], image, self._nms[layer.index])
        if place.stage == "whole":
            return as_numpy(self._shaped(layer, inputs[0]))
        if place.stage == "inner":
            raise DarknetError(f"{place.name} is a step of a [{layer.section.type}], not kept here")
        return as_numpy(unfinished(layer, place.stage, inputs))

    def _shaped(self, layer: Layer, output: Tensor) -> Tensor:
        """`output` with the axes that OpenCV gives it: an average is an image of one pixel."""
        kind = layer.section.type
        while kind in ("soft", "softmax", "dropout") and layer.sources[0] >= 0:
            layer = self._filled()[layer.sources[0]]
            kind = layer.section.type
        if output.dim() == 2 and kind not in ("conn", "connected"):
            shape = layer.out_shape
            return output.view(len(output), shape.channels, max(shape.height, 1), -1)
        return output


def _needs(layer: Layer, place: NamedLayer) -> tuple[int, ...]:
    """The layers whose outputs `place` is made of."""
    whole = place.stage == "whole" and not isinstance(layer, Head)
    return (layer.index,) if whole else layer.sources


def unfinished(layer: Any, stage: str, inputs: Sequence[Tensor]) -> Tensor:
    """What a layer has before its activation ("normalized"), or before its batch norm ("raw")."""
    seen: list[Tensor] = []
    if stage == "raw":
        hook = layer.normalizer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            layer(*inputs)
        finally:
            hook.remove()
        return seen[0]
    activation = layer.activation

    def keep(x: Tensor) -> Tensor:
        seen.append(x)
        return activation(x)  # type: ignore[no-any-return]

    layer.activation = keep
    try:
        layer(*inputs)
    finally:
        layer.activation = activation
    return seen[0]


def as_numpy(tensor: Tensor) -> np.ndarray:
    """A contiguous array of its own."""
    return tensor.contiguous().cpu().numpy().copy()

"""A network as one function of tensors, as exporters want it: folded, with its heads read."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from darknet_py.bit_weights import use_bit_weights
from darknet_py.convert.describe import state_names
from darknet_py.layers import Head, Shape
from darknet_py.layers.connected import Connected
from darknet_py.layers.convolutional import Convolutional
from darknet_py.layers.deconvolutional import Deconvolutional
from darknet_py.layers.recurrent import Recurrent
from darknet_py.layers.softmax import Softmax
from darknet_py.network import Network

if TYPE_CHECKING:
    from darknet_py.convert import HeadKind


class Program(nn.Module):
    """A network as `forward(inputs, *states) -> (*outputs, *states)`.

    With `head` "raw" the outputs are the heads' own tensors, or the network's last; else
    boxes, scores and objectness of all heads. A call is one time step; the states are those of
    `describe.state_names`, in that order.
    """

    def __init__(self, network: Network, head: HeadKind, *, half: bool = False) -> None:
        """Take a network that nobody else will use; `half` computes with float16."""
        super().__init__()
        self.network, self.dense, self.half_precision = network, head != "raw", half
        self.wanted = [layer.index for layer in network.heads] or [network.output_index]
        self.places = list(state_names(network).values())
        if half:
            network.half()
        network.requires_grad_(False)

    def forward(self, inputs: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """One step."""
        x = inputs.half() if self.half_precision else inputs
        memory = dict(zip(self.places, states, strict=True))
        outputs: dict[int, Tensor] = {-1: x}
        for layer in list(self.network)[: max(self.wanted) + 1]:
            arguments = [outputs[source] for source in layer.sources]
            if isinstance(layer, Head | Softmax):
                arguments = [argument.float() for argument in arguments]
            if isinstance(layer, Recurrent):
                before = [memory[layer.index, name].to(x.dtype) for name in layer.memory]
                output, *after = layer.step(*arguments, *before)
                memory |= {
                    (layer.index, name): state
                    for name, state in zip(layer.memory, after, strict=True)
                }
            else:
                output = layer(*arguments)
            outputs[layer.index] = output
        found = [outputs[index].float() for index in self.wanted]
        if self.dense and self.network.heads:
            channels = self.network.image.channels
            image = Shape(channels, *inputs.shape[2:])
            found = list(join(self.network, found, image))
        return (*found, *(memory[place].float() for place in self.places))


def join(network: Network, outputs: list[Tensor], image: Shape) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, scores and objectness of all heads, one after the other."""
    parts = [head.dense(output, image) for head, output in zip(network.heads, outputs, strict=True)]
    classes = max(scores.shape[2] for _, _, scores in parts)
    scores = [
        s if s.shape[2] == classes else nn.functional.pad(s, (0, classes - s.shape[2]))
        for _, _, s in parts
    ]
    if len(parts) == 1:
        return parts[0][0], scores[0], parts[0][1]
    boxes, objectness = ([part[i] for part in parts] for i in (0, 1))
    return torch.cat(boxes, 1), torch.cat(scores, 1), torch.cat(objectness, 1)


@torch.no_grad()
def fold(network: Network, *, keep_batchnorm: bool = False) -> Network:
    """A copy in which matrices do batch norm's work, too; in bits, where the dialect's C does so.

    It is for running only: its arrays are no longer those of a .weights file.
    """
    folded = copy.deepcopy(network)
    folded.reset_state()
    if network.dialect.bit_weights and use_bit_weights(folded):
        return _shed(folded)
    if keep_batchnorm:
        return folded
    for layer in list(folded.modules()):
        if isinstance(layer, Convolutional) and not layer.options.xnor:
            layer.use_bits()
        elif isinstance(layer, Connected | Deconvolutional) and layer.normalizer is not None:
            turned = isinstance(layer, Deconvolutional)
            weights = layer.weights.transpose(0, 1) if turned else layer.weights
            weights, biases = layer.normalizer.fold(weights, layer.biases)
            layer.weights.copy_(weights.transpose(0, 1) if turned else weights)
            layer.biases.copy_(biases)
            layer.normalizer = None
    return _shed(folded)


def _shed(network: Network) -> Network:
    """Let go of the arrays that `use_bits` has put others in the place of."""
    layers = [layer for layer in network.modules() if isinstance(layer, Convolutional)]
    used = {id(layer.bank) for layer in layers if not layer.bits}
    for layer in layers:
        if layer.bits and not layer._shared and id(layer) not in used:
            del layer.weights, layer.biases, layer.normalizer
    return network


@torch.no_grad()
def first_states(network: Network, inputs: Tensor) -> list[Tensor]:
    """The states that a network begins with for `inputs`: all 0."""
    places = state_names(network).values()
    if not places:
        return []
    network.reset_state()
    network.run(inputs)
    states = [torch.zeros_like(getattr(network[index], name)) for index, name in places]
    network.reset_state()
    return states

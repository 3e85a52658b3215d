"""Darknet-53 and CSPDarknet-53, the ImageNet classifiers, as timm's state_dicts.

timm's models differ from the cfgs in two ways, which the arrays make up for: its epsilon of batch
norm is always the inner one, and where a stage of CSPDarknet-53 parts in two, one convolution gives
both parts, which come back in the other order.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from darknet_py.convert import Options
from darknet_py.convert.proof import check_close, noise
from darknet_py.convert.state_dict import save
from darknet_py.errors import CfgError, DarknetError
from darknet_py.files import packaged
from darknet_py.layers.convolutional import Convolutional
from darknet_py.metadata import Metadata
from darknet_py.network import Network

DEPTHS = (1, 2, 8, 8, 4)
"""Residual blocks of each stage, in both networks."""

MODELS = ("darknet53", "cspdarknet53")
"""What timm calls them; their cfgs are packaged under the same names."""

ACTIVATIONS = {
    "leaky": ("partial(nn.LeakyReLU, negative_slope=0.1)", partial(nn.LeakyReLU, 0.1)),
    "mish": ("nn.Mish", nn.Mish),
    "swish": ("nn.SiLU", nn.SiLU),
    "relu": ("nn.ReLU", nn.ReLU),
}
"""For each activation the argument `act_layer` of timm, as text and as a class."""


def write(network: Network, metadata: Metadata, path: Path, options: Options) -> None:
    """Write the state_dict that timm's model of the same network takes.

    Raises:
        DarknetError: it is neither of the two networks, or timm's model computes otherwise.
    """
    name = find_model(network)
    filters = [layer for layer in network if isinstance(layer, Convolutional)]
    activation = _find_activation(filters)
    classes = filters[-1].filters
    state = dict(_write_state(filters, csp=name == "cspdarknet53"))
    if options.half:
        state = {key: t.half() if t.is_floating_point() else t for key, t in state.items()}
    save(state, path)
    options.report(
        f'timm.create_model("{name}", num_classes={classes}, act_layer={ACTIVATIONS[activation][0]}'
        f', checkpoint_path="{path.name}")'
    )
    if options.verify and not options.half:
        _compare(network, name, activation, path, options)


def find_model(network: Network) -> str:
    """What timm calls the network.

    Raises:
        CfgError: it has none.
    """
    for name in MODELS:
        cfg = packaged(f"cfg/{name}.cfg")
        if cfg is not None and _outline(Network.from_cfg(cfg, initialize=False)) == _outline(
            network
        ):
            return name
    path = network.sections[0].path
    raise CfgError(
        f"{path}: is neither of the classifiers that timm has, Darknet-53 and CSPDarknet-53 "
        "(cfg/darknet53.cfg, cfg/cspdarknet53.cfg)"
    )


def _outline(network: Network) -> list[tuple[object, ...]]:
    """What makes the network what it is, whatever its classes and its activation."""
    outline: list[tuple[object, ...]] = []
    last = max(
        (i for i, layer in enumerate(network) if isinstance(layer, Convolutional)), default=0
    )
    for index, layer in enumerate(network):
        numbers: tuple[object, ...] = ()
        if isinstance(layer, Convolutional):
            filters = 0 if index == last else layer.filters
            normal = layer.normalizer is not None
            numbers = (filters, layer.size, layer.stride_y, layer.stride_x, layer.groups, normal)
            numbers += (layer.padding, layer.dilation, layer.options.antialiasing)
        if layer.section.type not in ("cost", "softmax", "dropout"):
            outline.append((layer.section.type, layer.sources, numbers))
    return outline


def _find_activation(filters: Sequence[Convolutional]) -> str:
    *body, last = filters
    names = {layer.options.activation for layer in body}
    name = names.pop()
    if names or name not in ACTIVATIONS or last.options.activation != "linear":
        raise body[0].section.error(
            f"timm's model has one activation for all layers but the last: {', '.join(ACTIVATIONS)}"
        )
    return name


def _write_state(filters: Sequence[Convolutional], *, csp: bool) -> Iterator[tuple[str, Tensor]]:
    """Names and arrays, as timm has them, for the convolutions in the cfg's order."""
    waiting = iter(filters)
    yield from _unit("stem.conv1", next(waiting))
    for stage, depth in enumerate(DEPTHS):
        name = f"stages.{stage}"
        yield from _unit(f"{name}.conv_down", next(waiting))
        if csp:
            # timm's one convolution: first the half that goes round the blocks, then theirs.
            yield from _unit(f"{name}.conv_exp", next(waiting), next(waiting))
        for block in range(depth):
            yield from _unit(f"{name}.blocks.{block}.conv1", next(waiting))
            yield from _unit(f"{name}.blocks.{block}.conv2", next(waiting))
        if csp:
            yield from _unit(f"{name}.conv_transition_b", next(waiting))
            # The cfg joins the blocks' half first, timm the other.
            yield from _unit(f"{name}.conv_transition", next(waiting), swap=True)
    last = next(waiting)
    yield "head.fc.weight", last.weights.detach().flatten(1).clone()
    yield "head.fc.bias", last.biases.detach().clone()


def _unit(name: str, *layers: Convolutional, swap: bool = False) -> Iterator[tuple[str, Tensor]]:
    """Convolution and batch norm; several layers become one, `swap` turns its inputs' halves."""
    weights = torch.cat([layer.weights.detach() for layer in layers])
    yield f"{name}.conv.weight", torch.cat(weights.chunk(2, 1)[::-1], 1) if swap else weights
    parts: dict[str, list[Tensor]] = {}
    for layer in layers:
        assert layer.normalizer is not None
        scales, variance = layer.normalizer.at_epsilon(1e-5)
        parts.setdefault("weight", []).append(scales)
        parts.setdefault("bias", []).append(layer.biases.detach())
        parts.setdefault("running_mean", []).append(layer.normalizer.rolling_mean)
        parts.setdefault("running_var", []).append(variance)
    for part, tensors in parts.items():
        yield f"{name}.bn.{part}", torch.cat(tensors)
    yield f"{name}.bn.num_batches_tracked", torch.tensor(0)


@torch.inference_mode()
def _compare(network: Network, name: str, activation: str, path: Path, options: Options) -> None:
    """Run timm's model, if it is installed, and compare the scores before the softmax."""
    try:
        models = importlib.import_module("timm.models.cspnet")
    except ImportError as error:
        reason = " ".join(str(error).split())
        options.report(f"not compared: timm does not load ({reason}): pip install timm torchvision")
        return
    last = max(i for i, layer in enumerate(network) if isinstance(layer, Convolutional))
    classes = cast("Convolutional", network[last]).filters
    model = getattr(models, name)(num_classes=classes, act_layer=ACTIVATIONS[activation][1])
    try:
        model.load_state_dict(torch.load(path, weights_only=True))
    except RuntimeError as error:
        raise DarknetError(f"timm's {name} does not take the state: {error}") from None
    x = noise(network)
    (ours,) = network.run(x, [last])
    check_close([f"{name} scores"], [ours.flatten(1)], [model.eval()(x)], options)

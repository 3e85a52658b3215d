"""The update of a network's weights, as C does it: SGD with momentum and decay, or Adam."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from darknet_py.deform import GROUPS, apply_maps, average_groups, hand_on, make_maps
from darknet_py.layers.convolutional_options import ConvolutionalOptions
from darknet_py.network import Network
from darknet_py.options import LayerOptions
from darknet_py.schedule import ScheduleOptions


@dataclass(frozen=True)
class Rule:
    """How an array is updated: its layer's keys, and what its kind asks for."""

    rate: float
    decays: bool
    adam: bool
    centred: bool = False
    gradient_limit: float = 0.0
    weight_limit: float = 0.0
    first: int = 0
    """The last iteration in which it is not updated."""
    deform: tuple[str, int, float] | None = None
    """Kind, side and angle where shares of the filters are others, deformed."""


@dataclass
class Group:
    """The arrays that are updated by one rule, and what is remembered of each."""

    rule: Rule
    arrays: list[Tensor] = field(default_factory=list)
    momenta: list[Tensor] = field(default_factory=list)
    squares: list[Tensor] = field(default_factory=list)


class Optimizer:
    """Updates every array that may learn from what has piled up in its `.grad`.

    In C's words: `weight_updates` are a step direction, minus the gradient, added up over the
    images and kept, times momentum, from update to update: `momenta` here.
    C: convolutional_kernels.cu:update_convolutional_layer_gpu, blas_kernels.cu:adam_update_gpu.
    """

    def __init__(self, network: Network, options: ScheduleOptions, frozen: int = 0) -> None:
        """Arrays of the layers before `frozen` are left alone."""
        self.options = options
        self.groups = _make_groups(network, options, frozen)
        self.max_norm = math.inf
        """The most that the length of all gradients together may be, per image; C has no such
        limit. Longer ones are scaled down to it (Pascanu et al. 2013)."""

    @torch.no_grad()
    def update(self, rate: float, images: int, iteration: int, loss_scale: float = 1.0) -> None:
        """Take one step and clear the gradients.

        Args:
            rate: the learning rate.
            images: how many images the gradients are of (C: batch * subdivisions).
            iteration: how many updates there are, this one included.
            loss_scale: what the gradients were multiplied by.
        """
        options = self.options
        decay = options.decay * images * loss_scale
        if self.max_norm < math.inf:
            self._shorten(self.max_norm * images * loss_scale)
        for group in self.groups:
            rule = group.rule
            moving = [
                (m, a.grad)
                for m, a in zip(group.momenta, group.arrays, strict=True)
                if a.grad is not None
            ]
            if rule.adam:
                if iteration > rule.first:
                    self._adam(group, rate * rule.rate / loss_scale, decay, iteration)
                continue
            if moving:
                torch._foreach_sub_([m for m, _ in moving], [g for _, g in moving])
            for array in group.arrays:
                array.grad = None
            if iteration <= rule.first:
                continue
            if rule.deform and iteration <= options.max_batches // 2:
                maps = make_maps(*rule.deform, back=True)
                for momentum in group.momenta:
                    momentum.copy_(average_groups(apply_maps(momentum, maps)))
            if rule.centred:
                for momentum in group.momenta:
                    momentum -= momentum.mean((1, 2, 3), keepdim=True)
            if rule.gradient_limit:
                torch._foreach_clamp_min_(group.momenta, -rule.gradient_limit)
                torch._foreach_clamp_max_(group.momenta, rule.gradient_limit)
            if rule.decays:
                torch._foreach_add_(group.momenta, group.arrays, alpha=-decay)
            step = rate * rule.rate / loss_scale / images
            torch._foreach_add_(group.arrays, group.momenta, alpha=step)
            torch._foreach_mul_(group.momenta, options.momentum)
            if rule.deform and iteration <= options.max_batches // 2:
                maps = make_maps(*rule.deform, back=False)
                for array in group.arrays:
                    array.copy_(apply_maps(hand_on(array), maps))
            self._limit(group)

    def _shorten(self, longest: float) -> None:
        arrays = [array for group in self.groups for array in group.arrays]
        gradients = [array.grad for array in arrays if array.grad is not None]
        if gradients:
            norm = torch.nn.utils.get_total_norm(gradients)
            torch._foreach_mul_(gradients, (longest / norm).clamp(max=1.0))

    def _adam(self, group: Group, rate: float, decay: float, iteration: int) -> None:
        # PARITY: directions are sums over the images, which Adam's ratio takes out again but for
        # eps; biases and scales decay, too (C: blas_kernels.cu:adam_update_gpu).
        options = self.options
        steps = [torch.zeros_like(a) if a.grad is None else -a.grad for a in group.arrays]
        torch._foreach_add_(steps, group.arrays, alpha=-decay)
        torch._foreach_mul_(group.momenta, options.B1)
        torch._foreach_add_(group.momenta, steps, alpha=1 - options.B1)
        torch._foreach_mul_(group.squares, options.B2)
        torch._foreach_addcmul_(group.squares, steps, steps, value=1 - options.B2)
        roots = torch._foreach_sqrt(group.squares)
        torch._foreach_div_(roots, math.sqrt(1 - options.B2**iteration))
        torch._foreach_add_(roots, options.eps)
        torch._foreach_addcdiv_(
            group.arrays, group.momenta, roots, value=rate / (1 - options.B1**iteration)
        )
        for array in group.arrays:
            array.grad = None
        self._limit(group)

    def _limit(self, group: Group) -> None:
        limit = group.rule.weight_limit
        if limit:
            torch._foreach_clamp_min_(group.arrays, -limit)
            torch._foreach_clamp_max_(group.arrays, limit)

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """(name, tensor) of all that is remembered from update to update, to save and restore."""
        for number, group in enumerate(self.groups):
            for kind, tensors in (("momenta", group.momenta), ("squares", group.squares)):
                for index, tensor in enumerate(tensors):
                    yield f"{kind}.{number}.{index}", tensor


def _make_groups(network: Network, net: ScheduleOptions, frozen: int) -> list[Group]:
    groups: dict[Rule, Group] = {}
    for index, layer in enumerate(network):
        if index < frozen or (
            layer.section.type == "batchnorm" and not network.dialect.batchnorm_layer_learns
        ):
            continue
        for name, array in layer.arrays():
            if not isinstance(array, nn.Parameter):
                continue
            rule = _rule(network, net, index, name.rpartition(".")[2] == "weights")
            group = groups.setdefault(rule, Group(rule))
            group.arrays.append(array)
            group.momenta.append(torch.zeros_like(array))
            if rule.adam:
                group.squares.append(torch.zeros_like(array))
    return list(groups.values())


def _rule(network: Network, net: ScheduleOptions, index: int, is_weights: bool) -> Rule:
    layer = network[index]
    options, kind = layer.options, layer.section.type
    # PARITY: a shortcut's weights know neither decay nor Adam, and their directions are cut off
    # at 1 (C: shortcut_layer.c:update_shortcut_layer_gpu).
    is_shortcut = kind == "shortcut"
    alexeyab = network.dialect.name == "alexeyab"
    return Rule(
        rate=options.learning_rate,
        decays=is_weights and not is_shortcut,
        adam=net.adam and kind not in ("shortcut", "batchnorm", "local"),
        centred=bool(is_weights and getattr(options, "grad_centr", 0))
        and bool(getattr(layer, "normalized", False)),
        gradient_limit=1.0 if is_shortcut else 0.0,
        # PARITY: `clip` limits the weights (C: constrain_ongpu of l.weights_gpu).
        weight_limit=(options.clip if alexeyab else net.clip) if is_weights else 0.0,
        deform=_deformation(layer.options) if is_weights else None,
        first=max(options.dont_update, options.burnin_update * net.burn_in - 1, 0),
    )


def _deformation(options: LayerOptions) -> tuple[str, int, float] | None:
    """What `rotate`, `sway`, `stretch` or `stretch_sway` ask for."""
    if not isinstance(options, ConvolutionalOptions) or options.filters % GROUPS:
        return None
    kinds = ("rotate", "sway", "stretch", "stretch_sway")
    kind = next((kind for kind in kinds if getattr(options, kind)), None)
    return None if kind is None else (kind, options.size, options.angle)

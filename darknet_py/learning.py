"""How a network learns from mini-batches: forward, the layers' deltas, backward, update."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from darknet_py.adversarial import Attack
from darknet_py.allocator import keep_memory
from darknet_py.augment import AugmentOptions
from darknet_py.batchnorm import BatchNormalizer
from darknet_py.ema import MovingAverage
from darknet_py.errors import DivergedError, TrainError
from darknet_py.gradients import PassOn
from darknet_py.group import ALONE
from darknet_py.layers import Head, Layer
from darknet_py.layers.base import Delta, Step, flat
from darknet_py.layers.connected import Connected
from darknet_py.layers.convolutional import Convolutional
from darknet_py.losses.rejection import LabelRejection
from darknet_py.memory import find_last_readers
from darknet_py.network import Network
from darknet_py.optimizer import Optimizer
from darknet_py.options import read_options
from darknet_py.schedule import ScheduleOptions, current_rate, sequence_length
from darknet_py.twins import is_time_to_part, part_twins


@dataclass
class Loss:
    """What one mini-batch gave: C's cost, summed over images, and what C prints of each loss."""

    cost: float
    figures: dict[int, dict[str, float]] = field(default_factory=dict)


class Learner:
    """Trains a network: `learn` for each mini-batch of an iteration, then `update`.

    Gradients are those that C's `backward` computes: every layer with a loss of its own gives a
    step direction for its input (`Layer.delta`), and autograd takes these down. They are sums
    over the images; the update divides. C: network_kernels.cu:train_network_datum_gpu.

    What a resumed run needs is `state()`, `iteration`, `seen` and `random`.
    """

    group = ALONE
    """The processes that learn together, each from as many images (see parallel.py)."""

    def __init__(
        self,
        network: Network,
        *,
        amp: bool = False,
        seed: int = 0,
        in_c_order: bool | Literal["fused"] = False,
    ) -> None:
        """Put `network` into training mode.

        Args:
            network: what learns; its tensors are laid out channels last where that is faster.
            amp: compute in bfloat16 where that is safe.
            seed: of dropout and whatever else is left to chance.
            in_c_order: sum and round as C's loops do, which is slow: to compare with C. PyTorch's
                sums differ in the last bits, and a value that is 0 but for those may fall on the
                other side of a leaky's kink. "fused" is for a C that was built with
                -march=native, where product and sum are rounded as one.
        """
        self.network, self.amp = network, amp
        self.options = read_options(ScheduleOptions, network.sections[0], network.dialect)
        data = read_options(AugmentOptions, network.sections[0], network.dialect)
        self.label_smooth_eps = data.label_smooth_eps
        self.attack = Attack(network, data, self.options.burn_in, self.options.max_batches)
        self.rejection = LabelRejection(
            self.options.max_batches,
            sigmas=self.options.num_sigmas_reject_badlabels,
            percentage=self.options.badlabels_rejection_percentage,
            equidistant_point=self.options.equidistant_point,
        )
        net = network.net
        self.subdivisions = max(net.subdivisions, 1)
        self.time_steps = max(net.time_steps, 1)
        self.batch = max(net.batch // self.subdivisions, 1) * self.time_steps
        self.seen = network.seen
        self.iteration = self.seen // (self.batch * self.subdivisions)
        self.random = np.random.default_rng(seed)
        self.device = next(network.parameters(), torch.empty(0)).device
        if self.device.type == "cpu":
            keep_memory()
        self.layers = list(network)
        self._last_reader = find_last_readers(self.layers)
        self._mini_batch = 0
        self._images = 0
        self.deltas: dict[int, Delta] = {}
        frozen = self._find_frozen()
        if network.image.is_image:
            for array in network.parameters():
                if array.dim() == 4:
                    array.data = array.data.contiguous(memory_format=torch.channels_last)
        self.optimizer = Optimizer(network, self.options, max(frozen, self._find_bn_only()))
        self.before: Callable[[int, int], None] | None = None
        """Called before each mini-batch with its iteration and subdivision, from 0."""
        for module in network.modules():
            if isinstance(module, (Convolutional, Connected, BatchNormalizer)):
                module.in_c_order = bool(in_c_order)
            if isinstance(module, Convolutional):
                module.fused = in_c_order == "fused"
        self.average = MovingAverage(network, self.options.ema_alpha, self.options.max_batches)
        network.train()
        for layer in self.layers[:frozen]:
            layer.eval()

    def _find_frozen(self) -> int:
        """Layers before this one do not learn at all (AlexeyAB: stopbackward=1)."""
        # PARITY: pjreddie's still normalise by the mini-batch, and decay (C: network.c).
        if self.network.dialect.name != "alexeyab":
            return 0
        marked = [i for i, layer in enumerate(self.layers) if layer.options.stopbackward == 1]
        return max(marked, default=0)

    def _find_bn_only(self) -> int:
        """Layers before this one learn batch norm's rolling values alone."""
        # PARITY: the GPU's update skips the whole layer (C: network_kernels.cu:update_network_gpu).
        marked = [i for i, layer in enumerate(self.layers) if layer.options.train_only_bn]
        return max(marked, default=-1) + 1

    def _find_stop(self, adversarial: bool) -> int:
        """No gradient reaches the layers before this one in this iteration."""
        stop = 0 if adversarial else self._find_bn_only()
        for index, layer in enumerate(self.layers):
            first = layer.options.stopbackward
            if first == 1 or first > self.iteration or (first and self._stops_whatever):
                stop = max(stop, index + 1)
        return stop

    @property
    def _stops_whatever(self) -> bool:
        """Whether stopbackward is a flag (pjreddie), not an iteration."""
        return self.network.dialect.name == "pjreddie"

    def learn(self, inputs: Tensor | np.ndarray, truth: Tensor | np.ndarray) -> Loss:
        """Forward and backward of one mini-batch; gradients add up until `update`.

        Inputs `(batch, c, h, w)`, RGB from 0 to 1, or `(batch, n)`; truth `(batch, n)` as in C.

        Raises:
            DivergedError: the loss is nan or infinite; the first bad layer is named.
        """
        if self.before is not None:
            self.before(self.iteration, self._mini_batch)
        x = torch.as_tensor(inputs, device=self.device)
        labels = torch.as_tensor(truth, device=self.device)
        if x.dim() == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        self.seen += len(x) * self.group.ranks
        self._images += len(x) * self.group.ranks
        if self.attack.is_due(self.iteration, self.random):
            x = self.attack(x, labels, self.iteration, partial(self.forward, adversarial=True))
        ends, directions, loss = self.forward(x, labels)
        if not math.isfinite(loss.cost):
            raise DivergedError(self._describe(x, loss))
        if ends:
            torch.autograd.backward(ends, directions)
        self._mini_batch += 1
        return loss

    def forward(
        self, x: Tensor, truth: Tensor, *, adversarial: bool = False
    ) -> tuple[list[Tensor], list[Tensor], Loss]:
        """The heads' inputs, minus their step directions, and the loss; as `adversarial.Passes`."""
        outputs: list[Tensor] = []
        step = Step(
            seen=self.seen,
            iteration=self.iteration,
            batch=len(x),
            image=self.network.image,
            outputs=outputs,
            random=self.random,
            subdivision=self._mini_batch,
            max_batches=self.options.max_batches,
            burn_in=self.options.burn_in,
            label_smooth_eps=self.label_smooth_eps,
            adversarial=adversarial,
            rejection=self.rejection,
        )
        stop, ends, directions = self._find_stop(adversarial), [], []
        self.deltas = {}
        freed = torch.empty(0, device=x.device)
        for index, layer in enumerate(self.layers):
            read = [x if i < 0 else outputs[i] for i in layer.sources]
            with torch.set_grad_enabled(index >= stop), self._autocast():
                layer.begin(step, truth)
                output = self._run(index, layer, read)
            outputs.append(output)
            with torch.no_grad():
                delta = layer.delta(read, output, truth, step)
            if delta is not None:
                self.deltas[index] = delta
                if read[0].requires_grad and not layer.options.onlyforward:
                    ends.append(read[0])
                    directions.append(self._direction(layer, delta, read[0]))
            if layer.options.truth:
                truth = flat(output.detach())
            if layer.overwrites and layer.sources[0] >= 0:
                outputs[layer.sources[0]] = outputs[layer.sources[0]].detach()
            for source in layer.sources:
                looked_at = isinstance(self.layers[source], Head)  # by later losses
                if source >= 0 and self._last_reader[source] <= index and not looked_at:
                    outputs[source] = freed
        return ends, directions, self._sum_up()

    def _run(self, index: int, layer: Layer, read: Sequence[Tensor]) -> Tensor:
        """The layer's output, with the gradients that C lets through."""
        if isinstance(layer, Head):
            with torch.no_grad():
                output: Tensor = layer(*(x.float() for x in read))
            if index in self._last_reader and read[0].requires_grad:
                passed: Tensor = PassOn.apply(read[0], output)  # type: ignore[no-untyped-call]
                return passed
            return output
        result: Tensor = layer(*read)
        if layer.options.onlyforward and self.network.dialect.name == "alexeyab":
            return result.detach()
        if self.options.try_fix_nan and isinstance(layer, Convolutional):
            result = result.nan_to_num(0.0, 0.0, 0.0)
            if result.requires_grad:
                result.register_hook(lambda gradient: gradient.clamp(-1, 1))  # type: ignore[no-untyped-call]
        return result

    def _direction(self, layer: Layer, delta: Delta, x: Tensor) -> Tensor:
        """Minus the step direction, as autograd wants it."""
        factor = getattr(layer.options, "delta_normalizer", 1.0) * self.options.loss_scale
        return (delta.values * -factor).view(x.shape).to(x.dtype)

    def _autocast(self) -> torch.autocast | nullcontext[None]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.amp else nullcontext()

    def _sum_up(self) -> Loss:
        costs = [float(delta.cost) for delta in self.deltas.values()]
        if not costs:
            raise TrainError("the network has no layer with a loss: it cannot be trained")
        figures = {index: delta.figures for index, delta in self.deltas.items() if delta.figures}
        return Loss(sum(costs) / len(costs), figures)

    def share_state(self) -> None:
        """Let the group's other processes begin with the first one's state; there is none."""

    def update(self) -> float:
        """Take the step that the mini-batches since the last one ask for; return its rate."""
        self.iteration += 1
        rate = current_rate(self.options, self.iteration, float(self.random.random()))
        length = sequence_length(self.options, self.subdivisions, self.iteration)
        self.optimizer.update(rate, self._images * length, self.iteration, self.options.loss_scale)
        self.average.follow(self.iteration)
        if is_time_to_part(self.options, self.iteration):
            part_twins(self.network, self.random)
        self._mini_batch = self._images = 0
        if self.options.dynamic_minibatch:  # the cfg's images count (C: detector.c)
            self.seen = self.iteration * self.batch * self.subdivisions
        self.network.seen = self.seen
        return rate

    def forget(self, seen: int) -> None:
        """Drop what was learned since the last update; `seen` is what it was then."""
        for parameter in self.network.parameters():
            parameter.grad = None
        self.seen, self._mini_batch, self._images = seen, 0, 0

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """(name, tensor) of all, beside the network's arrays, that a resumed run needs."""
        yield from self.optimizer.state()
        yield from self.average.state()

    def _describe(self, x: Tensor, loss: Loss) -> str:
        """Where nan or infinity came from: the first layer that has it."""
        for index, name, tensor in self.network.arrays():
            if not bool(torch.isfinite(tensor).all()):
                where = f"{name} of {_name(self.layers[index])}"
                return f"the loss is {loss.cost:g}: {where} is not finite"
        with torch.no_grad():
            outputs: list[Tensor] = []
            for layer in self.layers:
                outputs.append(layer(*(x if i < 0 else outputs[i] for i in layer.sources)))
                if not bool(torch.isfinite(outputs[-1]).all()):
                    where = f"{_name(layer)} is the first that is not finite"
                    return f"the loss is {loss.cost:g}: {where}"
        bad = next(i for i, d in self.deltas.items() if not math.isfinite(float(d.cost)))
        return f"the loss of {_name(self.layers[bad])} is {loss.cost:g}"


def _name(layer: Layer) -> str:
    return f"layer {layer.index} [{layer.section.type}]"

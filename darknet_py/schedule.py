"""How training proceeds: the [net] keys of the update and the learning rate."""

from __future__ import annotations

import math
import random as _random
from dataclasses import dataclass

from darknet_py.options import key


@dataclass(frozen=True)
class ScheduleOptions:
    """Keys of [net] that steer training (C: parser.c:parse_net_options)."""

    learning_rate: float = key("the learning rate", 0.001)
    learning_rate_min: float = key("lowest rate of policy sgdr", 0.00001, only="alexeyab")
    momentum: float = key("momentum of the update (Adam: not used)", 0.9)
    decay: float = key("weight decay", 0.0001)
    adam: bool = key("update by Adam", False)
    B1: float = key("Adam's first decay", 0.9)
    B2: float = key("Adam's second decay", 0.999)
    eps: float = key("Adam's epsilon", 1e-7, alexeyab=1e-6)
    policy: str = key(
        "learning rate over time: constant, step, steps, exp, poly, sigmoid, random or sgdr",
        "constant",
    )
    burn_in: int = key("iterations during which the rate rises from 0", 0)
    power: float = key("exponent of burn_in and of policies poly and random", 4.0)
    step: int = key("policy step, sigmoid: iterations", 1)
    scale: float = key("policy step: factor at every step", 1.0)
    steps: tuple[int, ...] = key("policy steps: iterations at which the rate changes", ())
    scales: tuple[float, ...] = key("policy steps: the factor at each of `steps`", ())
    seq_scales: tuple[float, ...] = key(
        "policy steps: sequence lengths at each of `steps`", (), only="alexeyab"
    )
    gamma: float = key("policy exp, sigmoid: base or slope", 1.0)
    sgdr_cycle: int | None = key(
        "policy sgdr: iterations of the first cycle (default: max_batches)", None, only="alexeyab"
    )
    sgdr_mult: int = key("policy sgdr: growth of the cycles", 2, only="alexeyab")
    max_batches: int = key("iterations in all", 0)
    ema_alpha: float = key("decay of the moving average of the weights", 0.0, only="alexeyab")
    loss_scale: float = key("factor on the loss in half precision", 1.0, only="alexeyab")
    try_fix_nan: bool = key(
        "in convolutions 0 for outputs that are not finite, and gradients of at most 1",
        False,
        only="alexeyab",
    )
    clip: float = key("largest absolute value of a weight, 0: no limit", 0.0, only="pjreddie")
    dynamic_minibatch: bool = key("larger mini-batch at small sizes", False, only="alexeyab")
    sequential_subdivisions: int | None = key(
        "subdivisions of a sequence (default: subdivisions)", None, only="alexeyab"
    )
    weights_reject_freq: int = key(
        "iterations between checks that reject weights", 0, only="alexeyab"
    )
    num_sigmas_reject_badlabels: float = key(
        "labels whose loss is this many deviations off are skipped", 0.0, only="alexeyab"
    )
    badlabels_rejection_percentage: float = key(
        "share of labels that may be rejected", 0.0, only="alexeyab"
    )
    equidistant_point: int = key("iteration from which labels may be rejected", 0, only="alexeyab")
    max_chart_loss: float = key("top of the loss chart", 20.0, only="alexeyab")
    optimized_memory: int = key("GPU memory saving level", 0, only="alexeyab")
    workspace_size_limit_MB: float = key("cuDNN's workspace limit", 1024.0, only="alexeyab")
    use_cuda_graph: bool = key("run as a CUDA graph", False, only="alexeyab")
    random: int = key("train at changing sizes", 0, only="pjreddie")
    resize_step: float = key("sizes are multiples of this", 32.0, only="alexeyab")


def current_rate(options: ScheduleOptions, batches: int, chance: float | None = None) -> float:
    """The learning rate of an update (C: network.c:get_current_rate).

    Args:
        options: [net]'s keys.
        batches: how many updates there are, this one included (C: get_current_batch).
        chance: from 0 to 1, for the policy random; None: drawn.
    """
    o, rate = options, options.learning_rate
    if batches < o.burn_in:
        return rate * math.pow(batches / o.burn_in, o.power)
    if o.policy == "step":
        # PARITY: the exponent is a whole number (C: get_current_rate).
        return rate * math.pow(o.scale, batches // max(o.step, 1))
    if o.policy == "steps":
        return rate * math.prod(_passed(o, o.scales, batches))
    if o.policy == "exp":
        return rate * float(o.gamma**batches)
    if o.policy == "poly":
        return rate * float(max(1 - batches / max(o.max_batches, 1), 0.0) ** o.power)
    if o.policy == "random":
        return rate * float((_random.random() if chance is None else chance) ** o.power)
    if o.policy == "sigmoid":
        return rate / (1 + math.exp(min(o.gamma * (batches - o.step), 700.0)))
    if o.policy == "sgdr":
        return _restarted_rate(o, batches)
    return rate


def sequence_length(options: ScheduleOptions, subdivisions: int, batches: int) -> int:
    """How many subdivisions follow one another in a sequence (C: network.c:get_sequence_value).

    It multiplies the number of images that an update is divided by.
    """
    first = options.sequential_subdivisions or subdivisions
    length = min(first, subdivisions) * math.prod(_passed(options, options.seq_scales, batches))
    return max(subdivisions // min(max(int(length), 1), subdivisions), 1)


def _passed(
    options: ScheduleOptions, factors: tuple[float, ...], batches: int
) -> tuple[float, ...]:
    """The factors of the steps that are behind; C stops at the first that is not."""
    count = next((n for n, step in enumerate(options.steps) if step > batches), len(options.steps))
    return factors[:count]


def _restarted_rate(options: ScheduleOptions, batches: int) -> float:
    """Cosine from the full rate to the lowest, again and again, each time longer."""
    start, size = 0, options.max_batches if options.sgdr_cycle is None else options.sgdr_cycle
    while 0 < size < batches - start and options.sgdr_mult > 0:
        start += size
        size *= options.sgdr_mult
    low = options.learning_rate_min
    angle = math.pi * (batches - start) / max(size, 1)
    return low + 0.5 * (options.learning_rate - low) * (1 + math.cos(angle))

"""[contrastive]'s loss. C: AlexeyAB's softmax_layer.c:forward_contrastive_layer, blas.c."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

SURE = 0.9999
"""The most that one embedding can be another's counterpart."""


@dataclass(frozen=True)
class Samples:
    """The embeddings that are compared, one in a row."""

    vectors: Tensor
    """(k, size)."""
    labels: Tensor
    """(k,) what each shows: embeddings of one label shall be alike."""
    classes: Tensor
    """(k,) only those of one class are compared."""
    steps: Tensor
    """(k,) the time step: neither are those of different ones."""


def object_steps(samples: Samples, temperature: float, most: int) -> tuple[Tensor, float]:
    """The steps `(k, size)` of objects' embeddings and how many are nearest to their own, in %.

    Each is drawn to all others of its label, and pushed from the first `most` of its class that
    have another one. C: blas.c:grad_contrastive_loss_positive_f, grad_contrastive_loss_negative_f.
    """
    similar, known = _similarities(samples)
    chance = _chances(similar, known, temperature).clamp(max=SURE)
    same, others = _alike(samples)
    steps = _pull(samples.vectors, similar, torch.where(others & known, 1 - chance, 0.0))
    away = _first_rivals(others, known, samples, most) * chance
    steps -= _pull(samples.vectors, similar, away)
    return steps * _scale(samples.vectors, same, temperature), _accuracy(similar, known, same)


def image_steps(samples: Samples, temperature: float) -> tuple[Tensor, float]:
    """The same for one embedding of each image, pushed from all others, its own label's too.

    C: blas.c:grad_contrastive_loss_positive, grad_contrastive_loss_negative.
    """
    similar, known = _similarities(samples)
    chance = torch.where(known, _chances(similar, known, temperature), 0.0)
    same, others = _alike(samples)
    steps = _pull(samples.vectors, similar, torch.where(others, 1 - chance, 0.0))
    # PARITY: each partner pushes from all the rest, so once for every partner (C: blas.c).
    times = others.sum(1, keepdim=True) - others.long()
    steps -= _pull(samples.vectors, similar, times * chance)
    return steps * _scale(samples.vectors, same, temperature), _accuracy(similar, known, same)


def _alike(samples: Samples) -> tuple[Tensor, Tensor]:
    """Which samples have the same label, and which of those are another one."""
    same = samples.labels == samples.labels.unsqueeze(1)
    return same, same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)


def _chances(similar: Tensor, known: Tensor, temperature: float) -> Tensor:
    """How likely each is the counterpart of each other: its share among all but itself."""
    heat = torch.where(known, (similar.double() / temperature).exp(), 0.0)
    rest = heat.sum(0) - heat
    return torch.where(rest > 0, heat / rest, SURE).to(similar)


def _similarities(samples: Samples) -> tuple[Tensor, Tensor]:
    """The cosine of each two embeddings, 0 where they are not compared; and whether they are."""
    unit = F.normalize(samples.vectors, dim=1, eps=1e-30)
    known = samples.classes == samples.classes.unsqueeze(1)
    known &= samples.steps == samples.steps.unsqueeze(1)
    known.fill_diagonal_(False)
    return torch.where(known, unit @ unit.T, 0.0), known


def _pull(vectors: Tensor, similar: Tensor, weights: Tensor) -> Tensor:
    """Towards the others, by weight, less the part along the vector itself."""
    return weights @ vectors - (weights * similar).sum(1, keepdim=True) * vectors


def _scale(vectors: Tensor, same: Tensor, temperature: float) -> Tensor:
    length = vectors.norm(dim=1, keepdim=True)
    scale = (same.sum(1, keepdim=True) - 1) * temperature * length
    # A label that stands alone, or an embedding of nothing but 0, learns nothing.
    return torch.where(scale != 0, 1 / scale, 0.0)


def _first_rivals(others: Tensor, known: Tensor, samples: Samples, most: int) -> Tensor:
    """How often each sample is pushed from each other one."""
    # PARITY: rivals that are not compared count, too (C: blas.c:grad_contrastive_loss_negative_f).
    label, number = samples.labels.cpu().numpy(), samples.classes.cpu().numpy()
    partners, compared = others.cpu().numpy(), known.cpu().numpy()
    times = np.zeros(partners.shape, np.float32)
    for i in range(len(label)):
        rivals: list[int] = []
        for j in np.flatnonzero(partners[i]):
            rivals.extend(np.flatnonzero((label != label[i]) & (number == number[j])))
            if compared[i, rivals[most - 1 :]].any():
                break
        for count, k in enumerate(rivals, start=1):
            times[i, k] += compared[i, k]
            if count >= most and compared[i, k]:
                break
    return torch.from_numpy(times).to(others.device)


def _accuracy(similar: Tensor, known: Tensor, same: Tensor) -> float:
    """How many of those with both are more like their own than like any other, in whole %."""
    if not len(similar):
        return -1.0
    nothing = torch.full_like(similar, -10)
    own = torch.where(known & same, similar, nothing).amax(1)
    other = torch.where(known & ~same, similar, nothing).amax(1)
    both = (own >= -1) & (other >= -1)
    count = int(both.sum())
    return float(100 * int((both & (other < own)).sum()) // count) if count else -1.0

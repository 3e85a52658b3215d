"""Where the two Darknet forks disagree: one documented field for each difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from darknet_py.errors import DarknetError


@dataclass(frozen=True)
class Dialect:
    """What one fork does where the forks differ; each field cites the C it follows.

    docs/parity.md lists the fields, each with its test.
    """

    name: Literal["pjreddie", "alexeyab"]
    """Which keys are read, which defaults hold and how printed lines look."""
    batchnorm_epsilon: Literal["outside", "inside"]
    """`sqrt(variance) + 1e-6` (pjreddie, blas.c:normalize_cpu) or `sqrt(variance + 1e-5)`
    (AlexeyAB, blas.c:normalize_cpu)."""
    batchnorm_biases: bool
    """Whether a standalone [batchnorm] keeps biases in the weights file: AlexeyAB does
    (parser.c:save_batchnorm_weights), pjreddie does not."""
    version: tuple[int, int, int]
    """Major, minor and revision that parser.c:save_weights_upto writes: 0,2,0 or 0,2,5."""
    letterbox: bool
    """Whether `detect` keeps the aspect ratio. detector.c:test_detector: pjreddie always,
    AlexeyAB with -letter_box."""
    thresh: float
    """`detect`'s threshold: darknet.c, pjreddie .5, AlexeyAB .24."""


PJREDDIE = Dialect(
    name="pjreddie",
    batchnorm_epsilon="outside",
    batchnorm_biases=False,
    version=(0, 2, 0),
    letterbox=True,
    thresh=0.5,
)
ALEXEYAB = Dialect(
    name="alexeyab",
    batchnorm_epsilon="inside",
    batchnorm_biases=True,
    version=(0, 2, 5),
    letterbox=False,
    thresh=0.24,
)
DIALECTS = {dialect.name: dialect for dialect in (PJREDDIE, ALEXEYAB)}


def get_dialect(name: str | Dialect) -> Dialect:
    """The dialect of that name.

    Raises:
        DarknetError: there is none.
    """
    if isinstance(name, Dialect):
        return name
    if name not in DIALECTS:
        raise DarknetError(f"dialect must be {' or '.join(DIALECTS)}, got {name!r}")
    return DIALECTS[name]

"""One training step of every golden: cost, deltas, gradients and updated arrays as C's."""

from __future__ import annotations

import pytest
from train_goldens import PJREDDIE, UNTAUGHT, Difference, Step, edit, names

LARGE = ("yolov4", "Gaussian", "yolov3-spp", "darknet53", "resnet", "densenet")
"""Deep networks, slow to replay."""
ROUGH = ("yolov4",)
"""mish: C's compiler took approximations of exp, log and 1 / x of its own, so some values near a
tie of max pools or leaky's kink still fall on the other side. Two builds of the same C differ by
a tenth."""
SMALL = [name for name in names() if not name.partition("/")[2].startswith(LARGE)]
EXACT = ("pjreddie/residual_accumulate", "pjreddie/rnn_nobn")
"""Networks without a near tie of max pools or leaky's sign."""

pytestmark = [
    pytest.mark.golden,
    pytest.mark.skipif(not PJREDDIE.is_dir(), reason="needs the goldens of training"),
    pytest.mark.filterwarnings("ignore::darknet_py.errors.DarknetWarning"),
]


def check(found: Difference, samples: float, length: float) -> None:
    assert found.samples <= samples, found
    assert found.length <= length, found


def check_step(name: str, step: Step, gradients: float, updated: float, length: float) -> None:
    check(step.cost(), 1e-4, 0)
    for found in step.heads():
        check(found, 1e-4, 1e-4)
    found = list(step.gradients())
    assert found
    for difference in found:
        check(difference, gradients, length)
    for difference in step.updated():
        if difference.name not in UNTAUGHT.get(name, ()):
            check(difference, updated, length)


@pytest.mark.parametrize("name", names())
def test_a_step_is_c_s(name):
    """Summed in the order of C's own loops."""
    rough = name.partition("/")[2].startswith(ROUGH)
    limit, length = (0.1, 1.2e-2) if rough else (1e-3, 1e-3)
    check_step(name, Step(name), limit, limit, length)


@pytest.mark.parametrize("name", SMALL)
def test_a_plain_step_differs_by_near_ties_alone(name):
    """PyTorch's sums put some values on the other side of leaky's kink, or of a max pool's tie.

    That moves single samples, not the length of an array.
    """
    limits = (1e-4, 1e-5, 1e-4) if name in EXACT else (0.25, 0.1, 1.2e-2)
    check_step(name, Step(name, in_order=False), *limits)


def test_a_source_cfg_is_edited():
    text = "[network]\nbatch = 64\nwidth=608\n\n[dropout]\nprobability=.5\n\n[yolo]\nmask=0\n"
    edits = {"net": {"batch": 1}, "other": {"[dropout]": {"probability": "0"}}}
    assert edit(text, edits) == (
        "[network]\nwidth=608\nbatch=1\n\n[dropout]\nprobability=0\n\n[yolo]\nmask=0\n"
    )

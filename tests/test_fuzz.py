import os
import subprocess
import sys
import warnings
from pathlib import Path

import fuzz
import pytest

from darknet_py.errors import DarknetWarning

CASES = int(os.environ.get("DARKNET_PY_FUZZ", "0"))
SEED = os.environ.get("DARKNET_PY_FUZZ_SEED", "1")
BATCHES = 10


def run(first, last):
    """The cases from `first` to before `last`, in a process of their own."""
    limit = {"DARKNET_PY_MEMORY_LIMIT": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, Path(fuzz.__file__), SEED, str(first), str(last)],
        capture_output=True,
        text=True,
        env=os.environ | limit,
        timeout=fuzz.SECONDS * (last - first),
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_the_bases_are_sound_and_have_every_section():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DarknetWarning)
        fuzz.check_bases()


def test_damaged_files_end_in_one_line():
    run(0, 300)


@pytest.mark.golden
@pytest.mark.skipif(not CASES, reason="DARKNET_PY_FUZZ says how many")
@pytest.mark.parametrize("batch", range(BATCHES))
def test_many_damaged_files_end_in_one_line(batch):
    """As many as DARKNET_PY_FUZZ says, in batches."""
    size = -(-CASES // BATCHES)
    run(batch * size, (batch + 1) * size)

"""A run that is killed again and again gives the files of one that was not."""

import random
import subprocess
import time

import pytest
from training import command, environment, lay_out, write_cfg

KILLS = 9


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path):
    data = lay_out(tmp_path)
    data.write_text(data.read_text().replace("savelast=5", "savelast=1\nsaveweights=50"))
    cfg = write_cfg(tmp_path / "net.cfg", max_batches=300, more="ema_alpha=0.99")
    moments, killed = random.Random(5), 0

    def start(folder, *flags):
        return subprocess.Popen(
            [*command(data, cfg, "-out", tmp_path / folder, "-map"), *flags],
            env=environment(),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    whole = start("whole")
    while killed < KILLS:
        with start("killed", "-resume") as run:
            assert run.stdout.readline().startswith("Training on")
            time.sleep(moments.uniform(0, 0.4))
            run.kill()
        killed += 1
    with start("killed", "-resume") as run:
        assert run.stdout.read().endswith("net_final.weights\n")
    assert run.returncode == 0
    whole.communicate()
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}
        for folder in ("whole", "killed")
    )
    assert sorted(first) == sorted(second)
    assert {"net_50.weights", "net_final.weights", "net_best.weights"} <= set(first)
    assert [name for name in first if first[name] != second[name]] == []

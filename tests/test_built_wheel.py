"""A wheel brings the kernels along: who installs it needs no compiler."""

import os
import subprocess
import sys
import zipfile

import pytest
from helpers import ROOT

from darknet_py.kernels import compiler, find_features

pytest.importorskip("hatchling")

CODE = """
import sys
import darknet_py
from darknet_py.kernels import library
from darknet_py.lower import prepare
from darknet_py.network import Network
lowered = prepare(Network.from_cfg(sys.argv[1]))
maps = [line.split()[-1] for line in open("/proc/self/maps") if "libgomp" in line]
assert maps and all("/torch/" in path for path in maps), maps  # a system may have none
print(darknet_py.__file__, library()._name, [len(program.steps) for program in lowered._programs])
"""


@pytest.mark.slow
def test_an_installed_wheel_needs_no_compiler(tmp_path):
    if not compiler.has_levels() or not compiler.find_compiler():
        pytest.skip("wheels bring kernels for Linux on x86-64, made where there is a compiler")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*-py3-none-manylinux_2_28_x86_64.whl")  # as PyPI takes it
    place = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(place)
    built = place / "darknet_py" / "kernels" / "built"
    assert {path.stem for path in built.iterdir()} == set(compiler.LEVELS)
    features = set(find_features().split())
    best = [name for name, (_, needed) in compiler.LEVELS.items() if needed <= features]
    if not best:
        pytest.skip("this processor has no AVX2")

    environment = {
        "PATH": "", "PYTHONPATH": str(place), "HOME": str(tmp_path / "home"),
        "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", ""),
    }  # fmt: skip
    command = [sys.executable, "-c", CODE, str(ROOT / "cfg" / "tiny.cfg")]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert not done.stderr
    file, used, steps = done.stdout.split(maxsplit=2)
    assert file.startswith(str(place)) and used == str(built / f"{best[0]}.so")
    assert steps.strip() == "[22]"  # the whole network
    assert not (tmp_path / "home").exists()  # nothing was compiled

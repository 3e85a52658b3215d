"""The library of our own kernels: how it is made and found, and what happens without it."""

import os
import shutil
import subprocess
import sys

import pytest
import torch
from helpers import ROOT, build, ramp
from kernel_cases import (
    CONV,
    HEADS,
    MANY,
    assert_near,
    needs,
    run_many,
    swap_library,
)

from darknet_py import kernels
from darknet_py.kernels import compiler
from darknet_py.lower import prepare


def ask(tmp_path, **environment):
    """What a process of its own finds: `none`, or the library's file."""
    code = "from darknet_py.kernels import library as f; print(f() and f()._name or 'none')"
    environment = os.environ | {"DARKNET_PY_KERNELS": str(tmp_path)} | environment
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert not done.stderr
    return done.stdout.strip()


def test_without_a_compiler_there_are_none(tmp_path):
    assert ask(tmp_path, PATH="", CXX="") == "none"
    assert ask(tmp_path, CXX="no-such-compiler") == "none"
    assert ask(tmp_path, CXX="false") == "none"
    assert ask(tmp_path, DARKNET_PY_KERNELS="off") == "none"
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".so"]


@needs
def test_the_library_is_made_once(tmp_path):
    mine = tmp_path / "mine.so"
    mine.write_text("of somebody else")
    made = ask(tmp_path, CXX="")
    assert {str(path) for path in tmp_path.iterdir()} == {made, str(mine)}
    before = os.stat(made).st_mtime_ns
    assert ask(tmp_path, CXX="", PATH="") == made  # also where there is no compiler any more
    assert os.stat(made).st_mtime_ns == before


@needs
def test_a_library_that_computes_wrongly_is_refused(tmp_path):
    compiler = tmp_path / "compiler"
    compiler.write_text(f'#!/bin/sh\nexec {shutil.which("g++")} "$@" -O0 -Dcheck_kernels=other\n')
    compiler.chmod(0o700)
    assert ask(tmp_path / "cache", CXX=str(compiler)) == "none"
    (failed,) = (tmp_path / "cache").iterdir()
    assert failed.suffix == ".failed" and "check_kernels" in failed.read_text()
    compiler.write_text("#!/bin/sh\ntouch called\n")
    assert ask(tmp_path / "cache", CXX=str(compiler)) == "none"  # it is not tried again
    assert list((tmp_path / "cache").iterdir()) == [failed] and not (ROOT / "called").exists()


def compile_level(name, folder):
    """The library that a wheel brings for such a processor; the test is skipped on others."""
    flags, needed = compiler.LEVELS[name]
    if not (compiler.has_levels() and needed <= set(kernels.find_features().split())):
        pytest.skip(f"this processor has no {name}")
    if not compiler.find_compiler():
        pytest.skip("no C++ compiler")
    compiler.compile_library(compiler.find_compiler(), flags, folder / f"{name}.so", check=False)


@pytest.mark.parametrize("name", ["avx2", "avx512"])
def test_libraries_for_other_processors_compute_the_same(name, tmp_path, monkeypatch):
    compile_level(name, tmp_path)
    monkeypatch.setattr(kernels, "BUILT", tmp_path)
    found = kernels._load_built()
    assert found._name == str(tmp_path / f"{name}.so") and not found.has_half()
    swap_library(monkeypatch, found)
    expansion = CONV.format(10, 3, 1, "leaky") + CONV.format(98, 1, 1, "swish")
    expansion += CONV.format(98, 5, 1, "swish") + "groups=98\n" + CONV.format(30, 3, 2, "leaky")
    shares = CONV.format(37, 3, 1, "mish") + "[avgpool]\n[softmax]\n"
    wide = CONV.format(33, 3, 2, "leaky") + CONV.format(75, 3, 1, "linear") + HEADS.format(1.2, 0)
    for body in (MANY, expansion + shares, expansion + wide):
        network, x = build(body, (3, 62, 90), "alexeyab"), ramp(2, 3, 62, 90)
        with torch.no_grad():
            expected = network(x)[-1]
        lowered = prepare(network)
        assert len(lowered._programs) == 1
        assert_near(lowered(x)[0], expected.double(), 1e-4)


def test_a_wheels_library_is_for_processors_that_have_all_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "BUILT", tmp_path)
    assert kernels._load_built() is None
    compile_level("avx2", tmp_path)
    assert kernels._load_built() and kernels.library.__wrapped__() is not None
    monkeypatch.setattr(kernels, "find_features", lambda: "flags: sse4_2 avx fma")
    assert kernels._load_built() is None
    monkeypatch.setattr(kernels, "find_features", lambda: " ".join(compiler.LEVELS["avx2"][1]))
    other = tmp_path / "other"
    other.mkdir()
    (other / "avx2.so").write_text("torn")
    monkeypatch.setattr(kernels, "BUILT", other)
    assert kernels._load_built() is None


def test_a_network_runs_without_them(monkeypatch):
    swap_library(monkeypatch, None)
    network, lowered = run_many()
    assert lowered._programs is None
    x = ramp(2, 3, 12, 10)
    with torch.no_grad():
        assert_near(lowered(x)[0], network(x)[-1].double(), 1e-4)

"""The folder of what can be made or downloaded again: where the system has it, or as said."""

import os
from pathlib import Path

import pytest

from darknet_py.cache import CACHE, cache_folder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the folders of other systems")


def test_lies_where_the_system_says(tmp_path, monkeypatch):
    monkeypatch.delenv(CACHE, raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for platform, folder in (("linux", ".cache"), ("darwin", "Library/Caches")):
        monkeypatch.setattr("sys.platform", platform)
        assert cache_folder() == Path.home() / folder / "darknet-py"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "darknet-py"


def test_each_part_has_a_variable_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(CACHE, str(tmp_path / "models"))
    assert cache_folder() == tmp_path / "models"
    monkeypatch.delenv("DARKNET_PY_COMPILED", raising=False)
    part = "DARKNET_PY_COMPILED", "compiled"
    assert cache_folder(*part) == tmp_path / "darknet-py/compiled"
    monkeypatch.setenv("DARKNET_PY_COMPILED", str(tmp_path / "programs"))
    assert cache_folder(*part) == tmp_path / "programs"

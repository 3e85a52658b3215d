import shutil

import numpy as np
import pytest
from helpers import ROOT

from darknet_py import files
from darknet_py.files import packaged, packaged_names

NAMES = {
    "9k.labels": 9418,
    "9k.names": 9418,
    "9k.tree": 9418,
    "coco.names": 80,
    "coco9k.map": 80,
    "imagenet1k.labels": 1000,
    "imagenet.labels.list": 21842,
    "imagenet.shortnames.list": 21842,
    "inet9k.map": 200,
    "openimages.names": 601,
    "voc.names": 20,
}


def test_finds_the_files_of_the_checkout():
    assert packaged("cfg/coco.data") == ROOT / "cfg" / "coco.data"
    assert packaged("data\\coco.names") == ROOT / "data" / "coco.names"


@pytest.mark.parametrize(
    "name",
    [
        *("", "coco.names", "data", "data/", "data/none", "/data/coco.names", "tests/helpers.py"),
        *("data/../pyproject.toml", "../data/coco.names", "data/\0"),
    ],
)
def test_finds_nothing_else(name):
    assert packaged(name) is None


def test_the_wheels_own_folder_comes_first_and_site_packages_is_not_searched(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "darknet_py"
    monkeypatch.setattr(files, "__file__", str(package / "files.py"))
    (tmp_path / "site-packages" / "data").mkdir(parents=True)
    (tmp_path / "site-packages" / "data" / "coco.names").write_text("of another package\n")
    assert packaged("data/coco.names") is None
    shutil.copytree(ROOT / "data", package / "_files" / "data")
    assert packaged("data/coco.names") == package / "_files" / "data" / "coco.names"
    assert packaged_names("data") == packaged_names_of_the_checkout()


def packaged_names_of_the_checkout():
    return sorted(f"data/{p.name}" for p in (ROOT / "data").iterdir())


def test_lists_a_folder():
    assert "cfg/coco.data" in packaged_names("cfg")
    assert packaged_names("tests") == []


@pytest.mark.parametrize("name", NAMES)
def test_name_files_have_a_line_for_each_class(name):
    assert len((ROOT / "data" / name).read_text().splitlines()) == NAMES[name]


def test_imagenets_thousand_are_leaves_of_the_word_tree():
    thousand = set((ROOT / "data" / "imagenet1k.labels").read_text().split())
    tree = dict(line.split() for line in (ROOT / "data" / "9k.tree").read_text().splitlines())
    assert len(thousand) == 1000
    assert thousand <= tree.keys()


@pytest.mark.parametrize("path", sorted((ROOT / "cfg").glob("*.data*")), ids=lambda p: p.name)
def test_data_files_name_packaged_files(path):
    text = path.read_text().replace(" ", "")
    options = dict(line.split("=") for line in text.splitlines())
    for key in {"names", "labels", "map", "leaves"} & options.keys():
        found = packaged(options[key])
        assert found is not None, options[key]
        if key in ("names", "labels"):
            assert len(found.read_text().splitlines()) >= int(options["classes"])


@pytest.mark.parametrize("name", ["shapes", "signs"])
def test_the_pictures_are_small_and_made_by_their_programs(name):
    import runpy

    import cv2

    path = ROOT / "data" / f"{name}.jpg"
    assert path.stat().st_size < 100_000
    rendered = runpy.run_path(str(ROOT / "docs" / f"render_{name}.py"))["render"]()
    stored = cv2.imread(str(path))
    assert stored.shape == rendered.shape
    difference = np.abs(stored.astype(int) - rendered)
    assert difference.mean() < 4  # what JPEG loses

import importlib.util
import re

import pytest
from helpers import ROOT

from darknet_py.layers import SECTIONS
from darknet_py.options import keys

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])


def generator():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_key_reference_is_up_to_date():
    written = (DOCS / "cfg.md").read_text(encoding="utf-8")
    assert written == generator().reference(), "run `make docs`"


def test_the_key_reference_names_every_section_and_key():
    text = (DOCS / "cfg.md").read_text(encoding="utf-8")
    for name, layer in SECTIONS.items():
        assert f"[{name}]" in text
        for key in keys(layer.Options):
            assert f"| `{key}` |" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_modules_that_pages_name_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:darknet_py|docs|tests|data|benchmarks)/[\w/.-]+\.\w+)", text):
        assert (ROOT / name).exists(), name


def test_quoted_code_is_the_code():
    text = (DOCS / "adding-a-layer.md").read_text(encoding="utf-8")
    files = ["darknet_py/layers/shuffle.py", "darknet_py/layers/__init__.py",
             "tests/layers/test_shuffle.py"]  # fmt: skip
    code = "".join((ROOT / file).read_text(encoding="utf-8") for file in files)
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert len(blocks) == 5
    for block in blocks:
        assert block in code, block

"""docs/commands.md says what the table of commands says."""

import importlib.util

from helpers import ROOT


def test_the_command_reference_is_up_to_date():
    path = ROOT / "docs" / "generate_commands.py"
    spec = importlib.util.spec_from_file_location("generate_commands", path)
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == generator.page(), "run `make docs`"

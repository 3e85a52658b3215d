"""Write docs/commands.md, the reference of every command, from the table that runs them."""

from __future__ import annotations

from pathlib import Path

from darknet_py.cli import COMMANDS
from darknet_py.cli.arguments import Command

OUTPUT = Path(__file__).parent / "commands.md"

HEAD = """# Commands

Written by `make docs` from the table of commands in `darknet_py/cli`; do not edit.

`darknet-py`, or `python -m darknet_py`, takes C's words: what stands after `darknet` in a C
tutorial can stand after `darknet-py`. `darknet-py COMMAND --help` prints what is here.

- Flags stand anywhere, with one dash as in C or with two: `-thresh .25`, `--thresh .25`,
  `--thresh=.25`. An unknown flag is an error, as is a word too many.
- The dialect, found from the cfg or given with `-dialect`, decides on defaults and printed lines:
  those of pjreddie's program or of AlexeyAB's.
- What C prints on stdout is on stdout, the layer table and messages are on stderr; so are the
  lines on batch and suppression that AlexeyAB's program says on stdout while it loads, as far as
  they are printed at all.
- Names come from `-names`, the `.data` file, or, without either, from the lists that the package
  brings: COCO for 80 classes, VOC for 20, OpenImages for 601, YOLO9000 for 9418, ImageNet for
  1000 and 21842. Where the counts differ a warning says so and the classes are numbered.
- A cfg, `.data` or names file or an image that does not exist is looked up among those that the
  package brings: `cfg/tiny.cfg`, `cfg/coco.data`, `data/shapes.jpg`.
- IMAGE may be an image, a folder, a `.txt` list, or several of them; without any, paths are read
  from standard input after "Enter Image Path: ". One that cannot be read takes a line on stderr
  and the next one follows.
- Only the `demo` commands ([video.md](video.md)) and `detector draw` ([images.md](images.md)) open
  windows; what C shows elsewhere is in the picture it writes.

Exit status: 0 if all went well; 1 if a file or an image is wrong, with one line on stderr that
says which and why; 2 if the line itself cannot be read; 130 after Ctrl-C.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_part(command) for command in COMMANDS.values())])


def _part(command: Command) -> str:
    usage, _, rest = command.help().partition("\n\n")
    doc, _, table = rest.partition("\n\n")
    text = " ".join(doc.split())
    usage = usage.removeprefix("usage: ")
    return f"## {command.name}\n\n{text}\n\n```text\n{usage}\n\n{table}```\n"


if __name__ == "__main__":
    OUTPUT.write_text(page(), encoding="utf-8")
    print(f"{OUTPUT}: {len(COMMANDS)} commands")

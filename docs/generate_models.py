"""Write docs/models.md, the table of the packaged networks (`make docs`)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

from packaged import (  # noqa: E402 - tests/ is no package
    CFG,
    NAMES,
    PUBLISHED,
    billions,
    packaged_network,
    published_parameters,
    trained,
)

from darknet_py.weights import count_floats  # noqa: E402

OUTPUT = ROOT / "docs" / "models.md"

HEAD = """# The networks in cfg/

Written by `make docs` from the cfgs and from what their networks say of themselves; do not edit.

Each cfg is found by its name from anywhere: `darknet-py net cfg/yolov4.cfg`. The files are our own
writing of published architectures. Where Darknet ships a cfg of that name, ours makes the same
layers with the same options (`tests/test_cfgs.py` compares them one by one) and reads the same
weights; where both forks ship one, it is pjreddie's. `parameters` counts what training changes, so
not batch norm's statistics; BFLOPs are those of the convolutions, two for each multiplication.

**No weights are shipped.** `bytes` is the size of a whole `.weights` file with the 20 byte header
of today (older files have 16 bytes there): a file of another size is cut off, a web page, or of
another cfg. The letters say who offers trained weights of the name `NAME.weights`:

- **P**: `https://data.pjreddie.com/files/`; older tutorials give `https://pjreddie.com/media/files/`,
  which may answer with a web page instead.
- **A**: the releases of `https://github.com/AlexeyAB/darknet` (tags `darknet_yolo_v3_optimal`,
  `darknet_yolo_v4_pre`, `yolov4`).
- **G**: a Google Drive link in the README of `https://github.com/AlexeyAB/darknet`.
- **H**: `https://github.com/hank-ai/darknet`, linked from its issue 21.

`-` means that none is known to us. The addresses were collected in 2026, not all of them tried.
Weights of a beginning, such as `darknet53.conv.74` (P), `yolov4.conv.137` or `yolov4-tiny.conv.29`
(A), fill the layers before the one they name, to start a training from.
"""

WEIGHTS = {
    "P": (
        *("alexnet", "darknet", "tiny", "vgg-16", "extraction", "darknet19", "darknet19_448"),
        *("darknet53", "darknet53_448", "resnet18", "resnet34", "resnet50", "resnet101"),
        *("resnet152", "resnext50", "resnext101-32x4d", "resnext152-32x4d", "densenet201"),
        *("vgg-conv", "jnet-conv", "go", "yolov2", "yolov2-tiny"),
        *("yolov2-tiny-voc", "yolo9000", "yolov3", "yolov3-tiny", "yolov3-spp"),
        "yolov3-openimages",
    ),
    "A": (
        *("yolov4", "yolov4-tiny", "yolov4x-mish", "yolov4-csp", "yolov4-csp-swish"),
        *("yolov4-csp-x-swish", "yolov4-p5", "yolov4-p6"),
    ),
    "G": ("yolov3-tiny-prn", "enet-coco", "csresnext50-panet-spp"),
    "H": ("yolov7-tiny", "yolov7", "yolov7x"),
}
OTHER_FILES = {
    "yolov1": "P: `yolov1/yolov1.weights`",
    "yolov2-voc": "P: `yolo-voc.weights`",
    "rnn": "P: `grrm`, `shakespeare`, `tolstoy`, `kant`",
}

CLASSIC = """## What their authors count

Darknet never shipped these. Their figures are held against published ones; `parameters` leaves out
what the source does not count, and that is the whole difference:

- Darknet's convolutions without batch norm have biases. DenseNet-121 has 2752 of them and Xception
  23048 (on its depthwise convolutions) that their sources do not have.
- MobileNetV2 is counted without batch norm's scales and biases. The paper itself says 3.4 million.
- Xception's figure counts one multiply-add for each value that batch norm touches (0.02 of 8.38
  billion), ours does not.
- SqueezeNet's and Xception's papers give no multiply-adds; Xception's are from Zoph et al.,
  "Learning Transferable Architectures for Scalable Image Recognition", table 2.

All of them pad as Darknet does, the same on every side. TensorFlow, where some of the originals
were trained, pads only right and below where a stride of 2 meets an even size.

| cfg | parameters | published | multiply-adds | published | source |
|---|--:|--:|--:|--:|---|
"""


def page() -> str:
    """The whole page."""
    groups: dict[str, list[str]] = {"Detectors": [], "Classifiers": [], "Text": []}
    for name in NAMES:
        network = packaged_network(name)
        kind = "Detectors" if network.heads else "Classifiers"
        groups[kind if network.image.is_image else "Text"].append(name)
    parts = [HEAD]
    for title, names in groups.items():
        parts.append(f"## {title}\n\n{table(names)}")
    parts.append(CLASSIC + "".join(classic_rows()))
    return "\n".join(parts)


def table(names: list[str]) -> str:
    """The rows of these networks."""
    head = "| cfg | what | source | input | parameters | BFLOPs | bytes | weights |"
    return f"{head}\n|---|---|---|--:|--:|--:|--:|---|\n" + "".join(row(name) for name in names)


def row(name: str) -> str:
    """One network's row."""
    network = packaged_network(name)
    size = f"{network.image.width} x {network.image.height}" if network.image.height else "256"
    cells = (
        f"`{name}`",
        what(name),
        source(name),
        size,
        f"{trained(network):,}",
        f"{billions(network):.3f}" if billions(network) else "-",
        f"{20 + 4 * count_floats(network):,}",
        OTHER_FILES.get(name) or next((k for k, v in WEIGHTS.items() if name in v), "-"),
    )
    return f"| {' | '.join(cells)} |\n"


def header(name: str) -> str:
    """The cfg's comment as one line."""
    text = (CFG / f"{name}.cfg").read_text().split("\n\n", 1)[0]
    return " ".join(line.removeprefix("# ") for line in text.splitlines())


def what(name: str) -> str:
    """The header's first sentence."""
    return header(name).split(" Source: ")[0].rstrip(".")


def source(name: str) -> str:
    """The paper, or the page, as a link."""
    text = re.split(r"\. \d+ (?:x \d+|values)", header(name).split(" Source: ")[1])[0]
    paper = re.search(r"arXiv:([\d.]+)", text)
    if paper:
        return f"[{paper[0]}](https://arxiv.org/abs/{paper[1]})"
    return f"<{text}>" if text.startswith("https:") else text


def classic_rows() -> Iterator[str]:
    """What is published of the networks that Darknet never shipped."""
    for name, paper in PUBLISHED.items():
        ours = round(billions(packaged_network(name)) * 5e8)
        theirs = f"{paper.operations:,.0f}" if paper.operations else "-"
        figures = f"{published_parameters(name):,} | {paper.parameters:,.0f} | {ours:,} | {theirs}"
        yield f"| `{name}` | {figures} | {paper.source} |\n"


if __name__ == "__main__":
    OUTPUT.write_text(page())
    print(f"{OUTPUT}: {len(NAMES)} networks")

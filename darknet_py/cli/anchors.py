"""`detector calc_anchors`: anchors that fit the boxes of a data set."""

from __future__ import annotations

import json
from argparse import Namespace
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Argument, Command, Flag, file_name
from darknet_py.cli.flags import CAMERA, DETECTOR_ONLY, WINDOWS
from darknet_py.cli.inputs import write_text
from darknet_py.cli.model import resolve
from darknet_py.datafile import read_data
from darknet_py.errors import DarknetError

if TYPE_CHECKING:
    import numpy as np

BAD_LABELS = "bad_label.list"


def _calc_anchors(args: Namespace) -> int:
    import numpy as np

    from darknet_py.draw import draw_clusters
    from darknet_py.evaluation.kmeans import find_anchors
    from darknet_py.evaluation.lists import list_pictures
    from darknet_py.image import save_image

    size = (args.width, args.height)
    count = args.num_of_clusters
    print(f"\n num_of_clusters = {count}, width = {size[0]}, height = {size[1]} ")
    if min(size) < 1:
        raise DarknetError("-width and -height must be given: those of the network")
    data = read_data(resolve(args.data))
    pictures = list_pictures(data, "train")
    print(f" read labels from {len(pictures)} images ")
    boxes = _read_boxes(pictures)
    sides = boxes[:, 3:5] * np.array(size, np.float32)
    print("\n all loaded. \n\n calculating k-means++ ...")
    found = find_anchors(sides, count, np.random.default_rng(args.seed), args.runs)
    print(f"\n iterations = {found.iterations} \n")
    classes = max(data.number("classes", 1), int(boxes[:, 0].max()) + 1)
    counts = Counter(boxes[:, 0].astype(int).tolist())
    counters = ", ".join(str(counts[i]) for i in range(classes))
    print(f"\ncounters_per_class = {counters}")
    write_text(Path("counters_per_class.txt"), f"counters_per_class = {counters}")
    print(f"\n avg IoU = {found.average_iou * 100:2.2f} % ")
    anchors = ", ".join(_anchor(w, h, size[0]) for w, h in found.centres.tolist())
    write_text(Path("anchors.txt"), anchors)
    print(f"\nSaving anchors to the file: anchors.txt \nanchors = {anchors}")
    cloud = draw_clusters(sides, found.assignments, found.centres, size)
    save_image(cloud, "cloud.png")
    if args.out is not None:
        figures = {
            "anchors": found.centres.tolist(),
            "average_iou": found.average_iou,
            "iterations": found.iterations,
            "counters_per_class": [counts[i] for i in range(classes)],
        }
        write_text(Path(args.out), json.dumps(figures, indent=1) + "\n")
    return 0


def _anchor(width: float, height: float, network_width: int) -> str:
    if network_width > 32:
        return f"{width:3.0f},{height:3.0f}"
    return f"{width:2.4f},{height:2.4f}"


def _read_boxes(pictures: list[str]) -> np.ndarray:
    """The boxes of all pictures; C's lines on those that lie outside, which count all the same."""
    import numpy as np

    from darknet_py.evaluation.detection import find_labels
    from darknet_py.results import label_path

    parts, wrong, loaded = [], [], 0
    for picture in pictures:
        boxes = find_labels(picture)
        outside = ((boxes[:, 1:5] > 1) | (boxes[:, 1:5] <= 0)).any(1)
        for j in np.flatnonzero(outside).tolist():
            x, y, w, h = boxes[j, 1:5].tolist()
            wrong.append(
                f"Wrong label: {label_path(picture)} - j = {j}, x = {x:f}, y = {y:f}, "
                f"width = {w:f}, height = {h:f}"
            )
            print(f"\n\n{wrong[-1]} ")
        parts.append(boxes)
        loaded += len(boxes)
    if wrong:
        with open(BAD_LABELS, "a", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(f"{line}\n" for line in wrong)
    if not loaded:
        raise DarknetError("the label files hold no boxes")
    print(f"\r loaded \t image: {len(pictures)} \t box: {loaded}", end="")
    found = np.concatenate(parts)
    sizes = found[:, 3:5].min(1)
    return np.asarray(found[sizes > 0])  # an empty box has no IoU


OWN = (
    Flag("num_of_clusters", "how many anchors (default: 5)", int, 5),
    Flag("width", "the network's width", int, -1),
    Flag("height", "the network's height", int, -1),
    Flag("seed", "of the random start (default: another one each time)", int),
    Flag("runs", "how often to start; the best result counts (default: 1, as C)", int, 1),
    Flag("out", "a JSON file with the figures", file_name),
)
_NAMES = {flag.name for flag in OWN}
CALC_ANCHORS = Command(
    "detector calc_anchors",
    "Find anchors for the boxes of train= by k-means, as AlexeyAB's program does: prints them and "
    "their average IoU, writes anchors.txt, counters_per_class.txt and a picture, cloud.png.",
    (Argument("data", "the .data file: train= is the list of pictures, classes= how many"),),
    (
        *OWN,
        *(f for f in (*WINDOWS, *CAMERA, *DETECTOR_ONLY) if f.name not in _NAMES),
    ),
    _calc_anchors,
)

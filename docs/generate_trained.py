"""Compare converted models with their networks on real weights; write docs/trained.md.

The shared models run on the shared pictures, and yolov3, yolov4, yolov7 and the classifiers on the
weights and the input of their goldens, in every library; then the same models in 16 and 8 bits.
What was measured is kept in a file, so that a run can be stopped and taken up again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("DARKNET_PY_SHARED", ROOT.parent / "shared"))
sys.path[:0] = [str(ROOT), str(ROOT / "docs"), str(ROOT / "tests")]
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["DARKNET_PY_SHARED"] = str(SHARED)

OURS = re.compile(
    r"(yolov[347]|Gaussian|enet-coco|csresnext50-panet|tiny|darknet|resnet|resnext|densenet|vgg|"
    r"alexnet|extraction|strided|efficientnet|csdarknet|cspx|cifar)"
)
"""The goldens that are compared: the yolov3, v4 and v7 families and all classifiers."""
LOSSES = {"fp16, onnxruntime": "onnx", "fp16, OpenVINO": "openvino", "int8, OpenVINO": "int8"}
REMARK = """\
`yolov4-csp-x-swish-frozen` is more sensitive than 32 bits allow for: PyTorch itself, 32 bits
against 64, is off by 1.4e-4 there, and an input larger by one part in a million moves its outputs
by 1.2e-3."""
"""What was found out about the number above the tolerance."""
PICTURES = 40
"""Of a data set of its own: how many of its pictures a model runs on."""


def trained() -> Iterator[Path]:
    """The shared models' cfgs."""
    yield from sorted((SHARED / "models").glob("*/*.cfg"))


def pictures(cfg: Path) -> list[Path]:
    """What a shared model runs on: for the one of blood cells, pictures that it was not shown."""
    if cfg.stem.startswith("bccd"):
        folder = SHARED / "data" / "bccd"
        return [folder / line for line in (folder / "val.txt").read_text().split()][:PICTURES]
    return sorted((SHARED / "images").glob("*.jpg"))


def load(cfg: Path, weights: Path, dialect: str | None = None) -> Any:
    """The network with its weights."""
    from darknet_py import Network, load_weights

    network = Network.from_cfg(cfg, dialect, initialize=False)
    load_weights(network, weights)
    return network


def fitted(network: Any, paths: Sequence[Path]) -> Any:
    """The pictures as `detect` and `classify` give them to the network, in one batch."""
    import numpy as np

    from darknet_py.convert import Options
    from darknet_py.convert.describe import describe
    from darknet_py.pictures import fit_picture

    fit = describe(network, (), Options()).fit
    return np.concatenate([fit_picture(path, network.image, fit) for path in paths])


def exact(network: Any, inputs: Any, head: str = "boxes") -> dict[str, float | str]:
    """For each library the largest difference of any output."""
    from generate_conversions import Memory, opencv, openvino, openvino_file, reason

    from darknet_py.convert import Options, convert_network
    from darknet_py.convert.describe import describe
    from darknet_py.convert.verify import compare, open_runner, original_runner

    options = Options(verify=False, head=head, thresh=1.0)
    metadata = describe(network, (), options)
    original = Memory(original_runner(network, metadata))
    runners = {
        "onnxruntime": open_runner,
        "OpenVINO": openvino,
        "OpenCV 5": opencv,
        "OpenVINO's .xml": openvino_file,
    }
    found: dict[str, float | str] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = convert_network(network, "onnx", Path(folder) / "model.onnx", options=options)
        for name, runner in runners.items():
            original.place = 0
            try:
                run = runner(path, metadata)
                found[name] = compare(network, run, [inputs], metadata, original).largest
            except Exception as error:
                found[name] = reason(error)
    return found


def loss(cfg: Path, kind: str) -> dict[str, float | str]:
    """What 16 or 8 bits lose on pictures: outputs, objects or classes."""
    import numpy as np

    from darknet_py.classifier import Classifier
    from darknet_py.convert import Options, convert_network
    from darknet_py.convert.int8 import match
    from darknet_py.detector import Detector
    from darknet_py.pictures import read_picture
    from darknet_py.runtime.classifier import ModelClassifier
    from darknet_py.runtime.detector import ModelDetector

    network, paths = load(cfg, cfg.with_suffix(".weights")), pictures(cfg)
    with tempfile.TemporaryDirectory() as folder:
        seen = Path(folder, "calibration")
        seen.mkdir()
        for path in calibration(cfg):
            (seen / path.name).symlink_to(path)
        int8 = kind == "int8"
        options = Options(verify=False, half=not int8, int8=int8, calibration=str(seen))
        to = "onnx" if kind == "onnx" else "openvino"
        suffix = ".onnx" if kind == "onnx" else ".xml"
        model = convert_network(network, to, Path(folder, f"a{suffix}"), options=options)
        if not network.heads:
            a = Classifier(network).predict(paths)
            b = ModelClassifier.load(model).predict(paths)
            first = sum(int(x.argmax() == y.argmax()) for x, y in zip(a, b, strict=True))
            tops = [{*np.argsort(-p)[:5]} for p in (*a, *b)]
            five = sum(len(x & y) for x, y in zip(tops, tops[len(a) :], strict=False))
            return {
                "pictures": len(paths),
                "output": float(np.abs(a - b).max()),
                "kept": f"{first} of {len(a)} first classes, {five} of {5 * len(a)} of the five",
            }
        ours, theirs = Detector(network, thresh=0.25), ModelDetector.load(model, thresh=0.25)
        pairs: list[tuple[float, float]] = []
        expected = others = 0
        for path in paths:
            pixels = read_picture(path, network.image.channels)
            (a,), (b,) = ours.find([pixels]), theirs.find([pixels])
            same = match(a, b)
            pairs += same
            expected += int((a.scores > 0).sum())
            others += int((b.scores > 0).sum()) - len(same)
        runs = [finder_outputs(model, network, paths)]
        return {
            "pictures": len(paths),
            "output": max(runs),
            "kept": f"{len(pairs)} of {expected} objects, {others} new",
            "overlap": float(np.mean([p[0] for p in pairs])) if pairs else 0.0,
            "probability": float(np.max([p[1] for p in pairs])) if pairs else 0.0,
        }


def finder_outputs(model: Path, network: Any, paths: Sequence[Path]) -> float:
    """The largest difference of any value of boxes, scores and objectness."""
    from darknet_py.convert import Options
    from darknet_py.convert.describe import describe
    from darknet_py.convert.verify import largest_difference, original_runner
    from darknet_py.runtime import open_model

    run = original_runner(network, describe(network, (), Options()))
    inputs, converted = fitted(network, paths), open_model(model)
    worst = 0.0
    for x in inputs:
        for a, b in zip(run([x[None]]), converted.run(x[None]), strict=True):
            worst = max(worst, largest_difference(a, b))
    return worst


def calibration(cfg: Path) -> list[Path]:
    """The pictures that 8 bits are calibrated on."""
    if cfg.stem.startswith("bccd"):
        folder = SHARED / "data" / "bccd"
        return [folder / line for line in (folder / "train.txt").read_text().split()][:100]
    return pictures(cfg)


def jobs() -> Iterator[tuple[str, Any]]:
    """Every measurement: its key in the file, and the function that makes it."""
    from golden import generator, goldens

    for cfg in trained():

        def run_model(head: str, cfg: Path = cfg) -> dict[str, float | str]:
            network = load(cfg, cfg.with_suffix(".weights"))
            return exact(network, fitted(network, pictures(cfg)[:6]), head)

        for head in ("boxes", "raw"):
            yield f"exact/{cfg.stem}, -head {head}", lambda head=head, run=run_model: run(head)
        for name, kind in LOSSES.items():
            yield f"loss/{cfg.stem}/{name}", lambda cfg=cfg, kind=kind: loss(cfg, kind)
    for golden in sorted(goldens(), key=lambda golden: golden.size):
        if "extra" in golden.name or not OURS.search(golden.name.partition("/")[2]):
            continue

        def run_golden(golden: Any = golden) -> dict[str, float | str]:
            from darknet_py import load_weights

            network = golden.network()
            with tempfile.TemporaryDirectory() as folder:
                generator().write_weights(golden.json, Path(folder, "c.weights"))
                load_weights(network, Path(folder, "c.weights"))
            return exact(network, golden.input().numpy())

        yield f"exact/{golden.name}", run_golden


def page(results: dict[str, dict[str, float | str]]) -> str:
    """The text of docs/trained.md."""
    from generate_conversions import show

    lines = [
        "# Converted models on real weights",
        "",
        "Written by `docs/generate_trained.py`. The first table: outputs of the ONNX file (and the",
        "OpenVINO IR made of it), 32 bits, against those of the network in PyTorch. Trained models",
        "run on the six classic pictures (the one of blood cells on six of its validation set),",
        "the others on the weights and the input of their goldens, which hold what C computed. A",
        "number is the largest difference of any value of any output, over the value's size where",
        "that is above 1; the tolerance is 1e-4.",
        "",
    ]
    rows = {k.removeprefix("exact/"): row for k, row in results.items() if k.startswith("exact/")}
    columns = ["onnxruntime", "OpenVINO", "OpenCV 5", "OpenVINO's .xml"]
    lines += ["| | " + " | ".join(columns) + " |", "|---|" + "--:|" * len(columns)]
    notes: dict[str, int] = {}
    good = [
        sum(isinstance(row.get(c), float) and row[c] <= 1e-4 for row in rows.values())
        for c in columns
    ]
    lines.append("| **within 1e-4** | " + " | ".join(f"{n} of {len(rows)}" for n in good) + " |")
    for name, row in rows.items():
        lines.append(f"| {name} | {' | '.join(show(row.get(c, ''), notes) for c in columns)} |")
    lines += ["", *(f"{number}. {text}" for text, number in notes.items()), "", REMARK]
    lines += [
        "",
        "## What 16 and 8 bits lose",
        "",
        "The same pictures (of blood cells: 40), threshold 0.25. An object is found again if",
        "one of its class overlaps it by half or more. 8 bits are calibrated on the same six",
        "pictures, which is few; those of blood cells on 100 of its training set.",
        "",
        "| model | | pictures | largest difference of an output | found again | mean overlap | "
        "largest difference of a probability |",
        "|---|---|--:|--:|---|--:|--:|",
    ]
    for key, row in results.items():
        if not key.startswith("loss/"):
            continue
        _, name, kind = key.split("/")
        if "error" in row:
            lines.append(f"| {name} | {kind} | | | {row['error']} | | |")
            continue
        last = [f"{row[c]:.3f}" if c in row else "" for c in ("overlap", "probability")]
        cells = [name, kind, row["pictures"], f"{row['output']:.2g}", row["kept"], *last]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n"


def main(words: Sequence[str] | None = None) -> int:
    """Measure what is not measured yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=ROOT / ".trained.json")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--only", default="", help="only what has this in its key")
    args = parser.parse_args(words)
    import torch
    from generate_conversions import reason

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    results = json.loads(args.cache.read_text()) if args.cache.is_file() else {}
    end, order = time.monotonic() + args.seconds, []
    for key, run in jobs():
        order.append(key)
        if key in results or args.only not in key or time.monotonic() > end:
            continue
        try:
            results[key] = run()
        except Exception as error:
            results[key] = {"error": reason(error)}
        print(key, results[key], flush=True)
        args.cache.write_text(json.dumps(results, indent=1))
    results = {key: results[key] for key in order if key in results}
    (ROOT / "docs" / "trained.md").write_text(page(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

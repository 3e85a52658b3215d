"""Convert every cfg into every format and compare; write docs/conversions.md (`make conversions`).

Each cfg runs in a process of its own, with random weights that keep signals alive. What was
measured is kept in a file, so that a run can be stopped and taken up again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("DARKNET_PY_SHARED", ROOT.parent / "shared"))
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_NUM_THREADS", "1")

COLUMNS = {
    "onnx": "ONNX in onnxruntime",
    "onnx in openvino": "in OpenVINO",
    "onnx in opencv": "in OpenCV 5",
    "openvino": "OpenVINO IR",
    "safetensors": "safetensors",
    "torch": "state_dict",
    "exported": "torch.export",
    "weights": "back to .weights",
}


REMARKS = """\
- `darknet53_448_xnor` takes the signs of activations. Of the 19 million values behind its first
  layer one rounds to the other side of 0 in onnxruntime, and each layer makes more of it. In
  PyTorch alone an input larger by one part in a million moves the output by the same 1.1e-3.
- Noise is what the random weights are scaled for. On a picture they may run into values for which
  32 bits are too few: there `enet-coco` differs by 1.6e-3, while PyTorch itself, 32 bits against
  64, is off by 1.2e-4 before the boxes' exponentials, and with `yolov7x` by 3.0e-4. `convert`
  compares on a picture, too, which is right for trained weights and may refuse random ones."""
"""What was found out about numbers above the tolerance, or near to it."""


def cfgs() -> Iterator[tuple[str, Path, str]]:
    """(name, cfg, dialect) of the two forks' own networks."""
    for fork in ("pjreddie", "alexeyab"):
        for path in sorted((SHARED / "golden" / fork / "cfg").glob("*.cfg")):
            yield f"{fork}/{path.stem}", path, fork


def measure(path: Path, dialect: str, wanted: Sequence[str]) -> dict[str, float | str]:
    """For each column the largest difference, or why there is none."""
    import torch

    from darknet_py.network import Network

    torch.set_num_threads(1)
    network = Network.from_cfg(path, dialect)
    calibrate(network)
    results: dict[str, float | str] = {}
    with tempfile.TemporaryDirectory() as folder:
        of_onnx = [name for name in wanted if name.startswith(("onnx", "openvino"))]
        if of_onnx:
            results |= measure_onnx(network, Path(folder) / "model.onnx", of_onnx)
        for name in wanted:
            if name not in of_onnx:
                results[name] = measure_other(network, name, Path(folder))
    return results


def calibrate(network: object) -> None:
    """Random weights, scaled layer by layer so that outputs neither die nor explode."""
    import torch

    from darknet_py.layers.base import flat
    from darknet_py.layers.connected import Connected
    from darknet_py.layers.convolutional import Convolutional
    from darknet_py.memory import find_last_readers

    random = torch.Generator().manual_seed(1)

    def uniform(like: torch.Tensor, low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(like.shape, generator=random)

    def scale(layer: object, x: torch.Tensor) -> None:
        layer.biases.copy_(uniform(layer.biases, -0.2, 0.2))
        limit = (3 / layer.weights[0].numel()) ** 0.5
        layer.weights.copy_(uniform(layer.weights, -limit, limit))
        if isinstance(layer, Connected):
            y = torch.nn.functional.linear(flat(x), layer.weights)
        else:
            y = layer._convolve(x if x.dim() == 4 else x[:, :, None, None], layer.weights, None)
        spread = float(y.std()) if y.numel() > 1 else 1.0
        spread = spread if 0 < spread < float("inf") else 1.0
        if layer.normalizer is None:
            layer.weights.div_(spread)
            return
        norm = layer.normalizer
        norm.scales.copy_(uniform(norm.scales, 0.5, 1.5))
        norm.rolling_mean.copy_(uniform(norm.rolling_mean, -0.2 * spread, 0.2 * spread))
        norm.rolling_variance.copy_(uniform(norm.rolling_variance, 0.5, 1.5) * spread**2)

    with torch.no_grad():
        shape = network.image
        sides = (shape.height, shape.width) if shape.is_image else ()
        outputs = {-1: torch.rand(1, shape.channels, *sides, generator=random)}
        last_reader = find_last_readers(list(network))
        for layer in network:
            x = outputs[layer.sources[0]]
            if isinstance(layer, Connected) or (
                isinstance(layer, Convolutional) and layer.bank is layer
            ):
                scale(layer, x)
            outputs[layer.index] = layer(*(outputs[source] for source in layer.sources))
            for source in {layer.index, *layer.sources}:
                if last_reader.get(source, -1) <= layer.index:
                    outputs.pop(source, None)
    network.reset_state()


class Memory:
    """Runs a function once for each of a series of calls, and repeats the answers after that."""

    def __init__(self, run: Callable[[Sequence[object]], list[object]]) -> None:
        self.run, self.place, self.answers = run, 0, []

    def __call__(self, inputs: Sequence[object]) -> list[object]:
        """The answer to call `place`."""
        if self.place == len(self.answers):
            self.answers.append(self.run(inputs))
        self.place += 1
        return self.answers[self.place - 1]


def measure_onnx(network: object, path: Path, wanted: Sequence[str]) -> dict[str, float | str]:
    """The columns that come from ONNX: one file, run by three libraries."""
    import numpy as np

    from darknet_py.convert import Options, convert_network
    from darknet_py.convert.describe import describe
    from darknet_py.convert.verify import compare, open_runner, original_runner, sample_inputs

    runners = {
        "onnx": open_runner,
        "onnx in openvino": openvino,
        "onnx in opencv": opencv,
        "openvino": openvino_file,
    }
    options = Options(verify=False)
    try:
        convert_network(network, "onnx", path, options=options)
    except Exception as error:
        return dict.fromkeys((name for name in runners if name in wanted), reason(error))
    metadata = replace(describe(network, (), options), thresh=1.0)  # random boxes overlap all
    # Of batch 3; with random weights a picture's flat areas may give values beyond all measure.
    inputs = [
        np.concatenate([noise, noise[:1] / 2]) for noise in sample_inputs(network, options)[-1:]
    ]
    original = Memory(original_runner(network, metadata))
    results: dict[str, float | str] = {}
    for name, runner in runners.items():
        if name in wanted:
            try:
                original.place = 0
                run = runner(path, metadata)
                difference = compare(network, run, inputs, metadata, original)
                results[name] = difference.largest
            except Exception as error:
                results[name] = reason(error)
    return results


def openvino(path: Path, metadata: object) -> object:
    """A function that runs the ONNX file in OpenVINO, in 32 bits."""
    import numpy as np
    import openvino

    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(str(path), "CPU", hint)
    return lambda inputs: [np.array(value) for value in model(list(inputs)).values()]


def openvino_file(path: Path, metadata: object) -> object:
    """The same, of the .xml that OpenVINO makes of it, as `--to openvino` does."""
    import openvino as ov

    from darknet_py.convert.verify import open_runner

    ov.save_model(ov.Core().read_model(path), path.with_suffix(".xml"), compress_to_fp16=False)
    return open_runner(path.with_suffix(".xml"), metadata)


def opencv(path: Path, metadata: object) -> object:
    """A function that runs the ONNX file in OpenCV's dnn module."""
    import cv2

    network = cv2.dnn.readNetFromONNX(str(path))
    first = "images" if metadata.input[1] else "inputs"
    names = [*metadata.outputs, *(f"{name}_next" for name in metadata.states)]

    def run(inputs: Sequence[object]) -> list[object]:
        for name, value in zip((first, *metadata.states), inputs, strict=True):
            network.setInput(value, name)
        return [output.copy() for output in network.forward(names)]

    return run


def measure_other(network: object, name: str, folder: Path) -> float | str:
    """The largest difference that a format's own proof reports; 0 where all bits are equal."""
    from darknet_py.convert import Options, convert, convert_network, find_format
    from darknet_py.weights import save_weights

    lines: list[str] = []
    path = folder / f"other{find_format(name).suffix}"
    try:
        if name == "weights":  # there and back
            save_weights(network, folder / "before.weights")
            convert_network(network, "safetensors", folder / "there.safetensors", force=True)
            convert(folder / "there.safetensors", None, "weights", path)
            same = path.read_bytes() == (folder / "before.weights").read_bytes()
            return 0.0 if same else "comes back as other bytes"
        convert_network(network, name, path, force=True, options=Options(report=lines.append))
    except Exception as error:
        return reason(error)
    found = re.findall(r"difference (\S+) of values up to (\S+)", "\n".join(lines))
    return max((float(gap) / max(float(size), 1) for gap, size in found), default=0.0)


def reason(error: Exception) -> str:
    """An error as one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.replace("|", "/")[:160]


def table(results: dict[str, dict[str, float | str]]) -> str:
    """The page."""
    columns = [name for name in COLUMNS if any(name in row for row in results.values())]
    lines = [
        "# Every cfg in every format",
        "",
        "Written by `docs/generate_conversions.py`. Each network below, of those the two forks",
        "come with, was converted with random weights, and run on three samples of noise",
        "(recurrent networks: three steps). A number is the largest difference of any value of any",
        "output from the network in PyTorch, over the value's size where that is above 1; the",
        "tolerance is 1e-4. 0 means equal bit for bit. ONNX has the boxes of all heads as outputs.",
        "[trained.md](trained.md) has the same on trained weights and pictures.",
        "",
        "| | " + " | ".join(COLUMNS[name] for name in columns) + " |",
        "|---|" + "--:|" * len(columns),
    ]
    counts = []
    for column in columns:
        values = [row[column] for row in results.values() if column in row]
        good = sum(isinstance(value, float) and value <= 1e-4 for value in values)
        counts.append(f"{good} of {len(values)}")
    lines.append("| **verified** | " + " | ".join(counts) + " |")
    notes: dict[str, int] = {}
    for name, row in results.items():
        cells = [show(row.get(column, ""), notes) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", *(f"{number}. {text}" for text, number in notes.items())]
    lines += ["", REMARKS]
    return "\n".join(lines).rstrip() + "\n"


def show(value: float | str, notes: dict[str, int]) -> str:
    """A cell: a difference, or the number of the note that says why there is none."""
    if isinstance(value, str):
        value = re.sub(r"^\S+:\d+: (?=\[)", "", value)  # where in the cfg
        return f"no ({notes.setdefault(value, len(notes) + 1)})" if value else ""
    if value == 0:
        return "0"
    text = f"{value:.0e}"
    return text if value <= 1e-4 else f"**{text}**"


def main(words: Sequence[str] | None = None) -> int:
    """Measure what is not measured yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", default=",".join(COLUMNS))
    parser.add_argument("--names", default="", help="only these cfgs")
    parser.add_argument("--cache", type=Path, default=ROOT / ".conversions.json")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--again", action="store_true", help="measure anew")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args(words)
    columns = args.columns.split(",")
    if args.one:
        warnings.simplefilter("ignore")
        print(json.dumps(measure(Path(args.one[0]), args.one[1], columns)))
        return 0
    results = json.loads(args.cache.read_text()) if args.cache.is_file() else {}
    end = time.monotonic() + args.seconds
    for name, path, dialect in cfgs():
        if args.names and name.partition("/")[2] not in args.names.split(","):
            continue
        row = results.setdefault(name, {})
        missing = [column for column in columns if args.again or column not in row]
        if missing and time.monotonic() < end:
            row |= run_alone(path, dialect, missing)
            print(name, {k: v if isinstance(v, str) else f"{v:.1e}" for k, v in row.items()})
            args.cache.write_text(json.dumps(results, indent=1))
    every = [name for name, _, _ in cfgs()]
    results = {name: results[name] for name in every if results.get(name)}
    page = table(results)
    if len(results) < len(every):
        count = f"{len(results)} of {len(every)} cfgs"
        page += f"\nMeasured so far: {count}, and of those the filled cells.\n"
    (ROOT / "docs" / "conversions.md").write_text(page, encoding="utf-8")
    return 0


def run_alone(path: Path, dialect: str, columns: Sequence[str]) -> dict[str, float | str]:
    """`measure` in a process that may crash or take too long."""
    command = [sys.executable, __file__, "--one", str(path), dialect, "--columns"]
    run = partial(subprocess.run, capture_output=True, text=True, timeout=1200)
    try:
        done = run([*command, ",".join(columns)])
    except subprocess.TimeoutExpired:
        return dict.fromkeys(columns, "takes more than 20 minutes here")
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        if len(columns) > 1:
            return {k: v for c in columns for k, v in run_alone(path, dialect, [c]).items()}
        last = (done.stderr.strip().splitlines() or [f"ends with status {done.returncode}"])[-1]
        return dict.fromkeys(columns, f"the process died: {last[:120]}")
    found: dict[str, float | str] = json.loads(lines[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())

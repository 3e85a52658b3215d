"""The networks of the benchmark, and files of each that every rival reads."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from darknet_py.convert import Options, convert_network
from darknet_py.image import load_image
from darknet_py.network import Network
from darknet_py.pictures import fit_picture
from darknet_py.weights import load_weights, save_weights

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("DARKNET_PY_SHARED", ROOT.parent / "shared"))
PICTURE = ROOT / "data" / "signs.jpg"
SEED = 20180408


@dataclass(frozen=True)
class Row:
    """A network and the side of its pictures; `size` 0: as the cfg says."""

    name: str
    cfg: str
    size: int = 0


ROWS = (
    Row("tiny", "tiny"),
    Row("darknet53", "darknet53"),
    Row("resnet50", "resnet50"),
    Row("densenet201", "densenet201"),
    Row("yolov2-tiny", "yolov2-tiny"),
    Row("yolov3-tiny", "yolov3-tiny"),
    Row("yolov3@416", "yolov3", 416),
    Row("yolov4-tiny", "yolov4-tiny"),
    Row("yolov4@416", "yolov4", 416),
    Row("yolov4@608", "yolov4", 608),
    Row("yolov7-tiny", "yolov7-tiny", 416),
    Row("enet-coco", "enet-coco"),
    Row("yolo-fastest", "yolo-fastest-1.1"),
)


class Missing(Exception):
    """A file that a row needs is not here; the text says which."""


def find_cfg(row: Row) -> Path:
    """The row's cfg: the project's, or one of the shared models.

    Raises:
        Missing: there is none.
    """
    places = (ROOT / "cfg", SHARED / "models" / row.cfg)
    for folder in places:
        if (folder / f"{row.cfg}.cfg").is_file():
            return folder / f"{row.cfg}.cfg"
    raise Missing(f"{row.cfg}.cfg is in none of {', '.join(map(str, places))}")


def make_files(row: Row, folder: Path, *, onnx: bool = False) -> dict[str, Any]:
    """Cfg, weights and picture of a row, and its ONNX, made where they are not in `folder` yet.

    Raises:
        Missing: there is no cfg.
    """
    folder = folder / row.name.replace("@", "-")
    folder.mkdir(parents=True, exist_ok=True)
    source = find_cfg(row)
    cfg, weights = folder / f"{row.cfg}.cfg", folder / f"{row.cfg}.weights"
    cfg.write_text(_fixed(source.read_text(encoding="utf-8"), row.size, 1), encoding="utf-8")
    network = Network.from_cfg(cfg, initialize=False)
    shape = network.image
    picture, eight = folder / "picture.npy", folder / "cfg8"
    inputs = fit_picture(load_image(PICTURE), shape, "squash")
    np.save(picture, inputs)
    given = source.with_suffix(".weights")
    golden = SHARED / "golden" / network.dialect.name / f"{row.cfg}.json"
    if given.is_file():
        weights = given
    elif not weights.is_file():
        made = weights.with_suffix(".part")
        if golden.is_file():
            _golden_weights(golden, made)
        else:
            calibrate(network, torch.from_numpy(inputs))
            save_weights(network, made)
        made.replace(weights)
    load_weights(network, weights)
    expected = folder / "expected.npz"
    wanted = [head.index for head in network.heads] or [network.output_index]
    with torch.inference_mode():
        outputs = network.run(torch.from_numpy(inputs), wanted)
    np.savez(expected, *[output.numpy() for output in outputs])
    model, reason = folder / f"{row.cfg}.onnx", ""
    if onnx and not model.is_file():
        try:
            options = Options(head="raw", verify=False)
            convert_network(network, "onnx", model, options=options)
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
    eight.mkdir(exist_ok=True)
    batched = eight / cfg.name
    batched.write_text(_fixed(source.read_text(encoding="utf-8"), row.size, 8), encoding="utf-8")
    return {
        "cfg": str(cfg),
        "cfg8": str(batched),
        "weights": str(weights),
        "onnx": str(model),
        "no_onnx": reason,
        "picture": str(picture),
        "expected": str(expected),
        "dialect": network.dialect.name,
        "boxes": bool(network.heads),
        "shape": [shape.channels, shape.height, shape.width],
        "operations": sum(layer.operations for layer in network),
    }


def _fixed(text: str, size: int, batch: int) -> str:
    """A cfg's text for a size and batch; OpenCV and C take them from it."""
    begin = re.search(r"(?m)^\s*\[.*\n", text)
    assert begin is not None
    after = re.search(r"(?m)^\s*\[", text[begin.end() :])
    end = begin.end() + (after.start() if after else 0)
    drop = "batch|subdivisions" + ("|width|height" if size else "")
    options = re.sub(rf"(?m)^\s*({drop})\s*=.*\n?", "", text[begin.end() : end])
    lines = ["[net]", f"batch={batch}", "subdivisions=1"]
    lines += [f"width={size}", f"height={size}"] if size else []
    return "\n".join([*lines, options, text[end:]])


def _golden_weights(golden: Path, path: Path) -> None:
    spec = importlib.util.spec_from_file_location("generate", golden.parents[1] / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.write_weights(json.loads(golden.read_text(encoding="utf-8")), path)


@torch.no_grad()
def calibrate(network: Network, picture: torch.Tensor) -> None:
    """Random weights, the same every time, that keep every layer's output near a deviation of 1.

    Each layer with batch norm gets the variance that its sums have on `picture`; in the others the
    weights are divided by the deviation.
    """
    outputs = {-1: picture}
    for layer in network:
        inputs = [outputs[source] for source in layer.sources]
        random = torch.Generator().manual_seed(SEED + layer.index)
        arrays = dict(layer.arrays())
        for name, tensor in arrays.items():
            _fill(name, tensor, random)
        weights, variance = arrays.get("weights"), arrays.get("rolling_variance")
        if weights is not None and hasattr(layer, "activation"):
            activation, biases = layer.activation, arrays["biases"].clone()
            vars(layer)["activation"] = torch.nn.Identity()
            arrays["biases"].zero_()
            spread = layer(*inputs).std().item() or 1.0
            if variance is not None:
                variance.mul_(spread**2)
            else:
                weights.div_(spread)
            arrays["biases"].copy_(biases)
            vars(layer)["activation"] = activation
        outputs[layer.index] = layer(*inputs)


def _fill(name: str, tensor: torch.Tensor, random: torch.Generator) -> None:
    values = torch.rand(tensor.shape, generator=random)
    kind = name.rpartition(".")[2]
    if kind == "scales":
        tensor.copy_(values + 0.5)
    elif kind == "rolling_variance":
        tensor.fill_(1.0)
    elif kind == "rolling_mean":
        tensor.zero_()
    elif kind == "biases":
        tensor.copy_((2 * values - 1) * 0.2)
    else:
        fan_in = max(tensor[0].numel(), 1)
        tensor.copy_((2 * values - 1) * (3.0 / fan_in) ** 0.5)

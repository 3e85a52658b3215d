"""ONNX: the graph that PyTorch's exporter makes of a network, with names and metadata."""

from __future__ import annotations

import contextlib
import logging
import math
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from darknet_py.convert.describe import state_names
from darknet_py.convert.extras import extra
from darknet_py.convert.nms import add_nms
from darknet_py.convert.program import Program, first_states, fold
from darknet_py.errors import DarknetError, DarknetWarning
from darknet_py.named import array_names
from darknet_py.network import Network

if TYPE_CHECKING:
    from darknet_py.convert import Options
    from darknet_py.metadata import Metadata

OPSET = 18
LARGEST = 2**31 - 2**24
"""Above this many bytes of weights they go to a file beside the model: protobuf's limit is 2 GB."""


def write(network: Network, metadata: Metadata, path: Path, options: Options) -> None:
    """Write `network` as ONNX; with `int8` as one whose convolutions compute with 8 bits.

    Raises:
        DarknetError: the network holds what ONNX cannot, or there are no pictures to calibrate on.
    """
    if options.int8:
        _write_int8(network, metadata, path, options)
        return
    extra("onnx")
    extra("onnxscript", "onnx")
    ir = extra("onnx_ir", "onnx")
    _check(network, metadata)
    program = Program(
        fold(network, keep_batchnorm=options.keep_batchnorm),
        metadata.head,
        half=options.half,
    )
    model = export(program, metadata, options)
    if metadata.head == "nms":
        add_nms(ir, model, metadata)
    if options.keep_batchnorm and not options.half:
        _keep_arrays(ir, model, network)
    model.producer_name, model.producer_version = "darknet-py", metadata.version
    model.metadata_props.update(metadata.to_dict())
    size = sum(value.const_value.nbytes for value in model.graph.initializers.values())
    if size > LARGEST:
        ir.save(model, path, external_data=f"{path.name}.data")
    else:
        ir.save(model, path)


def _write_int8(network: Network, metadata: Metadata, path: Path, options: Options) -> None:
    from darknet_py.convert.int8 import check, find_pictures, report_loss
    from darknet_py.convert.int8_onnx import quantize

    if options.half:
        raise DarknetError(f"{path.name}: half and int8 exclude each other")
    check(metadata)
    pictures = find_pictures(options.calibration)
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / "model.onnx"
        plain = replace(options, int8=False)
        write(network, replace(metadata, precision="fp32"), original, plain)
        quantize(original, path, metadata, pictures)
        report_loss(original, path, pictures, options.report)


def export(program: Program, metadata: Metadata, options: Options) -> Any:
    """The graph of `program`, an `onnx_ir.Model`; its outputs are those of `--head boxes`.

    Raises:
        DarknetError: PyTorch cannot express it.
    """
    network = program.network
    shape = network.image
    sides = (shape.height, shape.width) if shape.is_image else ()
    inputs = torch.zeros(2, shape.channels, *sides)
    states = first_states(network, inputs.half() if options.half else inputs)
    states = [state.float() for state in states]
    batch = torch.export.Dim("batch", min=1)
    axes: dict[int, Any] = {0: batch}
    if options.dynamic_size:
        axes |= _free_sides(network)
    names = ["images" if shape.is_image else "inputs", *metadata.states]
    head = ("boxes", "scores", "objectness") if metadata.head == "nms" else metadata.outputs
    with _quiet():
        try:
            exported = torch.onnx.export(
                program,
                (inputs, *states),
                dynamo=True,
                opset_version=OPSET,
                input_names=names,
                output_names=[*head, *(f"{name}_next" for name in metadata.states)],
                dynamic_shapes=(axes, *([tuple({0: batch} for _ in states)] if states else [])),
                optimize=not options.keep_batchnorm,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = " ".join(str(error.__cause__ or error).split())[:300]
            raise DarknetError(f"{metadata.cfg_path}: ONNX cannot hold it: {reason}") from None
    assert exported is not None
    model = exported.model
    first_axes: Any = model.graph.inputs[0].shape
    if isinstance(first_axes[0], int):
        raise DarknetError(f"{metadata.cfg_path}: PyTorch's exporter does not keep the batch open")
    _rename(model, network)
    return model


def _check(network: Network, metadata: Metadata) -> None:
    if metadata.head == "nms" and metadata.tree:
        raise DarknetError(
            f"{metadata.cfg_path}: --head nms cannot walk down a class tree: take boxes or raw"
        )
    if metadata.states and metadata.head == "nms":
        raise DarknetError(f"{metadata.cfg_path}: --head nms is not for recurrent networks")
    if metadata.head == "nms" and metadata.nms_kind in ("greedynms", "diounms"):
        message = (
            f"{metadata.cfg_path}: nms_kind={metadata.nms_kind} lets boxes whose centres lie apart "
            "overlap more; --head nms compares the plain IoU, and may keep fewer"
        )
        warnings.warn(message, DarknetWarning, stacklevel=2)


def _free_sides(network: Network) -> dict[int, Any]:
    """Height and width as multiples of the network's stride."""
    shape = network.image
    if not shape.is_image:
        raise DarknetError(f"{network.sections[0].path}: takes plain vectors: it has no size")
    images = [layer.out_shape for layer in network if layer.out_shape.height > 1]
    strides = [(shape.height // o.height, shape.width // o.width) for o in images]
    down, across = (math.lcm(*(max(pair[i], 1) for pair in strides)) for i in (0, 1))
    return {2: down * torch.export.Dim("rows"), 3: across * torch.export.Dim("columns")}


def _rename(model: Any, network: Network) -> None:
    """Name the weights as in every other format: `layers.12.convolutional.weights`."""
    for name, value in list(model.graph.initializers.items()):
        words = name.removeprefix("network.").split(".")
        if words[0] != "layers" or len(words) < 3 or not words[1].isdigit():
            continue
        kind = network[int(words[1])].section.type
        rest = [word.removeprefix("fixed_") for word in words[2:]]
        rest = [word for word in rest if word not in ("normalizer", "parts")]
        value.name = ".".join(["layers", words[1], kind, *rest])


def _keep_arrays(ir: Any, model: Any, network: Network) -> None:
    """Add what the .weights file has and no output depends on, so that all of it can go back."""
    graph = model.graph
    for name, array in array_names(network).items():
        tensor = array.detach()
        value = graph.initializers.get(name)
        if value is not None:
            found = torch.from_numpy(value.const_value.numpy().copy()).reshape(-1)
            if torch.equal(found.view(torch.int32), tensor.reshape(-1).view(torch.int32)):
                continue
            value.name = f"{name}.used"  # such as the signs of the weights
        data = ir.tensor(tensor.numpy(), name=name)
        kept = ir.Value(name=name, const_value=data)
        kept.shape, kept.dtype = ir.Shape(tensor.shape), ir.DataType.FLOAT
        graph.register_initializer(kept)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings and log lines."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


__all__ = ["export", "state_names", "write"]

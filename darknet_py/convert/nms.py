"""Non-maximum suppression inside an ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from darknet_py.metadata import Metadata


def add_nms(ir: Any, model: Any, metadata: Metadata) -> None:
    """Put the standard NonMaxSuppression behind boxes and scores, in place.

    The outputs become those of the k boxes kept, over all samples and classes: `boxes` (k, 4)
    cxcywh, `scores` (k), `class_ids` (k) and `batch_ids` (k). A box that is kept for two classes
    stands there twice.

    Args:
        ir: the module onnx_ir.
        model: whose outputs are boxes, scores and objectness.
        metadata: its `thresh` and `nms` are built in.
    """
    graph = model.graph
    boxes, scores = graph.outputs[:2]
    boxes.name, scores.name = "candidate_boxes", "candidate_scores"

    def constant(name: str, value: np.ndarray) -> Any:
        made = ir.Value(name=name, const_value=ir.tensor(value, name=name))
        made.shape, made.dtype = ir.Shape(value.shape), ir.DataType.from_numpy(value.dtype)
        graph.register_initializer(made)
        return made

    def node(kind: str, *inputs: Any, **attributes: Any) -> Any:
        made = ir.node(kind, list(inputs), attributes)
        graph.append(made)
        return made.outputs[0]

    by_class = node("Transpose", scores, perm=[0, 2, 1])
    kept = node(
        "NonMaxSuppression",
        boxes,
        by_class,
        constant("nms_most_boxes_per_class", np.array([2**31 - 1], np.int64)),
        constant("nms_iou_threshold", np.array([metadata.nms], np.float32)),
        constant("nms_score_threshold", np.array([metadata.thresh], np.float32)),
        center_point_box=1,
    )
    columns = constant("nms_batch_and_box", np.array([0, 2], np.int64))
    outputs = {
        "boxes": node("GatherND", boxes, node("Gather", kept, columns, axis=1)),
        "scores": node("GatherND", by_class, kept),
        "class_ids": node("Gather", kept, constant("nms_class", np.array(1, np.int64)), axis=1),
        "batch_ids": node("Gather", kept, constant("nms_batch", np.array(0, np.int64)), axis=1),
    }
    graph.outputs.clear()
    for name, value in outputs.items():
        floats = name in ("boxes", "scores")
        value.name = name
        value.dtype = ir.DataType.FLOAT if floats else ir.DataType.INT64
        value.shape = ir.Shape(["kept", 4] if name == "boxes" else ["kept"])
        graph.outputs.append(value)

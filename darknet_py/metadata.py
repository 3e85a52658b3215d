"""What a converted model says of itself: all that a run without cfg and names needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from darknet_py.errors import DarknetError

PREFIX = "darknet_"
"""What the keys start with, so that they stand apart from those of other programs."""

Objectness = Literal["above", "zeroed", "ones", "kept"]
"""Which candidates count as boxes: those whose objectness is above the threshold ([yolo],
[Gaussian_yolo]); all, it being 0 below the threshold (pjreddie's [region]); all, it being 1
(AlexeyAB's [region]); all, with it as it is ([detection])."""


@dataclass(frozen=True)
class Metadata:
    """What a converted model carries beside its weights, as text under `darknet_...` keys."""

    task: Literal["detect", "classify", "other"]
    cfg: str
    """The text of the cfg."""
    cfg_path: str
    """The name it had, for messages."""
    dialect: Literal["pjreddie", "alexeyab"]
    names: tuple[str, ...]
    """The classes' names, in order."""
    version: str
    """Of darknet-py."""
    weights_header: tuple[int, int, int, int]
    """Major, minor, revision and seen of the weights file."""
    input: tuple[int, int, int]
    """Channels, height and width; height and width are 0 for a plain vector."""
    fit: Literal["letterbox", "crop", "squash"]
    """How a picture becomes the input; "squash" stretches it. docs/images.md."""
    head: Literal["raw", "boxes", "nms"]
    """What the outputs hold."""
    outputs: tuple[str, ...]
    """Their names, in order."""
    states: tuple[str, ...] = ()
    """The names of a recurrent network's state, in order: inputs, and with `_next` outputs."""
    thresh: float = 0.5
    nms: float = 0.45
    hier: float = 0.5
    nms_kind: str = "default"
    beta_nms: float = 0.6
    objectness: Objectness = "above"
    """Which candidates count as boxes."""
    anchors: tuple[tuple[float, ...], ...] = ()
    """For each head the anchors it uses, width and height in turn, in the cfg's unit."""
    tree: tuple[int, ...] = ()
    """The parent of each class, -1 at the top; empty without a class tree."""
    files: tuple[tuple[str, str], ...] = ()
    """Name and text of each file that the cfg names (tree, map)."""
    folded: bool = True
    """Whether batch norm was folded into the weights: then they cannot go back to Darknet."""
    precision: Literal["fp32", "fp16", "int8"] = "fp32"

    def to_dict(self) -> dict[str, str]:
        """Keys and texts: strings as they are, all else as JSON."""
        return {
            PREFIX + name: value if isinstance(value, str) else json.dumps(value)
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, texts: Mapping[str, str], path: str = "the model") -> Metadata:
        """The metadata of a model that `to_dict` went into.

        Args:
            texts: keys and texts; those of other programs are passed over.
            path: the model's name, for the message.

        Raises:
            DarknetError: they are not there, or not whole.
        """
        values: dict[str, Any] = {}
        for f in fields(cls):
            text = texts.get(PREFIX + f.name)
            if text is None:
                continue
            if f.type in _TEXTS:
                values[f.name] = text
                continue
            try:
                values[f.name] = _frozen(json.loads(text))
            except ValueError:
                raise DarknetError(f"{path}: its metadata {PREFIX}{f.name} is damaged") from None
        try:
            return cls(**values)
        except TypeError:
            raise DarknetError(
                f"{path}: carries no metadata of darknet-py: was it made by darknet-py convert?"
            ) from None


_TEXTS = {f.type for f in fields(Metadata) if f.type in ("str", "Objectness")} | {
    f.type for f in fields(Metadata) if str(f.type).startswith("Literal")
}
"""The annotations of the fields that are text."""


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value

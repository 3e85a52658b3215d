"""A Darknet network: built from a cfg, run layer by layer."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, BinaryIO, TextIO, cast

import torch
from torch import Tensor, nn

from darknet_py.activations import ALEXEYAB_ACTIVATIONS
from darknet_py.augment import AugmentOptions
from darknet_py.cfg import Section, read_cfg
from darknet_py.dialect import ALEXEYAB, PJREDDIE, Dialect, get_dialect
from darknet_py.errors import CfgError, DarknetError
from darknet_py.filling import take_memory
from darknet_py.layers import ALEXEYAB_SECTIONS, SECTIONS, Budget, Head, Layer, Shape, Site
from darknet_py.memory import find_last_readers, find_memory_limit, find_peak
from darknet_py.net_options import NetOptions
from darknet_py.options import keys, parse_options
from darknet_py.schedule import ScheduleOptions


class Network(nn.Module):
    """The layers of a cfg, in order.

    `network(x)` gives every layer's output; `network.run(x, wanted)` only some, freeing the rest
    as it goes. `x` is `(batch, channels, height, width)`, RGB from 0 to 1, or `(batch, inputs)`.
    """

    layers: nn.ModuleList

    def __init__(
        self,
        sections: Sequence[Section],
        dialect: str | Dialect | None = None,
        *,
        memory_limit: int | None = None,
        initialize: bool = True,
    ) -> None:
        """Build the layers; no memory is taken before the whole cfg is found sound.

        Args:
            sections: as `cfg.read_cfg` gives them.
            dialect: "pjreddie" or "alexeyab"; None: found from the cfg (`find_dialect`).
            memory_limit: bytes that arrays and live outputs may need for one image.
            initialize: give the weights C's random starting values; False leaves them unset,
                for a caller who loads a whole file.

        Raises:
            CfgError: the cfg is wrong, or the network is larger than the limit.
        """
        super().__init__()
        self.sections = tuple(sections)
        self.dialect = find_dialect(sections) if dialect is None else get_dialect(dialect)
        head, *rest = sections
        self.net = parse_options(NetOptions, head, self.dialect, ScheduleOptions, AugmentOptions)
        self.image = self.net.image(head)
        self.version: tuple[int, int, int] = self.dialect.version
        self.seen = 0
        if not rest:
            raise head.error("the cfg holds no layer after this section")
        budget = Budget(find_memory_limit() if memory_limit is None else memory_limit)
        self.memory_limit = budget.limit
        with torch.device("meta"):
            layers = self._build(rest, budget)
        self.layers = nn.ModuleList(layers)
        budget.take(head, find_peak(layers, self.image))
        self.to_empty(device="cpu")
        for layer in layers:
            layer.reset_state()
        self.initialized = initialize
        if initialize:
            self.initialize()
        self.eval()

    @classmethod
    def from_cfg(
        cls,
        source: str | os.PathLike[str] | TextIO | BinaryIO,
        dialect: str | Dialect | None = None,
        *,
        memory_limit: int | None = None,
        initialize: bool = True,
    ) -> Network:
        """The network of a .cfg file, given by its path or as an open file; see `Network`."""
        sections = read_cfg(source)
        return cls(sections, dialect, memory_limit=memory_limit, initialize=initialize)

    @classmethod
    def from_safetensors(
        cls, path: str | os.PathLike[str], *, memory_limit: int | None = None
    ) -> Network:
        """The network of a .safetensors file of darknet-py: cfg, dialect and weights are in it.

        Raises:
            WeightsError: the file is no such file, or is damaged.
        """
        from darknet_py.named import read_network

        return read_network(path, memory_limit=memory_limit)

    def _build(self, sections: Iterable[Section], budget: Budget) -> list[Layer]:
        layers: list[Layer] = []
        for index, section in enumerate(sections):
            layer_type = find_section(section)
            site = Site(
                section,
                index,
                layers,
                self.image,
                self.dialect,
                budget,
                max(self.net.time_steps, 1),
            )
            layer = layer_type(parse_options(layer_type.Options, section, self.dialect), site)
            layer.resize(*(site.shape(source) for source in layer.sources))
            if (layer.out_shape.size + layer.work) * 4 > budget.limit:
                budget.take(section, layer.out_shape.size + layer.work)
            layers.append(layer)
        return layers

    def to_empty(self, *, device: Any, recurse: bool = True) -> Network:
        """Move to `device` without values; torch's own imports sympy, half a second of start."""

        def empty(tensor: Tensor) -> Tensor:
            return take_memory(tensor, device)

        return cast("Network", super()._apply(empty, recurse))  # type: ignore[no-untyped-call]

    def __iter__(self) -> Iterator[Layer]:
        """The layers, typed."""
        return iter(cast("Iterable[Layer]", self.layers))

    def __len__(self) -> int:
        """How many layers there are."""
        return len(self.layers)

    def __getitem__(self, index: int) -> Layer:
        """Layer `index`."""
        return cast("Layer", self.layers[index])

    def forward(self, x: Tensor) -> list[Tensor]:
        """Every layer's output, in order.

        Raises:
            DarknetError: `x` is not of the network's channels, or inputs.
        """
        self.check_input(x)
        outputs: list[Tensor] = []
        for layer in self:
            outputs.append(layer(*(x if i < 0 else outputs[i] for i in layer.sources)))
        return outputs

    def run(self, x: Tensor, wanted: Iterable[int] | None = None) -> list[Tensor]:
        """The outputs of the layers `wanted` (None: the last that is no [cost]), in that order.

        A negative number counts back from the end. Each other output is freed after its last
        reader; the layers behind the last one wanted do not run.

        Raises:
            DarknetError: `x` is not of the network's channels, or inputs.
        """
        self.check_input(x)
        numbers = range(len(self))
        wanted = [self.output_index] if wanted is None else [numbers[i] for i in wanted]
        layers = list(self)[: max(wanted, default=-1) + 1]
        last_reader = find_last_readers(layers)
        outputs: dict[int, Tensor] = {-1: x}
        for index, layer in enumerate(layers):
            outputs[index] = layer(*(outputs[i] for i in layer.sources))
            for source in {index, *layer.sources}:
                if last_reader.get(source, -1) <= index and source not in wanted:
                    del outputs[source]
        return [outputs[index] for index in wanted]

    def check_input(self, x: Tensor) -> None:
        """Check that `x` is a batch of what the network takes.

        Raises:
            DarknetError: it is not.
        """
        dimensions = 4 if self.image.is_image else 2
        if x.dim() != dimensions or x.shape[1] != self.image.channels:
            sides = ", height, width" if self.image.is_image else ""
            raise DarknetError(
                f"the network's input must be (batch, {self.image.channels}{sides}), "
                f"got {tuple(x.shape)}"
            )

    @property
    def output_index(self) -> int:
        """The last layer that is no [cost]: its output is the network's (C: get_network_output)."""
        return max((i for i, layer in enumerate(self) if layer.section.type != "cost"), default=0)

    @cached_property
    def heads(self) -> list[Head]:
        """The layers whose outputs are boxes, in cfg order."""
        return [layer for layer in self if isinstance(layer, Head)]

    def resize(self, height: int, width: int) -> None:
        """Take images of another size from now on (C: network.c:resize_network).

        Raises:
            CfgError: a layer cannot take what it would get, or the network would be larger than
                the limit; it keeps its size.
        """
        before = self.image
        if not before.is_image:
            raise DarknetError("the network takes plain vectors: it cannot be resized")
        arrays = sum(tensor.numel() for tensor in self.parameters())
        try:
            self._resize(Shape(before.channels, height, width))
            peak = find_peak(list(self), self.image)
            Budget(self.memory_limit, 4 * arrays).take(self.sections[0], peak)
        except CfgError:
            self._resize(before)
            raise

    def _resize(self, image: Shape) -> None:
        if not image.is_image:
            raise DarknetError(
                f"height and width must be at least 1, got {image.height} and {image.width}"
            )
        self.image = image
        shapes = {-1: image}
        for index, layer in enumerate(self):
            layer.resize(*(shapes[source] for source in layer.sources))
            shapes[index] = layer.out_shape

    def initialize(self, first: int = 0) -> None:
        """Give the layers from `first` on their starting values: random weights, as C does."""
        for layer in list(self)[first:]:
            layer.initialize()

    def arrays(self) -> Iterator[tuple[int, str, Tensor]]:
        """(layer index, name, tensor) of everything a whole .weights file holds, in file order."""
        for index, layer in enumerate(self):
            for name, tensor in layer.arrays():
                yield index, name, tensor

    def get_extra_state(self) -> dict[str, str]:
        """What `state_dict()` holds beside the arrays: the cfg and the weights file's header."""
        from darknet_py.named import describe

        return describe(self)

    def set_extra_state(self, state: dict[str, str]) -> None:
        """Take the header; `load_state_dict` calls this."""
        from darknet_py.named import read_header

        *version, self.seen = read_header(state)
        self.version = (version[0], version[1], version[2])

    def reset_state(self) -> None:
        """Forget what recurrent layers remember."""
        for layer in self:
            layer.reset_state()


def find_section(section: Section) -> type[Layer]:
    """The layer that a section makes.

    Raises:
        CfgError: no fork knows it. PARITY: C prints "Type not recognized" and then crashes.
    """
    if section.type in SECTIONS:
        return SECTIONS[section.type]
    close = difflib.get_close_matches(section.type, SECTIONS, n=1)
    hint = f"; did you mean [{close[0]}]?" if close else ""
    raise section.error(f"unknown section{hint}")


def find_dialect(sections: Sequence[Section]) -> Dialect:
    """AlexeyAB's, where it alone reads a section, key or activation; else pjreddie's."""
    for number, section in enumerate(sections):
        activation = section.options.get("activation")
        if section.type in ALEXEYAB_SECTIONS or (
            activation is not None and activation.value in ALEXEYAB_ACTIVATIONS
        ):
            return ALEXEYAB
        schemas: tuple[type, ...] = (NetOptions, ScheduleOptions, AugmentOptions)
        if number:
            schemas = (find_section(section).Options,)
        known = {name: f for schema in schemas for name, f in keys(schema).items()}
        given = [known[name].metadata for name in section.options if name in known]
        if any(data["only"] == "alexeyab" and data["decisive"] for data in given):
            return ALEXEYAB
    return PJREDDIE

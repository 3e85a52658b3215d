"""What a data set is made from: the network's keys, the .data file and what it names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darknet_py.augment import AugmentOptions
from darknet_py.augmentation.views import ViewOptions
from darknet_py.augmentation.windows import WindowOptions
from darknet_py.bad_list import BadList
from darknet_py.datafile import DataFile, Tree, read_list, read_names, read_tree
from darknet_py.datasets.base import Form
from darknet_py.datasets.classification import Mixing
from darknet_py.datasets.pictures import Pictures
from darknet_py.errors import DataError
from darknet_py.options import read_options
from darknet_py.schedule import ScheduleOptions

if TYPE_CHECKING:
    from darknet_py.network import Network


@dataclass
class Blueprint:
    """All that is known when a data set is made; its methods give the arguments."""

    network: Network
    data: DataFile | str | Path
    seed: int
    bad: BadList
    memory: int

    def __post_init__(self) -> None:
        network = self.network
        net, first = network.net, network.sections[0]
        subdivisions = max(net.subdivisions, 1)
        steps = max(net.time_steps, 1)
        self.dialect = network.dialect
        self.streams = max(net.batch // subdivisions, 1)
        image = network.image
        self.form = Form(
            self.streams * steps, subdivisions, image.channels, image.height, image.width, steps
        )
        self.options = read_options(AugmentOptions, first, self.dialect)
        self.schedule = read_options(ScheduleOptions, first, self.dialect)

    def find_kind(self) -> str:
        """The kind of data that the network is for."""
        types = [layer.section.type for layer in self.network]
        if self.network.heads:
            return "detector"
        if "iseg" in types:
            return "isegmenter"
        if not self.form.height:
            return "rnn"
        if isinstance(self.data, DataFile) and self.data.number("tag", 0):
            return "tag"
        return "classifier"

    @property
    def train(self) -> Path:
        """What the .data file's `train` names."""
        if not isinstance(self.data, DataFile):
            return Path(self.data)
        path = self.data.find("train")
        if path is None:
            raise DataError(f"{self.data.path}: has no line train=..., the list of images")
        return path

    def file(self, key: str) -> Path | None:
        """The file that `key` of the .data file names."""
        return self.data.find(key) if isinstance(self.data, DataFile) else None

    def listed(self) -> dict[str, Any]:
        """The arguments of every data set with a list."""
        self.need_image()
        paths = tuple(path.strip(" \t") for path in read_list(self.train))
        if not paths:
            raise DataError(f"{self.train}: names no image")
        return {**self.plain(), "paths": paths, "pictures": self.pictures()}

    def plain(self) -> dict[str, Any]:
        """The arguments of every data set."""
        return {"form": self.form, "seed": self.seed, "bad": self.bad}

    def pictures(self, channels: int | None = None) -> Pictures:
        """What reads the pictures."""
        return Pictures(channels or self.form.channels, self.memory, str(self.train))

    def need_image(self, channels: tuple[int, ...] = (1, 3)) -> None:
        """Check that the network takes pictures."""
        if self.form.height and self.form.channels in channels:
            return
        expected = " or ".join(map(str, channels))
        raise DataError(
            f"{self.network.sections[0].path}: training images have {expected} channels, "
            f"the network takes {self.form.channels}"
        )

    def window(self, head: Any) -> WindowOptions:
        """How a detector's images are varied: the last head's keys and [net]'s."""
        o = self.options
        return WindowOptions(
            jitter=head.jitter,
            resize=head.resize,
            letter_box=self.network.net.letter_box,
            flip=o.flip,
            hue=o.hue,
            saturation=o.saturation,
            exposure=o.exposure,
            blur=o.blur,
            gaussian_noise=o.gaussian_noise,
        )

    def viewed(self) -> dict[str, Any]:
        """The arguments of every data set with random views."""
        o = self.options
        view = ViewOptions(
            o.angle, o.aspect, o.flip, o.hue, o.saturation, o.exposure,
            wanders=self.dialect.classifier_view == "ratios",
        )  # fmt: skip
        return {**self.listed(), "options": view, "crop": self.crop}

    @property
    def crop(self) -> tuple[float, float]:
        """min_crop and max_crop."""
        width, o = self.form.width, self.options
        low = width if o.min_crop is None else o.min_crop
        return low, 2 * width if o.max_crop is None else o.max_crop

    def ratios(self) -> dict[str, Any]:
        """As `viewed`; pjreddie's crops count in network widths."""
        if self.dialect.classifier_view == "crops":
            return self.viewed()
        low, high = (side / self.form.width for side in self.crop)
        low = low if self.options.min_ratio is None else self.options.min_ratio
        high = high if self.options.max_ratio is None else self.options.max_ratio
        return {**self.viewed(), "crop": (low, high), "relative": True}

    @property
    def mixing(self) -> Mixing:
        """C: parser.c:parse_net_options; cutmix and mosaic count before mixup."""
        o = self.options
        if o.cutmix and o.mosaic:
            return "cutmix or mosaic"
        if o.cutmix or o.mosaic:
            return "cutmix" if o.cutmix else "mosaic"
        kinds: tuple[Mixing, ...] = ("", "mixup", "cutmix", "mosaic", "cutmix or mosaic")
        return kinds[o.mixup] if 0 <= o.mixup < len(kinds) else ""

    def labels(self) -> list[str]:
        """The labels that stand in paths, as many as there are classes."""
        path = self.file("labels")
        if path is None:
            raise DataError(f"{self.where}: has no line labels=..., which names the classes")
        labels = read_names(path)
        assert isinstance(self.data, DataFile)
        count = self.data.number("classes", len(labels))
        if len(labels) < count:
            raise DataError(f"{path}: holds {len(labels)} labels, but classes={count}")
        self.check_outputs(count)
        return labels[:count]

    @property
    def where(self) -> str:
        """The .data file, or what stands for it."""
        return self.data.path if isinstance(self.data, DataFile) else str(self.data)

    @property
    def outputs(self) -> int:
        """How many values the network gives."""
        return self.network[self.network.output_index].out_shape.size

    def check_outputs(self, count: int) -> None:
        """Check that the network gives a value for each class."""
        last = self.network[len(self.network) - 1].section.type
        if count != self.outputs and last in ("softmax", "soft", "cost"):
            raise DataError(
                f"{self.where}: classes={count}, but the network gives {self.outputs} values"
            )

    @property
    def tree(self) -> Tree | None:
        """The class tree: of the .data file, or of the last [softmax] with one."""
        path = self.file("tree")
        if path is not None:
            return read_tree(path)
        trees = [getattr(layer, "tree", None) for layer in self.network]
        return next((tree for tree in reversed(trees) if tree is not None), None)

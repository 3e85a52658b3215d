"""Load networks and run them, under the names of C's functions."""

from __future__ import annotations

import ctypes as ct
import os
from typing import Any

import numpy as np
import torch

from darknet_py.darknet.pictures import class_colors, letterbox_image, resize_image
from darknet_py.darknet.structures import IMAGE, METADATA, float_array, read_floats
from darknet_py.datafile import read_data, read_names
from darknet_py.dialect import Dialect
from darknet_py.errors import DarknetError
from darknet_py.inputs import find_device, run_batch
from darknet_py.network import Network
from darknet_py.weights import load_weights

Name = str | bytes | os.PathLike[str]
"""A file's path; bytes as ctypes wants them are taken, too."""

_device: str | None = None


class LoadedNetwork:
    """A network and what it gave last: what scripts hold where C has a `network *`."""

    def __init__(self, network: Network, batch: int) -> None:
        self.network: Network | None = network
        self.batch = batch
        self.outputs: list[torch.Tensor] = []
        """Of the heads, in order; the batch is the first axis."""

    def get(self) -> Network:
        """The network.

        Raises:
            DarknetError: it was freed.
        """
        if self.network is None:
            raise DarknetError("the network was freed by free_network_ptr")
        return self.network

    def run(self, values: np.ndarray) -> ct.Array[ct.c_float]:
        """The network's output for `values`, which are one or more whole inputs."""
        network = self.get()
        shape = network.image
        sides = (shape.channels, shape.height, shape.width) if shape.is_image else (shape.size,)
        inputs = values.reshape(-1, *sides)
        wanted = [*(head.index for head in network.heads), network.output_index]
        *self.outputs, output = run_batch(network, inputs, wanted, False)
        return float_array(output.float().cpu().numpy())


def load_network(
    config_file: Name,
    data_file: Name | None,
    weights: Name,
    batch_size: int = 1,
    *,
    dialect: str | Dialect | None = "alexeyab",
) -> tuple[LoadedNetwork, list[str], dict[str, tuple[int, int, int]]]:
    """The network, its classes' names, and a colour for each of them.

    Args:
        config_file: the .cfg file.
        data_file: the .data file, which names the list of names; None: there are no names.
        weights: the .weights file.
        batch_size: how many images one `predict` takes.
        dialect: the fork whose numbers to give; None: found from the cfg.

    Raises:
        DarknetError: a file is wrong.
    """
    network = load_net_custom(config_file, weights, 0, batch_size, dialect=dialect)
    meta = load_meta(data_file) if data_file else METADATA()
    names = [name.decode() for name in meta.names[: meta.classes]]
    return network, names, class_colors(names)


def load_net_custom(
    config_file: Name,
    weights: Name | None,
    clear: int = 0,
    batch: int = 1,
    *,
    dialect: str | Dialect | None = "alexeyab",
) -> LoadedNetwork:
    """A network for `batch` images at a time; without `weights` theirs are random."""
    network = Network.from_cfg(os.fsdecode(config_file), dialect, initialize=not weights)
    if weights:
        load_weights(network, os.fsdecode(weights))
    if clear:
        network.seen = 0
    network.to(find_device(_device))
    return LoadedNetwork(network, max(batch, 1))


def load_net(
    config_file: Name,
    weights: Name | None,
    clear: int = 0,
    *,
    dialect: str | Dialect | None = "alexeyab",
) -> LoadedNetwork:
    """A network for as many images at a time as its cfg says."""
    loaded = load_net_custom(config_file, weights, clear, dialect=dialect)
    options = loaded.get().net
    batch = options.batch // max(options.subdivisions, 1) * max(options.time_steps, 1)
    loaded.batch = max(batch, 1)
    return loaded


def load_meta(data_file: Name) -> METADATA:
    """The classes that a .data file tells of.

    Raises:
        CfgError: a file cannot be read, or none is named.
    """
    data = read_data(os.fsdecode(data_file))
    path = data.find("names") or data.find("labels")
    if path is None:
        data["names"]  # raises
    assert path is not None
    # PARITY: without classes= there are two (C: option_list.c:get_metadata).
    classes = data.number("classes", 2)
    names = read_names(path)
    names += [str(number) for number in range(len(names), classes)]  # C reads on behind its list
    return METADATA(classes, [name.encode() for name in names])


def network_width(net: LoadedNetwork) -> int:
    """The width of the images that the network takes."""
    return net.get().image.width


def network_height(net: LoadedNetwork) -> int:
    """The height of the images that the network takes."""
    return net.get().image.height


def network_dimensions(net: LoadedNetwork) -> tuple[int, int, int]:
    """Width, height and channels of the images that the network takes."""
    shape = net.get().image
    return shape.width, shape.height, shape.channels


def predict(net: LoadedNetwork, data: Any) -> ct.Array[ct.c_float]:
    """The network's output for one batch of inputs (C: network_predict_ptr).

    `data` are the values of all images: a ctypes array or pointer, or a numpy array.
    """
    return net.run(read_floats(data, net.batch * net.get().image.size).copy())


def predict_image(net: LoadedNetwork, im: IMAGE) -> ct.Array[ct.c_float]:
    """The network's output for a picture of any size (C: network_predict_image).

    The picture is stretched or, in pjreddie's dialect, fitted in with its aspect ratio kept.
    """
    return _predict_fitted(net, im, net.get().dialect.letterbox)


def predict_image_letterbox(net: LoadedNetwork, im: IMAGE) -> ct.Array[ct.c_float]:
    """The output for a picture of any size, fitted in with its aspect ratio kept, on grey."""
    return _predict_fitted(net, im, True)


def _predict_fitted(net: LoadedNetwork, im: IMAGE, letterbox: bool) -> ct.Array[ct.c_float]:
    shape = net.get().image
    if im.c != shape.channels:
        raise DarknetError(f"the network takes {shape.channels} channels, the image has {im.c}")
    # PARITY: from now on the network takes one image (C: network.c:network_predict_image).
    net.batch = 1
    if (im.w, im.h) != (shape.width, shape.height):
        im = (letterbox_image if letterbox else resize_image)(im, shape.width, shape.height)
    return net.run(im.pixels().copy())


def reset_rnn(net: LoadedNetwork) -> None:
    """Forget what recurrent layers remember."""
    net.get().reset_state()


def free_network_ptr(net: LoadedNetwork) -> None:
    """Let go of the network."""
    net.network, net.outputs = None, []


def set_gpu(number: int) -> None:
    """Networks loaded from now on run on that GPU; on the CPU where there is none, or below 0."""
    global _device
    has_gpu = number >= 0 and torch.cuda.is_available()
    _device = f"cuda:{number}" if has_gpu else "cpu"


def init_cpu() -> None:
    """Nothing: PyTorch needs no such call."""

"""Every kind of layer as lines of a standalone file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from darknet_py.convert.standalone.filters import (
    write_batchnorm,
    write_connected,
    write_convolutional,
    write_deconvolutional,
    write_implicit,
    write_local,
)
from darknet_py.convert.standalone.part import (
    Inputs,
    Part,
    activated,
    as_image,
    blurred,
    construct,
    pair,
    refuse,
)
from darknet_py.layers import SECTIONS, Layer
from darknet_py.layers.recurrent import Recurrent


def write_layer(layer: Layer, vectors: Inputs) -> Part:
    """The code of a layer whose inputs are `(batch, n)` where `vectors` says so.

    Raises:
        CfgError: it cannot be written; the reason is in the message.
    """
    if isinstance(layer, Recurrent):
        raise refuse(layer, "the layer remembers from call to call")
    writer = _WRITERS.get(type(layer))
    if writer is None:
        raise refuse(layer, "there is no plain torch module for it")
    return writer(layer, vectors)


def _maxpool(layer: Any, vectors: Inputs) -> Part:
    window, call = layer.window, f"{{me}}({as_image(vectors)})"
    if layer.depth:
        return Part(call, f"ChannelMaxPool({layer.depth})", "pool")
    size, stride, padding = window.size, pair(window.stride_y, window.stride_x), window.padding
    before, odd = divmod(padding, 2)
    if before > size // 2 or (odd and stride != 2):
        module = construct("MaxPool", size, stride, padding)
    else:
        # PARITY: an odd pixel goes to the bottom and right (C: maxpool_layer.c).
        ceil = "True" if odd else ""
        module = construct("nn.MaxPool2d", size, stride, padding=before or "", ceil_mode=ceil)
    return Part(call, blurred(layer, module, {})[0], "pool")


def _local_avgpool(layer: Any, vectors: Inputs) -> Part:
    window = layer.window
    stride = pair(window.stride_y, window.stride_x)
    before, odd = divmod(window.padding, 2)
    if odd and stride != 2:
        raise refuse(layer, f"torch cannot pad by {window.padding} pixels in all")
    ceil = "True" if odd else ""
    options = {"padding": before or "", "ceil_mode": ceil, "count_include_pad": "False"}
    module = construct("nn.AvgPool2d", window.size, stride, **options)
    return Part(f"{{me}}({as_image(vectors)})", module, "pool")


def _avgpool(layer: Any, vectors: Inputs) -> Part:
    if vectors[0]:
        return Part(as_image(vectors))
    return Part("{0}.mean((2, 3), keepdim=True)")


def _route(layer: Any, vectors: Inputs) -> Part:
    parts = [f"{{{number}}}" for number in range(len(vectors))]
    if layer.groups > 1:
        parts = [f"{part}.chunk({layer.groups}, 1)[{layer.group_id}]" for part in parts]
    if len(parts) == 1:
        return Part(parts[0], vector=vectors[0])
    is_image = layer.out_shape.is_image
    vector = not is_image or all(vectors)
    for number, is_vector in enumerate(vectors):
        if is_image and is_vector and not vector:
            parts[number] += "[:, :, None, None]"
        elif not is_image and not is_vector:
            parts[number] += ".flatten(1)"
    return Part(f"torch.cat([{', '.join(parts)}], 1)", vector=vector)


def _shortcut(layer: Any, vectors: Inputs) -> Part:
    values = [as_image(vectors, number) for number in range(len(vectors))]
    one_shape = all(shape == layer.in_shape for shape in layer.from_shapes)
    options, module, state = layer.options, "", {}
    if layer.dialect.shortcut == "sampled":
        alpha, beta = options.alpha, options.beta
        if one_shape:
            factors = ["" if factor == 1 else f"{factor!r} * " for factor in (alpha, beta)]
            call = f"{factors[0]}{values[0]} + {factors[1]}{values[1]}"
        else:
            module = "SampledSum()" if alpha == beta == 1 else f"SampledSum({alpha!r}, {beta!r})"
            call = f"{{me}}({', '.join(values)})"
    elif layer.weights is not None:
        if not one_shape:
            raise refuse(layer, "weights_type on layers of several shapes")
        kind = ("none", "relu", "softmax")[layer.normalization]
        module = f'WeightedSum({len(values)}, {layer.weights.shape[1]}, "{kind}")'
        call, state = f"{{me}}({', '.join(values)})", {"weight": layer.weights}
    elif one_shape:
        call = " + ".join(values)
    else:
        call, module = values[0], "FlatSum()"
        for value in values[1:]:
            call = f"{{me}}({call}, {value})"
    return Part(activated(layer, call), module, "sum", state)


def _scale(layer: Any, vectors: Inputs) -> Part:
    return Part(activated(layer, f"{as_image(vectors)} * {as_image(vectors, 1)}"))


def _upsample(layer: Any, vectors: Inputs) -> Part:
    if layer.reverse:
        raise refuse(layer, "a negative stride sums blocks of pixels")
    scale = "" if layer.options.scale == 1 else f" * {layer.options.scale!r}"
    module = f"nn.Upsample(scale_factor={layer.stride})"
    return Part(f"{{me}}({as_image(vectors)}){scale}", module, "upsample")


def _softmax(layer: Any, vectors: Inputs) -> Part:
    groups, temperature = layer.options.groups, layer.options.temperature
    if layer.tree is not None:
        sizes = [size for _, size in layer.tree.groups]
        heat = "" if temperature == 1 else repr(temperature)
        return Part(
            "{me}({0})", construct("TreeSoftmax", sizes, temperature=heat), "softmax", {}, True
        )
    value = "{0}" if vectors[0] else "{0}.flatten(1)"
    if temperature != 1:
        value = f"({value} / {temperature!r})"
    if groups == 1:
        return Part(f"{value}.softmax(1)", vector=True)
    return Part(f"{value}.unflatten(1, ({groups}, -1)).softmax(2).flatten(1)", vector=True)


def _reorg(layer: Any, vectors: Inputs) -> Part:
    options, extra = layer.options, getattr(layer.options, "extra", 0)
    if extra and not getattr(options, "flatten", False):
        flat = "{0}" if vectors[0] else "{0}.flatten(1)"
        return Part(f"F.pad({flat}, (0, {extra}))", vector=True)
    if options.reverse or getattr(options, "flatten", False):
        raise refuse(layer, "only the plain direction, blocks into channels, is written")
    kind = "SpaceToDepth" if layer.section.type == "reorg3d" else "Reorg"
    return Part(f"{{me}}({as_image(vectors)})", f"{kind}({options.stride})", "reorg")


def _crop(layer: Any, vectors: Inputs) -> Part:
    shape = layer.out_shape
    module = f"Crop({shape.height}, {shape.width}, adjust={not layer.options.noadjust})"
    return Part(f"{{me}}({as_image(vectors)})", module, "crop")


def _lrn(layer: Any, vectors: Inputs) -> Part:
    o = layer.options
    module = f"LocalResponseNorm({o.size}, {o.alpha!r}, {o.beta!r}, {o.kappa!r})"
    return Part(f"{{me}}({as_image(vectors)})", module, "norm")


def _dropout(layer: Any, vectors: Inputs) -> Part:
    if layer.options.dropblock:
        return Part("{0}", vector=vectors[0])  # the identity, once trained
    module = f"nn.Dropout({layer.options.probability!r})"
    return Part("{me}({0})", module, "dropout", vector=vectors[0])


def _anchors(layer: Any) -> str:
    """The anchors that a head uses, as pairs."""
    mask = getattr(layer, "mask", range(len(layer.anchors)))
    pairs = [tuple(float(f"{side:.7g}") for side in layer.anchors[index]) for index in mask]
    shown = ", ".join(f"({width:g}, {height:g})" for width, height in pairs)
    return f"[{shown}]"


def _yolo(layer: Any, vectors: Inputs) -> Part:
    gaussian, scale = layer.own_entries == 9, layer.options.scale_x_y
    module = construct(
        "GaussianYolo" if gaussian else "Yolo",
        _anchors(layer),
        layer.classes,
        scale_x_y="" if scale == 1 else repr(scale),
        new_coords="True" if getattr(layer.options, "new_coords", False) else "",
    )
    return Part("{me}({0})", module, "yolo")


def _region(layer: Any, vectors: Inputs) -> Part:
    o, sizes = layer.options, [size for _, size in layer.tree.groups] if layer.tree else ""
    if o.background or (layer.interleaved and o.coords != 4):
        raise refuse(layer, f"background={int(o.background)}, coords={o.coords}")
    softmax = "" if o.softmax or layer.tree else "False"
    coords = o.coords if o.coords != 4 else ""
    kind = "RegionByCell" if layer.interleaved else "Region"
    module = construct(
        kind, _anchors(layer), o.classes, coords=coords, softmax=softmax, groups=sizes
    )
    return Part("{me}({0})", module, "region")


def _detection(layer: Any, vectors: Inputs) -> Part:
    if layer.options.softmax:
        raise refuse(layer, "softmax=1")
    return Part("{0}" if vectors[0] else "{0}.flatten(1)", vector=True)


def _l2norm(layer: Any, vectors: Inputs) -> Part:
    # PARITY: a plain vector stays as it is (C: l2norm_layer.c).
    norm = " / {0}.square().sum(1, keepdim=True).sqrt()" if layer.in_shape.is_image else ""
    return Part(f"{{0}}{norm}", vector=vectors[0])


def _as(call: str) -> Callable[[Any, Inputs], Part]:
    """A writer of one expression that leaves the number of dimensions as it is."""
    return lambda layer, vectors: Part(call, vector=vectors[0])


_BY_NAME: dict[str, Callable[[Any, Inputs], Part]] = {
    "activation": lambda layer, vectors: Part(activated(layer, "{0}"), vector=vectors[0]),
    "avgpool": _avgpool,
    "batchnorm": write_batchnorm,
    "connected": write_connected,
    "contrastive": _as("torch.zeros_like({0})"),
    "convolutional": write_convolutional,
    "cost": _as("torch.zeros_like({0})"),
    "crop": _crop,
    "deconvolutional": write_deconvolutional,
    "detection": _detection,
    "dropout": _dropout,
    "empty": _as("{0}"),
    "Gaussian_yolo": _yolo,
    "implicit": write_implicit,
    "l2norm": _l2norm,
    "local": write_local,
    "local_avgpool": _local_avgpool,
    "logistic": _as("{0}.sigmoid()"),
    "lrn": _lrn,
    "maxpool": _maxpool,
    "region": _region,
    "reorg": _reorg,
    "reorg3d": _reorg,
    "route": _route,
    "sam": _scale,
    "scale_channels": _scale,
    "shortcut": _shortcut,
    "shuffle": lambda layer, vectors: Part(
        "{me}({0})", f"nn.ChannelShuffle({layer.options.groups})", "shuffle"
    ),
    "softmax": _softmax,
    "upsample": _upsample,
    "yolo": _yolo,
}
_WRITERS = {SECTIONS[name]: writer for name, writer in _BY_NAME.items()}

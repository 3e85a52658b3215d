"""How training images are varied: the [net] keys of augmentation."""

from __future__ import annotations

from dataclasses import dataclass

from darknet_py.options import key


@dataclass(frozen=True)
class AugmentOptions:
    """Keys of [net] that vary training images (C: parser.c:parse_net_options)."""

    max_crop: int | None = key("largest short side before the crop (default: 2 width)", None)
    min_crop: int | None = key("smallest short side before the crop (default: width)", None)
    max_ratio: float | None = key(
        "largest scale before the crop (default: max_crop / width)", None, only="pjreddie"
    )
    min_ratio: float | None = key(
        "smallest scale before the crop (default: min_crop / width)", None, only="pjreddie"
    )
    center: bool = key("crop the centre", False, only="pjreddie")
    flip: bool = key("mirror at random", True, only="alexeyab")
    angle: float = key("largest rotation, in degrees", 0.0)
    aspect: float = key("largest change of the aspect ratio, as a factor", 1.0)
    saturation: float = key("largest change of saturation, as a factor", 1.0)
    exposure: float = key("largest change of brightness, as a factor", 1.0)
    hue: float = key("largest change of hue, as a share of the circle", 0.0)
    blur: int = key("blur the background or the whole image", 0, only="alexeyab")
    gaussian_noise: int = key("strength of added noise", 0, only="alexeyab")
    mixup: int = key("1 mixup, 2 cutmix, 3 mosaic", 0, only="alexeyab")
    cutmix: bool = key("paste a piece of another image (classifiers)", False, only="alexeyab")
    mosaic: bool = key("join four images", False, only="alexeyab")
    mosaic_bound: bool = key("keep mosaic's boxes inside their image", False, only="alexeyab")
    contrastive: bool = key("pairs of views of each image", False, only="alexeyab")
    contrastive_jit_flip: bool = key(
        "the second view is shifted and mirrored", False, only="alexeyab"
    )
    contrastive_color: bool = key("the second view is recoloured", False, only="alexeyab")
    unsupervised: bool = key("train without labels", False, only="alexeyab")
    adversarial_lr: float = key("step of the adversarial attack", 0.0, only="alexeyab")
    attention: bool = key("show where the adversarial gradient is large", False, only="alexeyab")
    label_smooth_eps: float = key("label smoothing of classifiers", 0.0, only="alexeyab")
    augment_speed: int = key("frames between two of a sequence", 2, only="alexeyab")
    track: bool = key("images are sequences of one video", False, only="alexeyab")

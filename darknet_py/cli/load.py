"""What the commands that answer run: a cfg with its weights, or a converted model."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darknet_py.cli.download import use_name
from darknet_py.cli.model import (
    choose_device,
    classifier_names,
    detector_names,
    print_loading,
    resolve,
)
from darknet_py.download import is_name
from darknet_py.errors import DarknetError

if TYPE_CHECKING:
    from darknet_py.classifier import Classifier
    from darknet_py.datafile import DataFile
    from darknet_py.finder import Finder
    from darknet_py.metadata import Metadata
    from darknet_py.network import Network
    from darknet_py.scorer import Scorer

TORCH_FREE = (".onnx", ".xml")


def load_finder(args: Namespace, data: DataFile | None, **numbers: Any) -> Finder:
    """The detector that the line asks for, with its names; what loading prints is printed.

    Args:
        args: the line.
        data: the .data file, or None.
        numbers: what `Detector.load` takes: thresh, nms, hier, letterbox.
    """
    if args.weights is None and is_name(args.cfg):
        use_name(args)
    if args.cfg.lower().endswith(TORCH_FREE):
        from darknet_py.runtime.detector import ModelDetector

        found = ModelDetector.load(args.cfg, device=_place(args), **numbers)
        _check(args, found.metadata)
        if _names_given(args):
            found.names = detector_names(args, data, found.classes)
        return found
    from darknet_py.detector import Detector

    if args.weights is None:
        network, metadata = _read_safetensors(args)
        detector = Detector(network, metadata.names, half=args.half, **numbers)
        if _names_given(args):
            detector.names = detector_names(args, data, detector.classes)
        return detector
    detector = Detector.load(
        resolve(args.cfg),
        resolve(args.weights),
        dialect=args.dialect,
        device=choose_device(args),
        half=args.half,
        **numbers,
    )
    detector.names = detector_names(args, data, detector.classes)
    print_loading(detector.network, args)
    return detector


def load_scorer(args: Namespace, data: DataFile | None) -> Scorer:
    """The classifier that the line asks for, with its names; what loading prints is printed."""
    preprocess = getattr(args, "preprocess", None)
    if args.weights is None and is_name(args.cfg):
        use_name(args)
    if args.cfg.lower().endswith(TORCH_FREE):
        from darknet_py.runtime.classifier import ModelClassifier

        found = ModelClassifier.load(args.cfg, device=_place(args), preprocess=preprocess)
        _check(args, found.metadata)
        if _names_given(args):
            found.names = classifier_names(args, data, found.classes)
        return found
    if args.weights is None:
        from darknet_py.classifier import Classifier

        network, metadata = _read_safetensors(args)
        classifier = Classifier(network, metadata.names, preprocess, half=args.half)
        if _names_given(args):
            classifier.names = classifier_names(args, data, classifier.classes)
        return classifier
    return load_classifier(args, data)


def load_classifier(args: Namespace, data: DataFile | None) -> Classifier:
    """The classifier of a cfg and its weights, with its names; prints what C prints."""
    from darknet_py.classifier import Classifier

    classifier = Classifier.load(
        resolve(args.cfg),
        resolve(args.weights),
        dialect=args.dialect,
        device=choose_device(args),
        preprocess=getattr(args, "preprocess", None),
        half=args.half,
    )
    classifier.names = classifier_names(args, data, classifier.classes)
    print_loading(classifier.network, args)
    return classifier


def _read_safetensors(args: Namespace) -> tuple[Network, Metadata]:
    from darknet_py.bit_weights import use_bit_weights
    from darknet_py.inputs import find_device
    from darknet_py.metadata import Metadata
    from darknet_py.named import build_network, fill_network, read_named

    tensors, texts = read_named(args.cfg)
    metadata = Metadata.from_dict(texts, args.cfg)
    _check_dialect(args, metadata)
    network = build_network(texts, args.cfg)
    fill_network(network, tensors, texts, args.cfg)
    if network.dialect.bit_weights:
        use_bit_weights(network)
    network.to(find_device(choose_device(args)))
    if not args.quiet:
        print(f"Loading {args.cfg}...Done!", file=sys.stderr)
    return network, metadata


def _place(args: Namespace) -> str | None:
    """The device that the flags ask a library other than torch for."""
    if args.device:
        return str(args.device)
    return "cpu" if args.nogpu else None


def _names_given(args: Namespace) -> bool:
    """Whether the line says other names than the model's own."""
    return bool(args.names) or getattr(args, "data", None) is not None


def _check(args: Namespace, metadata: Metadata) -> None:
    """See that nothing is asked for that the model fixes."""
    _check_dialect(args, metadata)
    if args.half:
        raise DarknetError(f"{args.cfg}: -half is for cfg and weights: convert them with -half")
    if not args.quiet:
        print(f"Loading {Path(args.cfg)}...Done!", file=sys.stderr)


def _check_dialect(args: Namespace, metadata: Metadata) -> None:
    if args.dialect not in (None, metadata.dialect):
        raise DarknetError(
            f"{args.cfg}: was converted in dialect {metadata.dialect}, not {args.dialect}"
        )

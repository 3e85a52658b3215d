"""What the commands that answer run: a cfg with its weights, or a converted model."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from darknet_py.cli.download import use_name
from darknet_py.cli.model import (
    choose_device,
    classifier_names,
    detector_names,
    print_header,
    print_loading,
    resolve,
)
from darknet_py.download import is_name
from darknet_py.errors import DarknetError

if TYPE_CHECKING:
    from darknet_py.backends import Source
    from darknet_py.classifier import Classifier
    from darknet_py.datafile import DataFile
    from darknet_py.detector import Detector
    from darknet_py.finder import Finder
    from darknet_py.metadata import Metadata
    from darknet_py.network import Network
    from darknet_py.scorer import Scorer

TORCH_FREE = (".onnx", ".xml")
Torch = TypeVar("Torch", bound="Classifier | Detector")


def load_finder(args: Namespace, data: DataFile | None, **numbers: Any) -> Finder:
    """The detector that the line asks for, with its names; what loading prints is printed.

    Args:
        args: the line.
        data: the .data file, or None.
        numbers: what `Detector.load` takes: thresh, nms, hier, letterbox.
    """
    if args.weights is None and is_name(args.cfg):
        use_name(args)
    backend = _backend(args)
    if backend is not None:
        from darknet_py.backends import open_finder

        opened = open_finder(_source(args), backend, device=_place(args), say=_say(args), **numbers)
        opened.names = detector_names(args, data, opened.classes)
        _print_opened(args, opened)
        return opened
    if _is_torch_free(args):
        from darknet_py.runtime.detector import ModelDetector

        found = ModelDetector.load(args.cfg, device=_place(args), **numbers)
        _check(args, found.metadata)
        if _names_given(args):
            found.names = detector_names(args, data, found.classes)
        return found
    from darknet_py.detector import Detector

    if args.weights is None:
        network, metadata = _read_safetensors(args)
        detector: Detector = Detector(network, metadata.names, half=args.half, **numbers)
        if _names_given(args):
            detector.names = detector_names(args, data, detector.classes)
        return _compiled(args, detector)
    detector = Detector.load(
        resolve(args.cfg),
        resolve(args.weights),
        dialect=args.dialect,
        device=choose_device(args),
        half=args.half,
        **numbers,
    )
    detector.names = detector_names(args, data, detector.classes)
    print_loading(detector.layout, args)
    return _compiled(args, detector)


def load_scorer(args: Namespace, data: DataFile | None) -> Scorer:
    """The classifier that the line asks for, with its names; what loading prints is printed."""
    preprocess = getattr(args, "preprocess", None)
    if args.weights is None and is_name(args.cfg):
        use_name(args)
    backend = _backend(args)
    if backend is not None:
        from darknet_py.backends import open_scorer

        opened = open_scorer(
            _source(args), backend, device=_place(args), say=_say(args), preprocess=preprocess
        )
        opened.names = classifier_names(args, data, opened.classes)
        _print_opened(args, opened)
        return opened
    if _is_torch_free(args):
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
        return _compiled(args, classifier)
    return _compiled(args, load_classifier(args, data))


def _compiled(args: Namespace, opened: Torch) -> Torch:
    """The same, told to compile if the line says so."""
    if args.compile:
        opened.compile()
    return opened


def print_accuracy(args: Namespace, opened: Finder | Scorer) -> None:
    """How far the answers are from those of torch in 32 bits, on the pictures of -accuracy."""
    from darknet_py.accuracy import compare_finders, compare_scorers
    from darknet_py.cli.inputs import expand
    from darknet_py.finder import Finder

    if args.weights is None:
        raise DarknetError(f"{args.cfg}: -accuracy is for cfg and weights")
    pictures = expand(args.accuracy)
    files = {"dialect": args.dialect, "device": choose_device(args)}
    cfg, weights = resolve(args.cfg), resolve(args.weights)
    if isinstance(opened, Finder):
        from darknet_py.detector import Detector

        numbers = {name: getattr(opened, name) for name in ("thresh", "nms", "hier", "letterbox")}
        reference = Detector.load(cfg, weights, **files, **numbers)
        lines = compare_finders(reference, opened, pictures)
    else:
        from darknet_py.classifier import Classifier

        fit = opened.preprocess
        lines = compare_scorers(
            Classifier.load(cfg, weights, preprocess=fit, **files), opened, pictures
        )
    for line in lines:
        print(line)


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
    print_loading(classifier.layout, args)
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


def _backend(args: Namespace) -> str | None:
    """The backend that the flags ask for; None: that of the file.

    Raises:
        DarknetError: it cannot be for this file, or goes without what it needs.
    """
    if args.calibration is not None and not args.int8:
        raise DarknetError("-calibration is for -int8")
    backend: str | None = args.backend or ("openvino" if args.int8 else None)
    if args.compile and (backend not in (None, "torch") or _is_torch_free(args)):
        raise DarknetError("-compile is for PyTorch: it goes with cfg and weights, or .safetensors")
    if backend is not None and args.weights is None:
        raise DarknetError(
            f"{args.cfg}: -backend and -int8 are for cfg and weights; a model is run as it is"
        )
    return None if backend == "torch" and not args.int8 else backend


def _is_torch_free(args: Namespace) -> bool:
    """Whether the file is a model that needs no torch."""
    return bool(args.cfg.lower().endswith(TORCH_FREE))


def _source(args: Namespace) -> Source:
    from darknet_py.backends import Source

    cfg, weights = resolve(args.cfg), resolve(args.weights)
    return Source(cfg, weights, args.dialect, args.half, args.int8, args.calibration)


def _say(args: Namespace) -> Callable[[str], None]:
    """What prints how a conversion goes."""
    if args.quiet:
        return lambda line: None
    return partial(print, file=sys.stderr, flush=True)


def _print_opened(args: Namespace, opened: Finder | Scorer) -> None:
    """What C prints on loading, of a network in whatever library."""
    about, metadata = opened.about, getattr(opened, "metadata", None)
    if metadata is None:
        network: Network = opened.layout  # type: ignore[union-attr]
        print_loading(network, args)
    elif about is not None and not args.quiet:
        print("\n".join(about["table"]), file=sys.stderr)
        header = metadata.weights_header
        print_header(metadata.dialect, header, about["layers"], args.weights)


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

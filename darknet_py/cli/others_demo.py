"""`regressor demo`, `segmenter demo` and `isegmenter demo`: a network's answers to a video."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from darknet_py.cli.arguments import Argument, Command, Flag
from darknet_py.cli.demo_loop import Clock, answer_frames
from darknet_py.cli.demo_outputs import SHOWS, VIDEO, Outputs, open_video
from darknet_py.cli.flags import CFG, DATA, WEIGHTS
from darknet_py.cli.model import resolve
from darknet_py.cli.others import DATA_UNUSED, color_masks
from darknet_py.cli.weights import FLAGS, load
from darknet_py.datafile import read_data, read_names
from darknet_py.errors import DarknetError

if TYPE_CHECKING:
    import numpy as np

    from darknet_py.network import Network

Answer = Callable[["Network", Namespace, Outputs, Clock], None]
GREY = (0.299, 0.587, 0.114)
"""What red, green and blue count (C: image.c:grayscale_image_3c)."""


def _run(greeting: str, title: str, answer: Answer, args: Namespace) -> int:
    print(greeting, flush=True)
    with ExitStack() as stack:
        video = stack.enter_context(open_video(args))
        network = load(args)
        network.eval()
        if not network.image.is_image:
            raise DarknetError(f"{args.cfg}: takes no pictures")
        outputs = stack.enter_context(Outputs(args, video, title))
        answer(network, args, outputs, Clock(alexeyab=False, benchmark=args.benchmark))
    outputs.print_rate()
    return 0


def _regress(network: Network, args: Namespace, outputs: Outputs, clock: Clock) -> None:
    """C: regressor.c:demo_regressor."""
    import numpy as np

    from darknet_py import image as images
    from darknet_py.draw import draw_lines

    shape, names = network.image, _names(args, network)

    def prepare(frame: np.ndarray) -> np.ndarray:
        # PARITY: the middle of the frame, in grey; `regressor test` letterboxes it in colour.
        middle = images.center_crop(frame, shape.width, shape.height)
        red, green, blue = (middle[..., i] * np.float32(share) for i, share in enumerate(GREY))
        grey = (red + green + blue)[..., None]
        return images.to_planar(np.repeat(grey, shape.channels, axis=2))

    def run(inputs: np.ndarray) -> np.ndarray:
        return _run_layer(network, network.output_index, inputs).ravel()

    def tell(values: np.ndarray) -> list[str]:
        return [f"{name}: {value:f}" for name, value in zip(names, values.tolist(), strict=False)]

    def draw(frame: np.ndarray, values: np.ndarray, lines: list[str]) -> np.ndarray:
        return draw_lines(frame, lines)

    answer_frames(outputs, clock, prepare, run, tell, draw)


def _segment(network: Network, args: Namespace, outputs: Outputs, clock: Clock) -> None:
    """C: segmenter.c:demo_segmenter, instance-segmenter.c:demo_isegmenter."""
    from darknet_py import image as images

    pictures = [i for i, layer in enumerate(network) if layer.out_shape.is_image]
    if not pictures or network.image.channels != 3:
        raise DarknetError(f"{args.cfg}: takes or gives no pictures in colour")
    shape = network.image

    def prepare(frame: np.ndarray) -> np.ndarray:
        return images.to_planar(images.letterbox(frame, shape.width, shape.height))

    def run(inputs: np.ndarray) -> np.ndarray:
        return _run_layer(network, pictures[-1], inputs)

    def draw(frame: np.ndarray, masks: np.ndarray, lines: list[str]) -> np.ndarray:
        return lay_over(frame, images.to_bytes(color_masks(masks)), (shape.width, shape.height))

    answer_frames(outputs, clock, prepare, run, lambda masks: [], draw)


def _run_layer(network: Network, layer: int, inputs: np.ndarray) -> np.ndarray:
    from darknet_py.inputs import run_batch

    (output,) = run_batch(network, inputs, [layer], half=False)
    return output[0].float().numpy()


def _names(args: Namespace, network: Network) -> list[str]:
    """The names of the values to print, `classes` of the .data file: its own, or numbers."""
    data = read_data(resolve(args.data))
    count, given = data.number("classes", 1), network[network.output_index].out_shape.size
    if not 0 < count <= given:
        raise DarknetError(f"{data.path}: classes={count}, but {args.cfg} gives {given} values")
    named = data.find("names")
    names = read_names(resolve(str(named))) if named is not None else []
    return [names[i] if i < len(names) else str(i) for i in range(count)]


def lay_over(frame: np.ndarray, mask: np.ndarray, network: tuple[int, int]) -> np.ndarray:
    """A frame and, over it, half as bright, the coloured mask of its letterbox; both uint8 RGB.

    Args:
        frame: `(height, width, 3)`.
        mask: of any size, for the whole of the network's input.
        network: the input's width and height.
    """
    from darknet_py.image import letterbox_size, resize_bytes

    width, height = (max(side, 1) for side in letterbox_size(frame.shape, *network))
    left, top = (network[0] - width) // 2, (network[1] - height) // 2
    inner = resize_bytes(mask, *network)[top : top + height, left : left + width]
    over = resize_bytes(inner, frame.shape[1], frame.shape[0])
    both: np.ndarray = frame // 2 + over // 2
    return both


def _command(
    name: str,
    doc: str,
    data: Argument,
    greeting: str,
    title: str,
    answer: Answer,
) -> Command:
    return Command(
        name,
        doc,
        (data, CFG, WEIGHTS, VIDEO),
        (
            *SHOWS,
            *FLAGS,
            Flag("clear", idle=True),
            Flag("gpus", kind=str, idle=True),
            Flag("display", idle=True),
        ),
        partial(_run, greeting, title, answer),
    )


_SEGMENT = (
    "Show what each pixel of a video's or a camera's frames is: the masks in their classes' "
    "colours over the frame. Esc in the window ends it."
)
COMMANDS = (
    _command(
        "regressor demo",
        "Print a network's values for each frame of a video or a camera, of its middle in grey, "
        "with the names of a .data file (names, classes). Esc in the window ends it.",
        DATA,
        "Regressor Demo",
        "Regressor",
        _regress,
    ),
    # PARITY: C greets so here, too (segmenter.c:demo_segmenter).
    _command("segmenter demo", _SEGMENT, DATA_UNUSED, "Classifier Demo", "Segmenter", _segment),
    _command("isegmenter demo", _SEGMENT, DATA_UNUSED, "Classifier Demo", "Segmenter", _segment),
)

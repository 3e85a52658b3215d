"""Networks that read and write text, one character at a time (C: rnn.c)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from darknet_py.datafile import PathName
from darknet_py.errors import CfgError, DarknetError
from darknet_py.layers.softmax import Softmax
from darknet_py.network import Network

LEAST = np.float32(0.0001)
"""What is less probable is never drawn."""


class TextGenerator:
    """A network over characters, or over the tokens of a list.

    >>> generator = TextGenerator(network, seed=1)
    >>> bytes(generator.generate(b"Once", 20))
    b'Once upon a time there w'
    """

    def __init__(
        self, network: Network, *, temperature: float = 1.0, seed: int | None = None
    ) -> None:
        """Take a network that holds its weights.

        Args:
            network: with one input for each symbol, and as many outputs.
            temperature: below 1 the probable becomes more so.
            seed: of the drawing; None: another one each time.

        Raises:
            DarknetError: the network is no such thing, or the temperature is not above 0.
        """
        if network.image.is_image:
            raise CfgError(f"{network.sections[0].path}: takes pictures, not text")
        if temperature <= 0:
            raise DarknetError(f"the temperature must be above 0, got {temperature}")
        self.network = network
        self.symbols = network.image.size
        self._random = np.random.default_rng(seed)
        network.eval()
        network.reset_state()
        for layer in network:
            if isinstance(layer, Softmax):
                layer.options = replace(layer.options, temperature=temperature)

    def feed(self, symbol: int, layer: int | None = None) -> np.ndarray:
        """Read one symbol; gives the probabilities of the next, or a layer's outputs.

        Raises:
            DarknetError: the network does not know the symbol.
        """
        if not 0 <= symbol < self.symbols:
            raise DarknetError(f"symbol {symbol} is beyond the network's {self.symbols} inputs")
        x = torch.zeros(1, self.symbols)
        x[0, symbol] = 1
        with torch.inference_mode():
            (out,) = self.network.run(x, None if layer is None else [layer])
        values: np.ndarray = out[0].float().flatten().numpy()
        return values

    def draw(self, probabilities: np.ndarray) -> int:
        """A symbol by chance; those below `LEAST` are left out (C: utils.c:sample_array)."""
        likely = np.where(probabilities < LEAST, np.float32(0), probabilities)
        total = likely.sum()
        if not total > 0:
            return len(likely) - 1
        steps = np.cumsum(likely / total, dtype=np.float32)
        place = int(np.searchsorted(steps, np.float32(self._random.random()), side="left"))
        return min(place, len(likely) - 1)

    def generate(self, start: Sequence[int], count: int) -> Iterator[int]:
        """The symbols of `start`, then `count` that the network adds (C: rnn.c:test_char_rnn)."""
        symbol = 0
        for symbol in start[:-1]:
            self.feed(symbol)
            yield symbol
        symbol = start[-1] if len(start) else 0
        yield symbol
        for _ in range(count):
            symbol = self.draw(self.feed(symbol))
            yield symbol

    def go_on(self, start: Sequence[int], count: int) -> Iterator[int]:
        """What the network adds to `start`, until a `.` ends a line (C: rnn.c:test_tactic_rnn)."""
        probabilities = np.ones(self.symbols, np.float32)
        for symbol in start:
            probabilities = self.feed(symbol)
        last = start[-1] if len(start) else -1
        for _ in range(count):
            symbol = self.draw(probabilities)
            if last == ord(".") and symbol == ord("\n"):
                return
            yield symbol
            last = symbol
            probabilities = self.feed(symbol)


@dataclass
class Perplexity:
    """How surprised a network is by a text, character by character (C: rnn.c:valid_char_rnn)."""

    count: int = 0
    words: int = 1
    bits: np.float32 = field(default_factory=lambda: np.float32(0))
    """Minus the sum of the characters' information."""

    def add(self, probability: float) -> None:
        """A character that had this probability."""
        information = math.log(probability) if probability > 0 else -math.inf
        self.count += 1
        self.bits = np.float32(float(self.bits) + information / float(np.float32(math.log(2))))

    @property
    def bits_per_character(self) -> float:
        """The mean information of a character."""
        return float(-self.bits / np.float32(self.count))

    @property
    def per_character(self) -> float:
        """The perplexity."""
        return _power(self.bits_per_character)

    @property
    def per_word(self) -> float:
        """The perplexity of a word."""
        return _power(float(-self.bits / np.float32(self.words)))


def _power(exponent: float) -> float:
    try:
        return math.pow(2, exponent)
    except OverflowError:
        return math.inf


def measure(
    generator: TextGenerator, text: Iterable[int], *, tactics: bool = False
) -> Iterator[Perplexity]:
    """The figures after each character of a text.

    Args:
        generator: it goes on from what it has read.
        text: of characters.
        tactics: only what stands between `>>` and a line that ends in `.` counts, as one word
            (C: rnn.c:valid_tactic_rnn).
    """
    figures = Perplexity()
    inside = not tactics
    previous: int | None = None
    for symbol in text:
        if previous is not None:
            probabilities = generator.feed(previous)
            pair = bytes((previous, symbol))
            if tactics and pair == b".\n":
                inside = False
            if inside:
                if not tactics and symbol in b" \n\t":
                    figures.words += 1
                figures.add(float(probabilities[symbol]))
                yield figures
            elif pair == b">>":
                inside = True
                figures.words += 1
        previous = symbol


def read_tokens(path: PathName) -> list[str]:
    """The tokens in a list, one a line; `<NEWLINE>` is the end of a line (C: rnn.c:read_tokens)."""
    from darknet_py.datafile import read_names

    return ["\n" if token == "<NEWLINE>" else token for token in read_names(path)]

"""Damaged cfg, weights and data files: each must work, or end in a DarknetError of one line.

Run as a program, `fuzz.py SEED FIRST LAST` tries the cases FIRST to LAST - 1 and prints what went
wrong, one line for each; test_fuzz.py starts it, so that its memory can be measured and limited.
"""

from __future__ import annotations

import random
import re
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path

import torch

from darknet_py.cfg import parse_cfg, read_cfg
from darknet_py.datafile import read_data, read_list, read_map, read_names, read_tree
from darknet_py.errors import DarknetError, DarknetWarning
from darknet_py.layers import SECTIONS, Head
from darknet_py.memory import find_peak
from darknet_py.network import NetOptions, Network
from darknet_py.options import keys
from darknet_py.schedule import ScheduleOptions
from darknet_py.table import operations, table
from darknet_py.weights import count_floats, load_weights, save_weights

SECONDS = 5
LIMIT = 2**30
NET = "[net]\nbatch=1\nheight=12\nwidth=10\nchannels=3\n"
BASES = [
    # every section at least once, each of these a network that runs
    NET + """[convolutional]\nfilters=4\nsize=3\npad=1\nbatch_normalize=1\nactivation=leaky
[maxpool]\nsize=2\nstride=2\n[local_avgpool]\nstride=1\nsize=2\n[batchnorm]\n[dropout]
[shuffle]\ngroups=2\n[route]\nlayers=-1,-3\n[upsample]\nstride=2\n[reorg3d]\nstride=2\n[avgpool]\n[connected]\noutput=5
activation=logistic\n[softmax]\n[cost]\n""",
    NET + """[conv]\nfilters=6\nsize=3\nstride=1\npad=1\ngroups=3\nactivation=mish
[convolutional]\nfilters=6\nsize=1\nactivation=linear\n[shortcut]\nfrom=-2\nactivation=relu
weights_type=per_feature\nweights_normalization=softmax\n[avg]\n[conv]\nfilters=6\n
[scale_channels]\nfrom=2\nactivation=linear\n[sam]\nfrom=2\n[implicit]\nfilters=6\n
[route]\nlayers=6\ngroups=2\ngroup_id=1\n[empty]\n[activation]\nactivation=tanh\n""",
    NET + """[convolutional]\nfilters=21\nsize=1\nactivation=linear\n[yolo]\nmask=0,1,2
anchors=3,4, 5,6, 7,2\nclasses=2\nnum=3\n[route]\nlayers=0\n[convolutional]\nfilters=22\nsize=1
activation=linear\n[Gaussian_yolo]\nmask=0,1\nanchors=3,4, 5,6\nclasses=2\nnum=2\n""",
    NET + """[convolutional]\nfilters=14\nactivation=linear\n[region]\nanchors=1,2,3,4\nclasses=2
num=2\nsoftmax=1\n""",
    NET + """[convolutional]\nfilters=4\nsize=3\nstride=2\n[reorg]\nstride=1\n[lrn]
size=3\n[l2norm]\n[local]\nfilters=3\nsize=2\nstride=1\nactivation=relu\n[connected]\noutput=44
activation=linear\n[detection]\nclasses=1\ncoords=4\nnum=2\nside=2\n""",
    NET + """[crop]\ncrop_height=9\ncrop_width=8\n[deconvolutional]\nfilters=2\nsize=2\nstride=2
[convolutional]\nfilters=24\nsize=1\n[iseg]\nclasses=4\nids=20\n""",
    NET + """[crnn]\nhidden_filters=4\noutput_filters=3\nbatch_normalize=1\n[logistic]\n""",
    NET + """time_steps=2\n[conv_lstm]\noutput=4\nsize=3\npad=1\npeephole=1\n[history]
history_size=2\n[convolutional]\nfilters=5\nsize=1\n[contrastive]\nclasses=3\n""",
    "[net]\ninputs=9\ntime_steps=3\n[rnn]\noutput=7\nhidden=5\n[gru]\noutput=6\n[lstm]\noutput=4\n"
    "batch_normalize=1\n[connected]\noutput=9\n[softmax]\ngroups=3\ntemperature=.5\n[cost]\n",
]  # fmt: skip
NUMBERS = ["0", "-1", "1", "2", "3", "7", "16", "255", "-7", "65536", "1000000", "2147483647",
           "-2147483648", "99999999999", "1e30", "-1e30", "1e-30", "0.5", "-.5", "", "x", "nan",
           "1,2", "1,,2", ",", "-1,-2", "0,0,0,0", "112#96"]  # fmt: skip
WORDS = ["leaky", "linear", "swish", "none", "per_channel", "relu", "avgpool", "steps", "no/such"]
DATA = [
    "a -1\nb -1\nc 0\nd 0\ne 1\n",
    "classes=2\ntrain=train.txt\nnames = a.names\nbackup=b/\n",
    "1\n2\n0\n3\n",
    "person\nbicycle\ntraffic light\n",
]


def damaged_text(text: str, rng: random.Random) -> str:
    """`text` after one to four accidents."""
    for _ in range(rng.randint(1, 4)):
        text = rng.choice(_TEXT_DAMAGE)(text, rng)
    return text


def _number(text: str, rng: random.Random) -> str:
    found = list(re.finditer(r"(?<==)[^\n]*", text))
    if not found:
        return text
    place = rng.choice(found)
    return text[: place.start()] + rng.choice(NUMBERS) + text[place.end() :]


def _key(text: str, rng: random.Random) -> str:
    """A key of its section with some value, after a line of that section."""
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    name = next((x[1:-1] for x in reversed(lines[: at + 1]) if x.startswith("[")), "")
    schemas = [SECTIONS[name].Options] if name in SECTIONS else [NetOptions, ScheduleOptions]
    chosen = rng.choice([key for schema in schemas for key in keys(schema)])
    value = rng.choice(NUMBERS if rng.random() < 0.8 else WORDS)
    return "\n".join([*lines[: at + 1], f"{chosen}={value}", *lines[at + 1 :]])


def _line(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    lines[at : at + 1] = [lines[at]] * rng.choice([0, 2])
    return "\n".join(lines)


def _section(text: str, rng: random.Random) -> str:
    """Sections swapped, dropped, doubled, or another one put in between."""
    parts = re.split(r"(?=^\[)", text, flags=re.M)
    a, b = rng.randrange(len(parts)), rng.randrange(len(parts))
    match rng.randrange(4):
        case 0:
            parts[a], parts[b] = parts[b], parts[a]
        case 1:
            del parts[a]
        case 2:
            parts.insert(b, parts[a])
        case _:
            parts.insert(max(a, 1), f"[{rng.choice(list(SECTIONS))}]\n")
    return "".join(parts)


def _byte(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + chr(rng.randrange(256)) + text[at + 1 :]


def _cut(text: str, rng: random.Random) -> str:
    return text[: rng.randrange(len(text) + 1)]


_TEXT_DAMAGE = [_number, _number, _number, _key, _key, _key, _line, _section, _byte, _cut]


def invented_text(rng: random.Random) -> str:
    """A cfg of sections and keys drawn at random."""
    text = f"[net]\nheight={rng.randint(1, 20)}\nwidth={rng.randint(1, 20)}\nchannels=3\n"
    for _ in range(rng.randint(1, 6)):
        text += f"[{rng.choice(list(SECTIONS))}]\n"
        for _ in range(rng.randint(0, 4)):
            text = _key(text, rng) if rng.random() < 0.1 else text + _own_key(text, rng)
    return text


def _own_key(text: str, rng: random.Random) -> str:
    name = text[text.rindex("[") + 1 : text.rindex("]")]
    chosen = rng.choice(list(keys(SECTIONS[name].Options)))
    return f"{chosen}={rng.choice([*map(str, range(-3, 9)), '-1,-2', '1,2', *WORDS])}\n"


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """`data` with bytes changed, cut off or put in."""
    changed = bytearray(data)
    match rng.randrange(5):
        case 0:
            for _ in range(rng.randint(1, 40)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
        case 1:
            del changed[rng.randrange(len(changed)) :]
        case 2:
            changed += rng.randbytes(rng.randrange(50))
        case 3:
            changed[:12] = rng.randbytes(12)
        case _:
            changed = bytearray(rng.randbytes(rng.randrange(300)))
    return bytes(changed)


def try_network(rng: random.Random, bases: list[str], folder: Path) -> None:
    """Build a network of a damaged or invented cfg; load, run and save it."""
    kind, base = rng.randrange(10), rng.choice(bases)
    text = base if kind < 2 else invented_text(rng) if kind < 4 else damaged_text(base, rng)
    path = folder / "a.cfg"
    path.write_bytes(text.encode("utf-8", errors="surrogateescape"))
    dialect = rng.choice([None, "pjreddie", "alexeyab"])
    network = Network(read_cfg(path), dialect, initialize=False)
    list(table(network))
    small = count_floats(network) < 2**20 and operations(network) < 2e8
    small = small and find_peak(list(network), network.image) < 2**20
    if not small:
        return
    network.initialize()
    weights = folder / "a.weights"
    save_weights(network, weights)
    if kind < 2:
        weights.write_bytes(damaged_bytes(weights.read_bytes(), rng))
    load_weights(network, weights)
    with torch.inference_mode():
        run(network)
        if network.image.is_image:
            network.resize(network.image.height + 5, network.image.width + 8)
            run(network)


def run(network: Network) -> None:
    """A forward pass, and the boxes of every head."""
    size = network.image
    sides = (size.channels, size.height, size.width) if size.is_image else (size.channels,)
    outputs = network(torch.rand(1, *sides))
    for layer, output in zip(network, outputs, strict=True):
        if isinstance(layer, Head):
            layer.decode(output[0], size, 0.1, 0.5)


def try_data(rng: random.Random, folder: Path) -> None:
    """Read damaged small files."""
    path = folder / "a.txt"
    text = damaged_text(rng.choice(DATA), rng)
    path.write_bytes(damaged_bytes(text.encode(), rng) if text and rng.random() < 0.3
                     else text.encode())  # fmt: skip
    read = rng.choice([read_data, read_list, read_map, read_names, read_tree])
    read(path)


def expire(signum: int, frame: object) -> None:
    """Fail a case that takes too long."""
    raise TimeoutError(f"took more than {SECONDS} s")


def try_case(
    seed: str, number: int, bases: list[str], folder: Path, ends: Counter[str]
) -> str | None:
    """What went wrong in a case, if anything did; how it ended is counted in `ends`."""
    rng = random.Random(f"{seed}-{number}")
    torch.manual_seed(number)
    signal.alarm(SECONDS)
    try:
        if number % 10 == 0:
            try_data(rng, folder)
        else:
            try_network(rng, bases, folder)
        ends["worked"] += 1
    except DarknetError as error:
        ends[type(error).__name__] += 1
        if "\n" in str(error) or not str(error):
            return f"error of more than a line: {error!r}"
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        ours = [f for f in traceback.extract_tb(error.__traceback__) if "darknet_py" in f.filename]
        at = ours[-1] if ours else place
        return f"{type(error).__name__}: {error} at {Path(at.filename).name}:{at.lineno}"
    finally:
        signal.alarm(0)
    return None


def main(seed: str, first: int, last: int) -> int:
    """Try the cases; the number that went wrong."""
    shared = Path(__file__).resolve().parents[2] / "shared" / "golden"
    extra = sorted(shared.glob("*/extra/*.cfg"))
    bases = [*BASES, *(path.read_text(encoding="utf-8") for path in extra)]
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, expire)
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", DarknetWarning)
    wrong, start = 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    peak, ends = start, Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        for number in range(first, last):
            message = try_case(seed, number, bases, Path(name), ends)
            now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            if message is None and now - start > LIMIT and now > peak:
                message = f"took {(now - start) / 2**20:.0f} MiB"
            peak = max(now, peak)
            if message is not None:
                wrong += 1
                cfg = Path(name, "a.cfg")
                text = cfg.read_text(encoding="utf-8", errors="replace") if cfg.exists() else ""
                sys.stdout.write(f"case {number}: {message}\n  {text!r}\n")
    mebibytes = (peak - start) / 2**20
    sys.stdout.write(f"{wrong} wrong, {dict(ends)}, {mebibytes:.0f} MiB more at the peak\n")
    return wrong


def check_bases() -> None:
    """The bases as they stand must build, run and have every section (a test of the test)."""
    names = set()
    for text in BASES:
        network = Network(parse_cfg(text))
        names |= {type(layer) for layer in network}
        with torch.inference_mode():
            run(network)
    missing = {layer.__name__ for layer in SECTIONS.values()} - {n.__name__ for n in names}
    assert not missing, missing


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])), 1))

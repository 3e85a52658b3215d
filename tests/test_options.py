import re
import warnings
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.cfg import parse_cfg
from darknet_py.dialect import ALEXEYAB, PJREDDIE
from darknet_py.errors import CfgError, DarknetWarning
from darknet_py.options import key, keys, parse_options


@dataclass(frozen=True)
class Options:
    filters: int = key("how many", 1)
    scale: float = key("how much", 0.5, alexeyab=0.25)
    pad: bool = key("whether", False)
    activation: str = key("which", "logistic")
    side: int | None = key("how long", None)
    layers: tuple[int, ...] = key("which ones", ())
    anchors: tuple[float, ...] = key("how large", ())
    groups: int = key("groups", 7, only="alexeyab")
    from_: int = key("where from", 0)


@dataclass(frozen=True)
class Required(Options):
    layers: tuple[int, ...] = key("the layers to join")


def parse(body, dialect=PJREDDIE, schema=Options, *others):
    (section,) = parse_cfg(f"[net]\n{body}", "a.cfg")
    return parse_options(schema, section, dialect, *others)


def test_defaults():
    assert parse("") == Options()
    assert parse("", ALEXEYAB) == Options(scale=0.25)


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ("filters=112 #96", "filters", 112),
        ("filters=+3.9", "filters", 3),
        ("filters=.9", "filters", 0),
        ("filters=-07x", "filters", -7),
        ("filters=1e3", "filters", 1),
        ("filters=0x10", "filters", 0),
        ("filters=2147483647", "filters", 2147483647),
        ("filters=000000000000001", "filters", 1),
        ("filters=5\nfilters=6", "filters", 5),
        ("scale=1e-2#x", "scale", 0.01),
        ("scale=.5.5", "scale", 0.5),
        ("scale=-1.", "scale", -1.0),
        ("scale=1e", "scale", 1.0),
        ("pad=2", "pad", True),
        ("pad=0.5", "pad", False),
        ("activation=leaky#x", "activation", "leaky#x"),
        ("side=4", "side", 4),
        ("layers=-1, 8", "layers", (-1, 8)),
        ("layers=-1,8,", "layers", (-1, 8)),
        ("layers = 124 ### P4, P5", "layers", (124,)),
        ("anchors=1.5,2 , 3x", "anchors", (1.5, 2.0, 3.0)),
        ("from=3", "from_", 3),
    ],
)
def test_values(body, field, value):
    assert getattr(parse(body), field) == value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("filters=two", "filters must be a number, got 'two'"),
        ("filters=٣", "filters must be a number, got '٣'"),
        (
            "filters=2147483648",
            "filters must be a whole number between -2147483648 and 2147483647, got '2147483648'",
        ),
        ("scale=1e39", "scale must be a number that float32 can hold, got '1e39'"),
        ("scale=nan", "scale must be a number, got 'nan'"),
        ("pad=true", "pad must be a number, got 'true'"),
        ("layers=1,,2", "layers must be a comma list, each a number, got '1,,2'"),
        ("layers=,", "layers must be a comma list, each a number, got ','"),
        ("anchors=1,x", "anchors must be a comma list, each a number, got '1,x'"),
        ("side=" + "x" * 100, f"side must be a number, got '{'x' * 57}...'"),
    ],
)
def test_bad_values_name_the_line(body, message):
    with pytest.raises(CfgError, match=f"^{re.escape(f'a.cfg:2: [net]: {message}')}$"):
        parse(body)


def test_a_required_key():
    message = r"^a\.cfg:1: \[net\]: layers is required: the layers to join$"
    with pytest.raises(CfgError, match=message):
        parse("", schema=Required)
    assert parse("layers=1", schema=Required).layers == (1,)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("filter=1", "a.cfg:2: [net]: unknown key 'filter' is ignored; did you mean 'filters'?"),
        ("zzzzz=1", "a.cfg:2: [net]: unknown key 'zzzzz' is ignored"),
        ("groups=9", "a.cfg:2: [net]: 'groups' is not read in dialect pjreddie and is ignored"),
        ("filters", "a.cfg:2: [net]: 'filters' is given no value and keeps its default"),
        # as in C the first line of a key counts, even without a value
        ("filters\nfilters=3", "a.cfg:2: [net]: 'filters' is given no value and keeps its default"),
    ],
)
def test_warnings(body, message):
    with pytest.warns(DarknetWarning, match=f"^{re.escape(message)}$"):
        assert parse(body) == Options()


def test_keys_of_another_schema_do_not_warn():
    @dataclass(frozen=True)
    class Other:
        batch: int = key("images", 1)

    assert parse("batch=2\nfilters=3", PJREDDIE, Options, Other) == Options(filters=3)
    assert list(keys(Options))[-1] == "from"


@given(st.dictionaries(st.sampled_from(list(keys(Options))), st.text(max_size=12)))
def test_any_value_is_read_or_named(values):
    body = "\n".join(f"{name}={value}" for name, value in values.items())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DarknetWarning)
        try:
            parse(body, ALEXEYAB)
        except CfgError as error:
            assert "\n" not in str(error)


REALS = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)


@given(st.integers(-(2**31), 2**31 - 1), REALS)
def test_numbers_survive(whole, real):
    options = parse(f"filters={whole}\nscale={real!r}\nlayers={whole},{whole}\nanchors={real!r}")
    assert (options.filters, options.layers) == (whole, (whole, whole))
    assert (options.scale, options.anchors) == (real, (real,))

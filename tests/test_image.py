import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import SHARED

from darknet_py.errors import DarknetWarning, ImageError
from darknet_py.image import (
    center_crop,
    crop,
    crop_middle,
    letterbox,
    letterbox_size,
    load_image,
    resize,
    resize_max,
    resize_min,
    save_image,
    to_bytes,
    to_float,
    to_planar,
)

LIBRARY = Path(os.environ.get("DARKNET_LIBRARY", "/usr/lib/darknet/libdarknet.so"))
NAMES = ("dog", "eagle", "giraffe", "horses", "kite", "person")
needs_shared = pytest.mark.skipif(
    not (SHARED / "golden").is_dir(), reason="shared/golden is missing"
)
needs_library = pytest.mark.skipif(
    not LIBRARY.is_file(), reason=f"{LIBRARY} (package darknet) is missing"
)


def noise(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).random((height, width, channels), np.float32)


def pixels(height=5, width=7, channels=3):
    return to_bytes(noise(height, width, channels))


def naive_resize(image, width, height):
    """image.c:resize_image, loop for loop."""
    f = np.float32
    old_height, old_width, channels = image.shape
    w_scale = f(old_width - 1) / f(width - 1)
    h_scale = f(old_height - 1) / f(height - 1)
    part = np.zeros((old_height, width, channels), f)
    for c in range(width):
        if c == width - 1 or old_width == 1:
            part[:, c] = image[:, old_width - 1]
        else:
            sx = f(c) * w_scale
            ix = int(sx)
            dx = sx - f(ix)
            part[:, c] = (1 - dx) * image[:, ix] + dx * image[:, ix + 1]
    out = np.zeros((height, width, channels), f)
    for r in range(height):
        sy = f(r) * h_scale
        iy = int(sy)
        dy = sy - f(iy)
        out[r] = (1 - dy) * part[iy]
        if r != height - 1 and old_height != 1:
            out[r] += dy * part[iy + 1]
    return out


@pytest.mark.parametrize(
    "old, new",
    [((5, 7), (11, 3)), ((9, 4), (4, 9)), ((1, 6), (3, 4)), ((6, 1), (4, 3)), ((50, 8), (6, 6))],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_resize_matches_the_c_loops_to_the_last_bit(old, new, channels):
    image = noise(*old, channels)
    np.testing.assert_array_equal(resize(image, *new), naive_resize(image, *new))


def test_resize_keeps_c_dark_last_row():
    heights = [
        (old, new)
        for old in range(40, 80)
        for new in range(20, 60)
        if int(np.float32(new - 1) * (np.float32(old - 1) / np.float32(new - 1))) < old - 1
    ]
    old, new = heights[0]
    image = np.ones((old, 3, 1), np.float32)
    assert resize(image, 4, new)[-1].max() < 0.01
    np.testing.assert_array_equal(resize(image, 4, new), naive_resize(image, 4, new))


def test_resize_to_one_pixel_where_c_crashes():
    image = noise(4, 5)
    np.testing.assert_array_equal(resize(image, 1, 1), image[-1:, -1:])


def test_resize_to_its_own_size_is_a_copy():
    image = noise(4, 5)
    same = resize(image, 5, 4)
    assert same is not image
    np.testing.assert_array_equal(same, image)


def test_resize_to_nothing():
    with pytest.raises(ImageError, match=r"^a picture cannot be resized to 0 x 3 pixels$"):
        resize(noise(4, 5), 0, 3)


@pytest.mark.parametrize(
    "old, box, inner",
    [((6, 9), (10, 8), (10, 6)), ((9, 6), (10, 8), (5, 8)), ((4, 4), (9, 9), (9, 9))],
)
def test_letterbox_centres_on_grey(old, box, inner):
    image = noise(*old)
    assert letterbox_size(image.shape, *box) == inner
    (width, height), (new_width, new_height) = box, inner
    expected = np.full((height, width, 3), 0.5, np.float32)
    left, top = (width - new_width) // 2, (height - new_height) // 2
    expected[top : top + new_height, left : left + new_width] = naive_resize(image, *inner)
    np.testing.assert_array_equal(letterbox(image, *box), expected)


def test_letterbox_of_a_line_shows_one_row():
    assert letterbox(noise(1, 500), 20, 20).shape == (20, 20, 3)


def test_shorter_or_longer_side():
    assert resize_min(noise(576, 768), 224).shape == (224, 298, 3)
    assert resize_min(noise(768, 576), 224).shape == (298, 224, 3)
    assert resize_max(noise(576, 768), 224).shape == (168, 224, 3)
    assert resize_max(noise(768, 576), 224).shape == (224, 168, 3)


def test_crop_repeats_the_edge():
    image = noise(3, 4)
    padded = np.pad(image, ((2, 2), (1, 1), (0, 0)), "edge")
    np.testing.assert_array_equal(crop(image, -1, -2, 6, 7), padded)


def test_crop_middle_cuts_towards_zero():
    image = noise(3, 4)
    np.testing.assert_array_equal(crop_middle(image, 2, 2), image[0:2, 1:3])
    np.testing.assert_array_equal(crop_middle(image, 4, 6), crop(image, 0, -1, 4, 6))


def test_center_crop_is_the_middle_square_resized():
    image = noise(5, 8)
    np.testing.assert_array_equal(center_crop(image, 3, 4), naive_resize(image[:, 1:6], 3, 4))


def test_bytes_and_floats_are_exact_inverses():
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_bytes(to_float(values)), values)
    np.testing.assert_array_equal(to_float(values), (values / 255.0).astype(np.float32))


def test_planar_is_channels_first_and_contiguous():
    image = noise(2, 3)
    planar = to_planar(image)
    assert planar.shape == (1, 3, 2, 3) and planar.flags.c_contiguous
    np.testing.assert_array_equal(planar[0, 1], image[..., 1])


def write_kinds(folder):
    """A picture in every form that decoders treat differently, by name."""
    rgb = np.random.default_rng(3).integers(0, 256, (5, 7, 3), np.uint8)
    alpha = np.dstack([rgb, np.full((5, 7), 90, np.uint8)])
    deep = rgb.astype(np.uint16) * 255 + 77
    for name, array in {"rgb": rgb, "grey": rgb[..., :1], "alpha": alpha, "deep": deep}.items():
        cv2.imwrite(str(folder / f"{name}.png"), array)
    smooth = cv2.resize(rgb, (40, 24))
    cv2.imwrite(str(folder / "plain.jpg"), smooth)
    cv2.imwrite(str(folder / "grey.jpg"), smooth[..., 0])
    jpeg = (folder / "plain.jpg").read_bytes()
    tag = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    marker = b"\xff\xe1" + struct.pack(">H", len(tag) + 2) + tag
    (folder / "turned.jpg").write_bytes(jpeg[:2] + marker + jpeg[2:])
    return rgb[..., ::-1]


def test_every_kind_becomes_rgb_bytes(tmp_path):
    rgb = write_kinds(tmp_path)
    np.testing.assert_array_equal(load_image(tmp_path / "rgb.png"), rgb)
    np.testing.assert_array_equal(load_image(tmp_path / "alpha.png"), rgb)
    np.testing.assert_array_equal(load_image(tmp_path / "deep.png"), (rgb * 255.0 + 77) // 256)
    grey = load_image(tmp_path / "grey.png")
    np.testing.assert_array_equal(grey, np.repeat(grey[..., :1], 3, 2))
    for path in tmp_path.iterdir():
        image = load_image(path)
        assert image.dtype == np.uint8 and image.shape[2] == 3
        assert load_image(path, channels=1).shape == (*image.shape[:2], 1)


def test_exif_turns_the_picture(tmp_path):
    write_kinds(tmp_path)
    plain, turned = load_image(tmp_path / "plain.jpg"), load_image(tmp_path / "turned.jpg")
    np.testing.assert_array_equal(turned, np.rot90(plain, -1))


def test_path_with_other_letters(tmp_path):
    path = tmp_path / "Bär 猫.png"
    save_image(pixels(), path)
    np.testing.assert_array_equal(load_image(path), pixels())


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "cannot be opened: No such file or directory"),
        (b"", "is empty"),
        (b"GIF?" * 20, r"is no picture, or a broken one \(PNG, JPEG, BMP, … are read\)"),
        ("folder", "cannot be opened: Is a directory"),
    ],
)
def test_what_is_no_picture(tmp_path, content, message):
    path = tmp_path / "a.png"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"^{path}: {message}$"):
        load_image(path)


def test_a_jpeg_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path):
    path = tmp_path / "a.jpg"
    save_image(pixels(90, 130), path)
    whole = load_image(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.warns(DarknetWarning, match=rf"^{path}: ends too early, a part is missing$"):
        image = load_image(path)
    np.testing.assert_array_equal(image, cv2.imread(str(path))[..., ::-1])
    np.testing.assert_array_equal(image[:24], whole[:24])
    path.write_bytes(data[:40])
    with pytest.raises(ImageError, match="is no picture, or a broken one"):
        load_image(path)


def test_a_picture_that_claims_to_be_huge(tmp_path):
    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 100000, 100000, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    with pytest.raises(ImageError, match=r"a\.png: cannot be decoded: [^\n]+$"):
        load_image(tmp_path / "a.png")


def test_path_with_a_zero_byte():
    with pytest.raises(ImageError, match="cannot be opened"):
        load_image("a\0.png")


def test_channels_that_no_picture_has(tmp_path):
    with pytest.raises(
        ImageError, match=r"^a\.png: pictures are read with 1 or 3 channels, not 4$"
    ):
        load_image("a.png", channels=4)


@pytest.mark.parametrize("name, exact", [("a.png", True), ("a.jpg", False), ("a.BMP", True)])
@pytest.mark.parametrize("channels", [1, 3])
def test_save_by_the_name_s_ending(tmp_path, name, exact, channels, capfd):
    save_image(pixels(channels=channels), tmp_path / name)
    back = load_image(tmp_path / name, channels)
    assert back.shape == (5, 7, channels)
    assert np.array_equal(back, pixels(channels=channels)) == exact
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert not capfd.readouterr().err


def test_quality_makes_the_file_larger(tmp_path):
    for quality in (20, 80, 95):
        save_image(pixels(50, 60), tmp_path / f"{quality}.jpg", quality)
    sizes = [(tmp_path / f"{quality}.jpg").stat().st_size for quality in (20, 80, 95)]
    assert sizes == sorted(set(sizes))


def test_save_refuses_what_cannot_be_encoded(tmp_path):
    with pytest.raises(ImageError, match=r"a\.pgm: the name must end in \.jpg, \.png or \.bmp$"):
        save_image(pixels(5, 6), tmp_path / "a.pgm")
    assert not list(tmp_path.iterdir())


def test_save_refuses_an_unknown_ending_and_a_missing_folder(tmp_path):
    with pytest.raises(ImageError, match=r"a\.xyz: the name must end in \.jpg, \.png or \.bmp$"):
        save_image(pixels(), tmp_path / "a.xyz")
    with pytest.raises(ImageError, match=r"a\.png: cannot be written: No such file or directory$"):
        save_image(pixels(), tmp_path / "none" / "a.png")


@needs_shared
@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_those_of_c(name):
    golden = np.load(SHARED / "golden" / "pjreddie" / "real" / f"tiny_{name}.npz")
    paths = {
        "stb": SHARED / "images" / "decoded" / f"{name}.png",
        "opencv": SHARED / "images" / f"{name}.jpg",
    }
    for decoder, path in paths.items():
        image = to_float(load_image(path))
        # the build of the goldens multiplies and adds in one step: its last bit differs
        found = {
            f"{decoder}_image64": image,
            f"{decoder}_letterbox_in64": letterbox(image, 224, 224),
            f"{decoder}_letterbox_in": letterbox(image, 224, 224),
            f"{decoder}_resize_min_in64": resize_min(image, 224),
            f"{decoder}_squash_in64": resize(image, 224, 224),
        }
        for key, value in found.items():
            np.testing.assert_allclose(samples(value, golden[key].size), golden[key], atol=1.5e-7)


def samples(image, count):
    flat = to_planar(image).ravel()
    return flat[np.linspace(0, flat.size - 1, count).astype(int)]


@needs_shared
@pytest.mark.parametrize(
    "model, suffix", [("tiny", ""), ("yolo-fastest-1.1", ""), ("yolo-fastest-1.1", "_letterbox")]
)
@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_those_of_alexeyab(model, suffix, name):
    folder = SHARED / "models" / model
    golden = json.loads((folder / f"alexeyab_{name}{suffix}.json").read_text())
    image = to_float(load_image(SHARED / "images" / "decoded" / f"{name}.png"))
    if model == "tiny":
        made = crop_middle(resize_min(image, 224), 224, 224)
    else:
        check_stats(image, golden["image_loaded"])
        fit = letterbox if suffix else resize
        made = fit(image, golden["net_w"], golden["net_h"])
    check_stats(made, golden["input"])


def check_stats(image, golden):
    np.testing.assert_allclose(
        samples(image, len(golden["samples"])), golden["samples"], atol=1.5e-7
    )
    assert image.size == golden["n"]
    assert image.mean(dtype=np.float64) == pytest.approx(golden["mean"], abs=1e-7)
    assert image.std(dtype=np.float64) == pytest.approx(golden["std"], abs=1e-7)


# The C library runs in a process of its own: it brings its own OpenCV.
RUN_C = """
import ctypes as c, json, sys
import numpy as np
library = c.CDLL(sys.argv[1])
class Image(c.Structure):
    _fields_ = [("w", c.c_int), ("h", c.c_int), ("c", c.c_int), ("data", c.POINTER(c.c_float))]
answers = {}
for number, (path, function, *arguments) in enumerate(json.loads(sys.argv[2])):
    library.load_image_color.restype = Image
    image = library.load_image_color(path.encode(), 0, 0)
    if function:
        call = getattr(library, function)
        call.restype, call.argtypes = Image, [Image] + [c.c_int] * len(arguments)
        image = call(image, *arguments)
    planes = np.ctypeslib.as_array(image.data, (image.c, image.h, image.w))
    answers[str(number)] = planes.transpose(1, 2, 0).copy()
np.savez(sys.argv[3], **answers)
"""


@needs_library
def test_the_installed_c_program_sees_the_same_bits(tmp_path):
    write_kinds(tmp_path)
    save_image(pixels(90, 130), tmp_path / "large.png")
    large = tmp_path / "large.png"
    jobs = [(path, "", None) for path in sorted(tmp_path.iterdir())]
    jobs += [
        (large, "resize_image", resize, 61, 47),
        (large, "resize_image", resize, 200, 301),
        (large, "letterbox_image", letterbox, 64, 96),
        (large, "letterbox_image", letterbox, 96, 32),
        (large, "resize_min", resize_min, 33),
        (large, "resize_max", resize_max, 150),
        (large, "crop_image", crop, -3, 20, 55, 99),
        (large, "center_crop_image", center_crop, 31, 41),
    ]
    arguments = json.dumps([(str(path), name, *rest) for path, name, _, *rest in jobs])
    answers = tmp_path / "answers.npz"
    subprocess.run(
        [sys.executable, "-c", RUN_C, str(LIBRARY), arguments, str(answers)],
        check=True,
        timeout=60,
    )
    expected = np.load(answers)
    for number, (path, name, function, *rest) in enumerate(jobs):
        image = to_float(load_image(path))
        if function:
            image = function(image, *rest)
        np.testing.assert_array_equal(image, expected[str(number)], f"{path.name} {name} {rest}")


@pytest.mark.parametrize(
    "old, new", [((90, 135), (61, 61)), ((300, 31), (64, 400)), ((9, 7), (5, 8))]
)
def test_bytes_are_resized_as_their_floats_are(old, new):
    image = pixels(*old)
    assert np.array_equal(resize(image, *new), resize(to_float(image), *new))
    assert np.array_equal(letterbox(image, *new), letterbox(to_float(image), *new))


def test_two_threads_make_the_same_picture(monkeypatch):
    image = noise(300, 450)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one = resize(image, 416, 333)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert np.array_equal(resize(image, 416, 333), one)

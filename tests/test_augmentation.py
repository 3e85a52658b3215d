"""Augmentation against C's formulas, written out."""

import math

import numpy as np
import pytest

from darknet_py.augmentation import colour, draws, geometry
from darknet_py.augmentation.mosaic import Quarter, append_boxes
from darknet_py.augmentation.windows import Draw, Window, WindowOptions

NOISE = np.random.default_rng(1).integers(0, 256, (24, 31, 3), np.uint8)


def c_pixel(image, x, y):
    """C: image.c:bilinear_interpolate, 0 outside."""
    ix, iy = math.floor(x), math.floor(y)
    dx, dy = x - ix, y - iy

    def at(i, j):
        inside = 0 <= i < image.shape[1] and 0 <= j < image.shape[0]
        return image[j, i] / 255 if inside else np.zeros(3)

    return ((1 - dy) * (1 - dx) * at(ix, iy) + dy * (1 - dx) * at(ix, iy + 1)
            + (1 - dy) * dx * at(ix + 1, iy) + dy * dx * at(ix + 1, iy + 1))  # fmt: skip


def near(actual, expected):
    """Within what OpenCV 4's warp may be off: a 32nd of a pixel."""
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() < 0.03
    assert np.abs(actual - expected).mean() < 0.005


def test_place_samples_as_c():
    canvas = np.full((20, 26, 3), 0.5, np.float32)
    expected = canvas.copy()
    geometry.place(NOISE, canvas, 5, -3, 17, 21)
    for y in range(21):
        for x in range(17):
            if 0 <= y - 3 < 20 and x + 5 < 26:
                expected[y - 3, x + 5] = c_pixel(NOISE, x / 17 * 31, y / 21 * 24)
    near(canvas, expected)


def test_rotate_and_crop_samples_as_c():
    angle, scale, dx, dy, aspect = 0.3, 0.8, 2.5, -1.5, 1.2
    actual = geometry.rotate_and_crop(NOISE, angle, scale, 18, 14, dx, dy, aspect)
    expected = np.zeros((14, 18, 3))
    for y in range(14):
        for x in range(18):
            right = (x - 18 / 2) / scale * aspect + dx / scale * aspect
            down = (y - 14 / 2) / scale + dy / scale
            rx = math.cos(angle) * right - math.sin(angle) * down + 31 / 2
            ry = math.sin(angle) * right + math.cos(angle) * down + 24 / 2
            expected[y, x] = c_pixel(NOISE, rx, ry)
    near(actual, expected)


def test_crop_and_resize_aligns_corners_and_repeats_edges():
    actual = geometry.crop_and_resize(NOISE, (-4, 3, 30, 25), 12, 9)
    rows = np.clip(np.arange(3, 28), 0, 23)
    columns = np.clip(np.arange(-4, 26), 0, 30)
    window = NOISE[rows][:, columns]
    expected = np.zeros((9, 12, 3))
    for y in range(9):
        for x in range(12):
            expected[y, x] = c_pixel(np.pad(window, ((0, 1), (0, 1), (0, 0))),
                                     x * 29 / 11, y * 24 / 8)  # fmt: skip
    near(actual, expected)


def c_distort(pixel, hue, saturation, exposure):
    """C: image.c:rgb_to_hsv, distort_image, hsv_to_rgb."""
    r, g, b = map(float, pixel)
    most, delta = max(r, g, b), max(r, g, b) - min(r, g, b)
    h = 0.0
    if delta:
        h = (g - b) / delta if r == most else 2 + (b - r) / delta if g == most else (
            4 + (r - g) / delta)  # fmt: skip
    h = (h + 6 if h < 0 else h) / 6 + hue
    s, v = (delta / most if most else 0) * saturation, most * exposure
    h = 6 * (h - 1 if h > 1 else h + 1 if h < 0 else h)
    i, f = int(h), h - int(h)
    p, q, t = v * (1 - s), v * (1 - s * f), v * (1 - s * (1 - f))
    out = [(v, t, p), (q, v, p), (p, v, t), (p, q, v), (t, p, v), (v, p, q)][min(i, 5)]
    return np.clip(out if s else (v, v, v), 0, 1)


@pytest.mark.parametrize("change", [(0.1, 1.5, 1.5), (-0.1, 0.6, 0.7), (-0.4, 1, 1)])
def test_distort_is_c_s(change):
    image = NOISE.astype(np.float32) / 255
    image[0, 0], image[0, 1], image[0, 2] = 0, 0.5, (1, 0, 0)
    expected = np.array([[c_distort(p, *change) for p in row] for row in image])
    np.testing.assert_allclose(colour.distort(image, *change), expected, atol=1e-5)


def test_grey_pictures_change_brightness_alone():
    grey = NOISE[:, :, :1]
    assert colour.distort(grey.astype(np.float32) / 255, 0.1, 2, 0.5).shape == grey.shape
    np.testing.assert_array_equal(
        colour.distort_bytes(grey, 0.1, 2, 0.5), np.rint(grey * 0.5).astype(np.uint8)
    )


def test_bytes_keep_the_hue_from_falling_below_0():
    image = np.uint8([[[200, 30, 20], [20, 30, 200]]])
    red, blue = colour.distort_bytes(image, -0.2, 1, 1)[0]
    assert red.tolist() == [200, 20, 20]  # hue 2 of 180 stops at 0
    assert blue[1] > 150  # blue turns on to green


def test_noise_only_brightens():
    noisy = colour.add_noise(np.random.default_rng(0), NOISE, 40)
    assert (noisy >= NOISE).all()
    assert 0.3 < (noisy > NOISE).mean() < 0.6


def test_blur_leaves_boxes_sharp():
    boxes = np.float32([[0.5, 0.5, 0.4, 0.5]])
    blurred = colour.blur_around(NOISE, boxes, 1)
    assert (blurred[8:16, 12:19] == NOISE[8:16, 12:19]).all()
    assert (blurred[:4] != NOISE[:4]).any()
    assert (colour.blur_around(NOISE, boxes[:0], 9) == NOISE).all()


def test_scale_is_above_and_below_1_alike():
    random = np.random.default_rng(0)
    values = np.array([draws.scale(random, 1.5) for _ in range(4000)])
    assert abs((values > 1).mean() - 0.5) < 0.05
    assert values.max() <= 1.5 and values.min() >= 1 / 1.5
    assert abs(values[values > 1].mean() - 1.25) < 0.02
    assert abs((1 / values[values < 1]).mean() - 1.25) < 0.02


def test_every_picture_has_a_place_after_a_shuffle():
    random = np.random.default_rng(0)
    assert sorted(draws.shuffle(random, 9)) == list(range(9))
    assert draws.shuffle(random, 0) == []


DRAW = Draw((0.0, 1.0, 0.5, 0.25), (0.0, 1.0), False, 0.0, 1.0, 1.0, 0, 0)


@pytest.mark.parametrize(
    "options, expected",
    [
        (WindowOptions(jitter=0.2), (-20, 20, 0, -5)),
        (WindowOptions(jitter=0.2, resize=1.5), (-45, 36, -12, 3)),
        (WindowOptions(jitter=0.2, resize=0.5), (-70, 20, -25, -5)),
        (WindowOptions(jitter=0.2, letter_box=True), (-20, 20, -25, -30)),
    ],
)
def test_windows_are_c_s(options, expected):
    # 100 x 50 pixels; least and most cuts by resize 1.5 are -25 and 16, -12 and 8
    window = Window.of(DRAW, options, (100, 50), (64, 64))
    assert (window.left, window.right, window.top, window.bottom) == expected


def test_a_window_without_pixels_is_the_whole_picture():
    assert Window(60, 60, 0, 0).box(100, 50) == (0, 0, 100, 50)
    assert Window(-10, 20, 5, 5).box(100, 50) == (-10, 5, 90, 40)


def test_a_quarter_outside_of_its_bounds_is_cut_or_left_out():
    quarter = Quarter(3, (40, 50), 100, 100)
    rows = np.zeros((5, 6), np.float32)
    rows[0] = 0.3, 0.3, 0.4, 0.2, 2, 9  # moved by .4, .5: from .5, .7 to .9, .9
    rows[1] = 0.55, 0.45, 0.3, 0.3, 1, 9  # from .8 to 1.1 and from .8 to 1.1
    rows[2] = 0.9, 0.9, 0.1, 0.1, 0, 9  # outside
    truth = np.zeros((4, 6), np.float32)
    truth[0] = 0.1, 0.1, 0.1, 0.1, 0, 0
    quarter.add_boxes(truth, rows, bound=True)
    expected = [[0.7, 0.8, 0.4, 0.2, 2, 0], [0.9, 0.9, 0.2, 0.2, 1, 0], [0] * 6]
    np.testing.assert_allclose(truth[1:], expected, atol=0.011)


def test_mixup_appends_boxes_without_tracks():
    truth, rows = np.zeros((3, 6), np.float32), np.full((3, 6), 0.5, np.float32)
    truth[0] = 0.2
    append_boxes(truth, rows)
    assert truth[:, 0].tolist() == [np.float32(0.2), 0.5, 0.5]
    assert truth[:, 5].tolist() == [np.float32(0.2), 0, 0]

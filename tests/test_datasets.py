"""Data of detectors: boxes move with their pixels, batches depend on their key alone."""

import warnings

import numpy as np
import pytest
from helpers import SHARED
from pictures_on_disk import BOX, detector, find_marks, network, write_pictures

from darknet_py.bad_list import BadList
from darknet_py.datasets import dataset_of, save_views
from darknet_py.datasets.boxes import Move, fill_grid, fill_rows
from darknet_py.datasets.sequences import Sequences
from darknet_py.errors import CfgError, DarknetWarning, DataError
from darknet_py.labels import BoxLabels


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("data"))


def check_boxes(image, rows, slack=1.6):
    """Each truth row frames pixels of its class's colour, and none of them lies outside of all."""
    height, width = image.shape[1:]
    seen = 0
    for number in range(3):
        marks = find_marks(image, number)
        covered = np.zeros_like(marks)
        for x, y, w, h in rows[rows[:, 4] == number][:, :4]:
            if not x:
                continue
            left, right = (x - w / 2) * width, (x + w / 2) * width
            top, bottom = (y - h / 2) * height, (y + h / 2) * height
            rim = np.s_[max(int(top - slack), 0) : int(np.ceil(bottom + slack)),
                        max(int(left - slack), 0) : int(np.ceil(right + slack))]  # fmt: skip
            covered[rim] = True
            if min(w * width, h * height) < 8:
                continue
            inner = marks[int(top + 2) : int(bottom - 2), int(left + 2) : int(right - 2)]
            assert inner.mean() > 0.9, (number, x, y, w, h)
            ys, xs = np.nonzero(marks[rim])
            assert abs(np.ptp(xs) + 1 - (right - left)) < 3 and abs(np.ptp(ys) + 1 - h * height) < 3
            seen += 1
        assert (marks & ~covered).sum() <= 0.02 * marks.size
    return seen


@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
@pytest.mark.parametrize("size", [(3, 64, 64), (3, 48, 96), (3, 112, 56)])
@pytest.mark.parametrize(
    "net, head",
    [
        ("", "jitter=0"),
        ("", "jitter=.3"),
        ("hue=.03\nsaturation=1.2\nexposure=1.2", "jitter=.2"),
        ("letter_box=1", "jitter=.2"),
        ("flip=0\ngaussian_noise=10", "jitter=.1\nresize=1.5"),
        ("contrastive=1\ncontrastive_color=1", "jitter=.2\nresize=.7"),
    ],
)
def test_boxes_move_with_their_pixels(listed, net, head, size, dialect):
    only = dialect == "pjreddie" and ("=1\n" in f"{net}\n" or "resize" in head)
    if only:
        pytest.skip("keys of AlexeyAB's")
    data = dataset_of(detector(net, head, dialect, size=size), listed, seed=3)
    values = 5 if dialect == "pjreddie" else 6
    seen = 0
    for iteration in range(4):
        batch = data.batch(iteration)
        assert batch.inputs.shape == (4, *size) and batch.truth.shape == (4, 6 * values)
        assert batch.inputs.min() >= 0 and batch.inputs.max() <= 1
        for image, truth in zip(batch.inputs, batch.truth, strict=True):
            seen += check_boxes(image, truth.reshape(6, values))
    assert seen >= 12


@pytest.mark.parametrize("bound", [1])
@pytest.mark.parametrize("head", ["jitter=.2", "jitter=.3\nresize=1.5"])
def test_boxes_of_a_mosaic_move_with_their_pixels(listed, bound, head):
    net = detector(f"mosaic=1\nmosaic_bound={bound}", head, size=(3, 96, 128))
    data = dataset_of(net, listed, seed=1)
    seen = mosaics = 0
    for iteration in range(10):
        batch = data.batch(iteration)
        for image, truth in zip(batch.inputs, batch.truth, strict=True):
            rows = truth.reshape(6, 6)
            count = int((rows[:, 0] > 0).sum())
            mosaics += count > 1
            if len(set(rows[:count, 4])) == count:  # else two may touch
                seen += check_boxes(image, rows)
    assert mosaics > 5 and seen > 20


def test_a_mosaic_keeps_no_track_and_every_other_picture_is_none(listed):
    data = dataset_of(detector("mosaic=1", "jitter=0"), listed)
    truth = np.concatenate([data.batch(i).truth for i in range(20)]).reshape(-1, 6, 6)
    single = truth[:, 0, 5] > 0
    assert 0.3 < single.mean() < 0.7
    assert not truth[~single][:, :, 5].any()
    assert (truth[single][:, 1:] == 0).all()


def test_mixup_is_the_mean_of_two_with_the_boxes_of_both(listed):
    data = dataset_of(detector("mixup=1\nflip=0", "jitter=0"), listed)
    seen = 0
    for iteration in range(6):
        batch = data.batch(iteration)
        for image, truth in zip(batch.inputs, batch.truth, strict=True):
            rows = truth.reshape(6, 6)
            if rows[1, 0]:
                np.testing.assert_allclose(rows[:2, :4], [BOX, BOX], atol=1e-6)
                middle = image[:, 35, 25]
                expected = np.full(3, 20 / 255)
                for name in rows[:2, 4].astype(int):
                    expected[name] += 115 / 255
                np.testing.assert_allclose(middle, expected, atol=0.01)
                seen += 1
    assert seen > 5


def test_contrastive_rows_are_views_of_one_picture(listed):
    data = dataset_of(detector("contrastive=1\nexposure=1.5", "jitter=.3"), listed)
    batch = data.batch(0)
    assert batch.paths[0] == batch.paths[1] and batch.paths[2] == batch.paths[3]
    np.testing.assert_allclose(batch.truth[0], batch.truth[1])  # the same place
    assert np.abs(batch.inputs[0] - batch.inputs[1]).max() < 0.01  # and colour
    free = "contrastive=1\ncontrastive_jit_flip=1\ncontrastive_color=1\nexposure=1.5"
    batch = dataset_of(detector(free, "jitter=.3"), listed).batch(0)
    assert batch.paths[0] == batch.paths[1]
    assert np.abs(batch.truth[0] - batch.truth[1]).max() > 0.01


def test_frames_of_a_sequence_follow_one_another():
    order = Sequences(streams=3, rows=24, subdivisions=2, sequential=2, speed=4)
    for place in (0, 12):
        assert {order.first(5, place + i) for i in range(12)} == {place}
        frames = np.array([order.frame(5, place + i, 100, 7, 0, False) for i in range(12)])
        steps = np.diff(frames.reshape(4, 3), axis=0) % 100
        assert len(set(steps.ravel())) == 1 and 1 <= steps[0, 0] <= 4
    longer = Sequences(3, 24, 2, 2, 4, steps=(10,), scales=(0.5,))
    assert (longer.first(9, 20), longer.first(10, 20)) == (12, 0)


def test_tracked_rows_share_their_window(listed):
    net = detector("track=1\ntime_steps=2\nsequential_subdivisions=1", "jitter=.3")
    data = dataset_of(net, listed)
    batches = [data.batch(0, 0), data.batch(0, 1)]
    assert data.form.images == 8
    boxes = np.concatenate([b.truth for b in batches]).reshape(-1, 6, 6)[:, 0, :4]
    assert np.abs(boxes - boxes[0]).max() < 1e-6
    assert np.abs(data.batch(1).truth[0, :4] - boxes[0]).max() > 0.01


def test_grid_truth_of_detection(listed):
    body = (
        "[connected]\noutput=72\nactivation=linear\n"
        "[detection]\nclasses=3\ncoords=4\nside=3\nnum=1\njitter=0\n"
    )
    for dialect in ("pjreddie", "alexeyab"):
        data = dataset_of(network(body, dialect=dialect), listed)
        batch = data.batch(0)
        grid = batch.truth.reshape(4, 3, 3, 8)
        assert (grid[..., 0].sum((1, 2)) == 1).all()
        for image, cells in zip(batch.inputs, grid, strict=True):
            ((row, column),) = np.argwhere(cells[..., 0])
            cell = cells[row, column]
            x, y = (column + cell[4]) / 3, (row + cell[5]) / 3
            rows = np.float32([[x, y, cell[6], cell[7], cell[1:4].argmax()]])
            assert cell[:4].sum() == 2
            assert check_boxes(image, rows) == 1


def test_cells_keep_their_first_box():
    values = np.float32([[0.2, 0.2, 0.1, 0.1], [0.25, 0.2, 0.1, 0.1], [0.9, 0.9, 0.002, 0.5]])
    labels = BoxLabels(np.array([0, 1, 2]), values, np.arange(3))
    truth = np.zeros((2, 2, 8), np.float32)
    move = Move(1, 1, 0, 0, False)
    fill_grid(truth, labels, move, np.random.default_rng(0), 0.005)
    assert truth[0, 0, 0] == 1 and truth[0, 0, 1:4].sum() == 1
    assert not truth[1].any()


def test_small_boxes_go_and_the_surplus_goes_first():
    values = np.float32([[0.5, 0.5, 0.2, 0.2]] * 3 + [[0.5, 0.5, 0.001, 0.2]] * 5)
    labels = BoxLabels(np.arange(8), values, np.arange(8) + 40)
    counts = set()
    for seed in range(40):
        truth = np.zeros((3, 6), np.float32)
        random = np.random.default_rng(seed)
        fill_rows(truth, labels, Move(1, 1, 0, 0, False), random, (0.01, 0.01))
        count = int((truth[:, 0] > 0).sum())
        assert (truth[:count, 4] < 3).all() and not truth[count:].any()
        assert (truth[:count, 5] == truth[:count, 4] + 40).all()
        counts.add(count)
    assert len(counts) > 2


def test_rows_depend_on_seed_iteration_and_place_alone(listed):
    net = detector("mosaic=1\nblur=1\ngaussian_noise=5", "jitter=.3")
    data, again = dataset_of(net, listed, seed=5), dataset_of(net, listed, seed=5)
    first = data.batch(7, 1)
    again.batch(3)
    for other in (again.batch(7, 1), data.batch(7, 1)):
        assert (other.inputs == first.inputs).all() and (other.truth == first.truth).all()
    halves = [data.batch(7, i, images=2) for i in (2, 3)]
    assert (np.concatenate([half.inputs for half in halves]) == first.inputs).all()
    assert (data.batch(8, 1).inputs != first.inputs).any()
    assert (dataset_of(net, listed, seed=6).batch(7, 1).inputs != first.inputs).any()
    assert data.batch(7, 1, size=(32, 96)).inputs.shape == (4, 3, 32, 96)


def test_a_missing_label_file_is_no_object(tmp_path):
    listed = write_pictures(tmp_path)
    for name in "abc":
        (tmp_path / "images" / f"{name}.txt").unlink()
    data = dataset_of(detector(), listed, bad=tmp_path)
    with pytest.warns(DarknetWarning, match="there is no label file here: no objects"):
        batch = data.batch(0)
        data.batch(1)
        data.batch(2)
    assert not batch.truth.any()
    names = sorted((tmp_path / "bad.list").read_text().split())
    assert names == [str(tmp_path / "images" / f"{name}.txt") for name in "abc"]


def test_relative_paths_count_from_the_list_too(tmp_path):
    write_pictures(tmp_path)
    (tmp_path / "near.list").write_text("images/a.png\n")
    data = dataset_of(detector(), tmp_path / "near.list")
    assert data.batch(0).truth.any()


def test_errors(tmp_path, listed):
    (tmp_path / "x.list").write_text("none.png\n")
    data = dataset_of(detector(), tmp_path / "x.list")
    with pytest.raises(DataError, match=r"^none\.png: cannot be opened: No such file"):
        data.batch(0)
    (tmp_path / "x.list").write_text("\n")
    with pytest.raises(DataError, match=r"x\.list: names no image$"):
        dataset_of(detector(), tmp_path / "x.list")
    with pytest.raises(CfgError, match=r"letter_box=1 and mosaic=1 do not go together$"):
        dataset_of(detector("letter_box=1\nmosaic=1"), listed)
    with pytest.raises(DataError, match=r"^the kind of data must be one of detector, "):
        dataset_of(detector(), listed, "cats")
    with pytest.warns(DarknetWarning, match="cutmix is for classifiers alone"):
        dataset_of(detector("cutmix=1"), listed)


def test_pictures_to_look_at(tmp_path, listed):
    data = dataset_of(detector(), listed)
    paths = save_views(data, 3, tmp_path, data.batch(3))
    assert [path.name for path in paths] == [f"aug_3_{i}.jpg" for i in range(4)]
    assert all(path.is_file() for path in paths)


@pytest.mark.skipif(not (SHARED / "data" / "bccd").is_dir(), reason="shared/data is missing")
@pytest.mark.parametrize("dialect", ["pjreddie", "alexeyab"])
def test_bccd_has_objects_and_nothing_bad(tmp_path, dialect):
    folder = SHARED / "data" / "bccd"
    data = dataset_of(detector(dialect=dialect), folder / "train.txt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = data.batch(0)
    assert batch.truth.any(1).all()


def test_a_bad_list_travels_without_its_contents(tmp_path):
    import pickle

    assert pickle.loads(pickle.dumps(BadList(tmp_path))).folder is None

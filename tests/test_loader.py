"""Batches made ahead: the same by any number of workers, whole errors, clean ends."""

import threading
from itertools import count

import numpy as np
import pytest
from pictures_on_disk import detector, write_pictures

from darknet_py.datasets import dataset_of
from darknet_py.errors import DarknetWarning, DataError
from darknet_py.loader import Loader


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    listed = write_pictures(tmp_path_factory.mktemp("data"))
    return dataset_of(detector("mosaic=1", "jitter=.3"), listed, seed=4)


def loaded(data, iterations=range(5, 8), **options):
    with Loader(data, iterations, **options) as loader:
        return list(loader)


def same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert (a.inputs == b.inputs).all() and (a.truth == b.truth).all() and a.paths == b.paths


def test_any_number_of_workers_gives_the_same(data):
    plain = [data.batch(*divmod(i, 2)) for i in range(10, 16)]
    for workers in (0, 1, 3):
        same(loaded(data, workers=workers), plain)


def test_processes_give_the_same(data):
    same(loaded(data, workers=2, processes=True), loaded(data, workers=0))


def test_more_subdivisions_and_shares_are_the_same_rows(data):
    whole = np.concatenate([batch.inputs for batch in loaded(data)])
    parts = np.concatenate([batch.inputs for batch in loaded(data, subdivisions=8)])
    assert (whole == parts).all()
    ranks = [loaded(data, share=(rank, 2)) for rank in (0, 1)]
    joined = [part.inputs for pair in zip(*ranks, strict=True) for part in pair]
    assert (whole == np.concatenate(joined)).all()
    with pytest.raises(DataError, match=r"^8 images of an iteration cannot be divided into 3 sub"):
        Loader(data, range(1), subdivisions=3)


def test_sizes_may_change(data):
    batches = loaded(data, size_of=lambda iteration: (32 * iteration, 64))
    assert [batch.inputs.shape[2] for batch in batches] == [160, 160, 192, 192, 224, 224]


def test_it_can_be_closed_at_any_time(data):
    threads = threading.active_count()
    with Loader(data, count(), workers=2, ahead=6) as loader:
        next(loader)
    assert threading.active_count() == threads
    with pytest.raises(StopIteration):
        next(loader)


@pytest.mark.parametrize("processes", [False, True])
def test_a_worker_s_error_names_the_file(tmp_path, processes):
    path = tmp_path / "x.list"
    path.write_text("none.png\n")
    loader = Loader(dataset_of(detector(), path), range(9), workers=2, processes=processes)
    with pytest.raises(
        DataError, match=r"^none\.png: cannot be opened: No such file or directory$"
    ):
        next(loader)
    with pytest.raises(StopIteration):
        next(loader)


@pytest.mark.parametrize("processes", [False, True])
def test_bad_labels_are_told_here(tmp_path, processes):
    listed = write_pictures(tmp_path)
    (tmp_path / "images" / "b.txt").write_text("8 .5 .5 .1 .1\n")
    data = dataset_of(detector(), listed, bad=tmp_path)
    with pytest.warns(DarknetWarning, match=r"b\.txt:1: class 8 is not one of 0 to 2; skipped"):
        loaded(data, range(4), workers=2, processes=processes)
    assert len((tmp_path / "bad.list").read_text().splitlines()) == 1


def test_mini_batches_of_another_size_may_be_of_another_number_of_rows(data):
    sizes = {5: None, 6: (32, 32), 7: (64, 96)}
    asked = []

    def rows(size, images):
        asked.append((size, images))
        return 3 if size == (32, 32) else 1

    batches = loaded(data, size_of=sizes.get, images_of=rows, workers=0)
    usual = data.form.images
    assert [len(batch.inputs) for batch in batches] == [usual, usual, 3, 3, 1, 1]
    assert asked == [((32, 32), usual), ((64, 96), usual)]
    assert batches[2].paths + batches[3].paths == data.batch(6, 0, (32, 32), 6).paths

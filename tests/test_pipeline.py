import itertools
import threading

import pytest

from darknet_py.errors import DarknetError, ImageError
from darknet_py.pipeline import batch_size, overlap
from darknet_py.shape import Shape


def prepare(item):
    if item % 7 == 3:
        raise ImageError(f"{item}: is no picture")
    return item * 10


def test_results_come_in_order_with_their_errors():
    batches = []

    def run(batch):
        batches.append(len(batch))
        return [value + 1 for value in batch]

    results = list(overlap(range(20), prepare, run, 4))
    assert [result.item for result in results] == list(range(20))
    for result in results:
        if result.item % 7 == 3:
            with pytest.raises(ImageError, match=f"^{result.item}: is no picture$"):
                result.get()
        else:
            assert result.get() == (result.item * 10, result.item * 10 + 1)
    assert max(batches) == 4
    assert sum(batches) == 17


def test_only_a_few_items_are_held():
    read = []
    endless = overlap(itertools.count(1), lambda item: read.append(item), lambda batch: batch, 2)
    for _ in range(3):
        next(endless)
    endless.close()
    assert len(read) < 16


def test_reading_and_running_happen_beside_the_caller():
    threads = {}

    def note(what, value):
        threads.setdefault(what, set()).add(threading.get_ident())
        return value

    results = overlap(range(6), lambda i: note("read", i), lambda b: note("run", list(b)), 2)
    assert [result.output for result in results] == list(range(6))
    assert threading.get_ident() not in threads["read"] | threads["run"]
    assert len(threads["run"]) == 1


def test_a_batch_that_fails_gives_its_error_to_each():
    def run(batch):
        raise DarknetError("there is not enough memory")

    assert [str(result.error) for result in overlap(range(3), lambda i: i, run, 2)] == [
        "there is not enough memory"
    ] * 3


def test_other_errors_are_not_hidden():
    def run(batch):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(overlap(range(3), lambda i: i, run, 2))


def test_batches_are_small_where_pictures_are_large():
    assert batch_size(Shape(3, 32, 32)) == 16
    assert batch_size(Shape(3, 416, 416)) == 6
    assert batch_size(Shape(3, 2000, 2000)) == 1

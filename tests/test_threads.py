"""How many threads: as the environment says, else as many as there are processors for us."""

import pytest

from darknet_py.threads import count_threads, given_threads


@pytest.mark.parametrize(
    "text, given", [("3", 3), ("", None), ("0", None), ("two", None), ("-1", None), ("²", None)]
)
def test_the_environment_says_how_many(text, given, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 2}, raising=False)
    assert given_threads() == given
    assert count_threads() == (given or 2)


def test_else_as_many_as_there_are_processors(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 5)
    assert count_threads() == 5

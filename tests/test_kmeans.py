"""Anchors by k-means, against C's loops."""

import numpy as np
import pytest

from darknet_py.draw import draw_clusters
from darknet_py.errors import DarknetError
from darknet_py.evaluation.kmeans import average_iou, cluster, find_anchors


def boxes(count=120):
    r = np.random.default_rng(4)
    groups = np.array([[20, 30], [60, 50], [150, 200]])
    return (groups[r.integers(0, 3, count)] * r.lognormal(0, 0.25, (count, 2))).astype(np.float32)


def distance(a, b):
    shared = np.float32(min(a[0], b[0])) * np.float32(min(a[1], b[1]))
    return np.float32(1) - shared / (a[0] * a[1] + b[0] * b[1] - shared)


def c_kmeans(data, centres):
    """matrix.c:do_kmeans."""
    centres, assigned = centres.copy(), [0] * len(data)
    for iterations in range(1000):  # noqa: B007
        closest = [int(np.argmin([distance(box, c) for c in centres])) for box in data]
        converged, assigned = closest == assigned, closest
        if converged:
            break
        sums, counts = np.zeros_like(centres), [0] * len(centres)
        for box, number in zip(data, assigned, strict=True):
            counts[number] += 1
            sums[number] = sums[number] + box
        for number, count in enumerate(counts):
            if count:
                centres[number] = sums[number] / np.float32(count)
    return centres, iterations


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_clusters_are_those_of_cs_loops(count):
    data = boxes()
    found = cluster(data, data[:count])
    centres, iterations = c_kmeans(data, data[:count])
    centres = centres[np.argsort(centres.prod(1), kind="stable")]
    np.testing.assert_array_equal(found.centres, centres)
    assert found.iterations == iterations
    best = [1 - min(distance(box, centre) for centre in centres) for box in data]
    assert found.average_iou == pytest.approx(np.mean(best), rel=1e-5)
    number = found.assignments[0]
    assert distance(data[0], centres[number]) == min(distance(data[0], c) for c in centres)


def test_one_cluster_is_the_mean_box():
    data = boxes()
    np.testing.assert_allclose(cluster(data, data[:1]).centres, data.mean(0)[None], rtol=1e-6)


def test_an_empty_cluster_stays():
    data = np.array([[10, 10], [11, 10], [10, 12]], np.float32)
    found = cluster(data, np.array([[10, 10], [500, 500]], np.float32))
    assert found.centres[1].tolist() == [500, 500]


def test_more_runs_are_never_worse():
    data = boxes()
    one = find_anchors(data, 4, np.random.default_rng(1))
    many = find_anchors(data, 4, np.random.default_rng(1), runs=5)
    assert many.average_iou >= one.average_iou
    assert average_iou(data, many.centres) == many.average_iou


def test_too_few_boxes():
    with pytest.raises(DarknetError) as error:
        find_anchors(boxes(3), 4, np.random.default_rng(1))
    assert str(error.value) == "4 clusters cannot be made of 3 boxes"


def test_the_cloud_shows_boxes_and_anchors():
    data = boxes()
    found = cluster(data, data[:3])
    cloud = draw_clusters(data, found.assignments, found.centres, (320, 320))
    assert cloud.shape == (700, 700, 3)
    x, y = (found.centres[0] * 700 / 320).astype(int)
    assert cloud[y, x // 2].tolist() == [255, 255, 255]  # the lower edge of the frame
    assert len(np.unique(cloud.reshape(-1, 3), axis=0)) > 4

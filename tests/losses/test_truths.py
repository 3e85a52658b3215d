"""Reading objects from a truth, and doing what must happen in order all at once."""

import torch
from helpers import assert_close

from darknet_py.losses.boxes import box_iou
from darknet_py.losses.truths import best_objects, best_overlaps, read_truths, rounds


def test_a_row_without_x_ends_the_list_and_strange_classes_are_left_out():
    truth = torch.zeros(2, 5, 6)
    truth[0, 0] = torch.tensor([0.1, 0.2, 0.3, 0.4, 2, 7])
    truth[0, 1] = torch.tensor([0.2, 0.2, 0.3, 0.4, 3, 8])
    truth[0, 2] = torch.tensor([0.3, 0.2, 0.3, 0.4, 0, 9])
    truth[0, 4] = torch.tensor([0.4, 0.2, 0.3, 0.4, 0, 9])
    truth[1, 0] = torch.tensor([0.5, 0.2, 0.3, 0.4, -1, 1])
    found = read_truths(truth.flatten(1), 6, 4, 3)
    assert found.classes.tolist() == [2, 0]
    assert found.tracks.tolist() == [7, 9]
    assert found.images.tolist() == [0, 0]
    assert found.counts == [2, 0]
    assert_close(found.boxes, truth[0, [0, 2], :4])


def test_the_limit_counts():
    truth = torch.full((1, 6, 5), 0.5)
    assert read_truths(truth.flatten(1), 5, 4, 1).counts == [4]


def test_overlaps_are_those_of_the_own_image():
    boxes = torch.rand(4, 2, 7, generator=torch.Generator().manual_seed(0))
    truth = torch.zeros(2, 3, 5)
    truth[0, :3] = torch.rand(3, 5, generator=torch.Generator().manual_seed(1))
    truth[1, :2] = torch.rand(2, 5, generator=torch.Generator().manual_seed(2))
    truths = read_truths(truth.flatten(1), 5, 3, 1)
    wanted = torch.ones(2, 7, dtype=torch.bool)
    wanted[1, 3] = False
    all_of_them = [box_iou(boxes[:, b].T[:, None], truth[b, : 3 - b, :4][None]) for b in range(2)]
    expected = torch.stack([overlaps.amax(1) for overlaps in all_of_them])
    expected[1, 3] = 0
    assert_close(best_overlaps(boxes, truths, wanted), expected)
    chosen = expected > 0
    which = torch.stack([overlaps.argmax(1) + 3 * b for b, overlaps in enumerate(all_of_them)])
    assert best_objects(boxes, truths, chosen).tolist() == which[chosen].tolist()


def test_rounds_keep_the_order_within_a_key():
    found = rounds(torch.tensor([5, 3, 5, 5, 3, 9]))
    assert [sorted(turn.tolist()) for turn in found] == [[0, 1, 5], [2, 4], [3]]
    assert rounds(torch.tensor([], dtype=torch.long)) == []

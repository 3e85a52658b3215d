import json
import math

import numpy as np
import pytest
import torch
from helpers import SHARED, fill

from darknet_py.cfg import parse_cfg
from darknet_py.classifier import Classifier
from darknet_py.datafile import read_tree
from darknet_py.errors import CfgError, DarknetError, DarknetWarning, ImageError
from darknet_py.hierarchy import multiply_down
from darknet_py.image import save_image
from darknet_py.network import Network
from darknet_py.results import Classification
from darknet_py.scorer import top_k
from darknet_py.weights import save_weights

TINY = SHARED / "models" / "tiny"
IMAGES = ("dog", "eagle", "giraffe", "horses", "kite", "person")
needs_shared = pytest.mark.skipif(not TINY.is_dir(), reason="shared/models is missing")

BODY = """[net]
height=6
width=8
channels={}

[convolutional]
filters=4
size=3
stride=2
pad=1
batch_normalize=1
activation=leaky

[avgpool]

[softmax]
{}
"""


def small(channels=3, softmax="", path="small.cfg", dialect="pjreddie", **options):
    network = Network(parse_cfg(BODY.format(channels, softmax), str(path)), dialect)
    fill(network)
    return Classifier(network, **options)


def picture(height=13, width=9, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


@pytest.fixture(scope="module")
def tiny():
    def load(dialect="pjreddie", preprocess=None, **options):
        names = TINY / "tiny.names"
        return Classifier.load(
            TINY / "tiny.cfg",
            TINY / "tiny.weights",
            names,
            dialect=dialect,
            preprocess=preprocess,
            device="cpu",
            **options,
        )

    return load


@needs_shared
@pytest.mark.parametrize(
    "preprocess, images",
    [("letterbox", IMAGES), ("resize_min", ("dog", "kite")), ("squash", ("dog", "person"))],
)
def test_every_probability_is_c_s(tiny, preprocess, images):
    classifier = tiny(preprocess=preprocess)
    for image in images:
        golden = np.load(SHARED / "golden" / "pjreddie" / "real" / f"tiny_{image}.npz")
        for decoder, file in (("stb", f"decoded/{image}.png"), ("opencv", f"{image}.jpg")):
            (scores,) = classifier.predict([SHARED / "images" / file])
            expected = golden[f"{decoder}_{preprocess}_out"]
            np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5)
            assert top_k(scores, 1) == top_k(expected, 1)


@needs_shared
def test_every_probability_is_alexeyab_s(tiny):
    classifier = tiny("alexeyab")
    assert classifier.preprocess == "crop"
    for image in IMAGES:
        golden = json.loads((TINY / f"alexeyab_{image}.json").read_text())
        path = SHARED / "images" / "decoded" / f"{image}.png"
        (scores,) = classifier.predict([path])
        np.testing.assert_allclose(scores, golden["all"], rtol=0, atol=1e-5)
        best = classifier.classify(path, top=10)
        assert [b.class_id for b in best] == [g["class_id"] for g in golden["top10"]]


@needs_shared
def test_the_figures_of_the_tiny_darknet_page(tiny):
    classifier = tiny(preprocess="resize_min")
    best = classifier.classify(SHARED / "golden" / "pjreddie" / "real" / "dog_stb.png")
    page = {
        "malamute": 0.167168,
        "Eskimo dog": 0.065828,
        "dogsled": 0.063020,
        "standard schnauzer": 0.051153,
        "Siberian husky": 0.037506,
    }
    assert [answer.name for answer in best] == list(page)
    assert [f"{b.probability:.6f}" for b in best] == [f"{p:.6f}" for p in page.values()]


@needs_shared
def test_half_precision_agrees_on_the_answer(tiny):
    path = SHARED / "images" / "eagle.jpg"
    whole, half = (tiny(half=h).classify(path, top=3) for h in (False, True))
    assert half[0].name == whole[0].name == "bald eagle"
    assert half[0].probability == pytest.approx(whole[0].probability, abs=0.05)
    assert half[0].probability != whole[0].probability


@needs_shared
def test_half_leaves_the_weights_whole(tiny):
    assert {p.dtype for p in tiny(half=True).network.parameters()} == {torch.float32}


def test_path_array_and_list_give_the_same(tmp_path):
    classifier = small()
    save_image(picture(), tmp_path / "a.png")
    one = classifier.classify(picture())
    assert classifier.classify(tmp_path / "a.png") == one
    assert classifier.classify(str(tmp_path / "a.png")) == one
    assert all(isinstance(answer, Classification) for answer in one)
    assert sum(answer.probability for answer in one) == pytest.approx(1)


@pytest.mark.parametrize("preprocess", ["letterbox", "crop", "resize_min", "squash"])
def test_a_list_is_as_good_as_one_by_one(preprocess):
    classifier = small(preprocess=preprocess)
    pictures = [picture(9 + number, 20 - number, seed=number) for number in range(18)]
    together = classifier.predict(pictures)
    alone = np.concatenate([classifier.predict([one]) for one in pictures])
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    answers = classifier.classify(pictures, top=2)
    assert [len(answer) for answer in answers] == [2] * 18
    assert classifier.classify([]) == []


def test_resize_min_resizes_the_network_and_puts_it_back():
    classifier = small(preprocess="resize_min")
    assert classifier.prepare(picture(20, 10)).shape == (1, 3, 16, 8)
    assert classifier.prepare(picture(10, 20)).shape == (1, 3, 8, 16)
    before = classifier.network.image
    classifier.classify(picture(10, 20))
    assert classifier.network.image == before


def test_a_layer_that_takes_no_other_size_names_itself():
    text = "[net]\nheight=6\nwidth=8\nchannels=3\n[connected]\noutput=4\n[softmax]"
    classifier = Classifier(Network(parse_cfg(text, "a.cfg")), preprocess="resize_min")
    before = classifier.network.image
    with pytest.raises(CfgError, match=r"^a\.cfg:5: \[connected\]: "):
        classifier.classify(picture(10, 20))
    assert classifier.network.image == before


def test_grey_networks_take_grey_pictures(tmp_path):
    classifier = small(channels=1)
    save_image(picture(channels=1), tmp_path / "a.png")
    answer = classifier.classify(tmp_path / "a.png")
    assert answer == classifier.classify(picture(channels=1))
    assert answer == classifier.classify(picture(channels=1)[..., 0])


@pytest.mark.parametrize(
    "wrong, message",
    [
        (picture() / 255, "got float64 (13, 9, 3)"),
        (picture()[..., 0], "got uint8 (13, 9)"),
        (picture(channels=1), "got uint8 (13, 9, 1)"),
    ],
)
def test_arrays_that_are_no_picture(wrong, message):
    with pytest.raises(ImageError) as error:
        small().classify(wrong)
    expected = "a picture must be a uint8 array (height, width, 3), "
    assert str(error.value) == expected + message


def test_array_without_pixels():
    with pytest.raises(ImageError, match=r"^a picture must have pixels, got shape \(0, 9, 3\)$"):
        small().classify(picture(height=0))


def test_names_are_a_list_or_a_file(tmp_path):
    classifier = small(names=["a", "b", "c", "d", "and more"])
    assert {answer.name for answer in classifier.classify(picture())} == set("abcd")
    cfg, weights, names = (tmp_path / f"small.{end}" for end in ("cfg", "weights", "names"))
    cfg.write_text(BODY.format(3, ""))
    names.write_text("a\nb\nc\nd\n")
    save_weights(classifier.network, weights)
    for form in (names, str(names), ["a", "b", "c", "d"]):
        loaded = Classifier.load(cfg, weights, form, device="cpu")
        assert loaded.classify(picture()) == classifier.classify(picture())


@pytest.mark.parametrize("dialect, bits", [("pjreddie", False), ("alexeyab", True)])
def test_only_alexeyab_cuts_weights_to_bits(tmp_path, dialect, bits):
    cfg, weights = tmp_path / "small.cfg", tmp_path / "small.weights"
    cfg.write_text(BODY.format(3, "").replace("[convolutional]", "[convolutional]\nxnor=1"))
    save_weights(Network.from_cfg(cfg, dialect), weights)
    classifier = Classifier.load(cfg, weights, dialect=dialect, device="cpu")
    assert classifier.network[0].bits is bits


def test_without_names_classes_are_numbered():
    assert {answer.name for answer in small().classify(picture())} == set("0123")


def test_a_list_of_names_that_is_too_short():
    message = r"^2 names for 4 classes: the classes are numbered instead$"
    with pytest.warns(DarknetWarning, match=message):
        classifier = small(names=["a", "b"])
    assert classifier.names == ["0", "1", "2", "3"]


def test_more_than_there_is():
    assert len(small().classify(picture(), top=99)) == 4
    with pytest.raises(DarknetError, match=r"^top must be at least 1, got 0$"):
        small().classify(picture(), top=0)


def test_unknown_preprocess_and_device(tmp_path):
    message = r"^preprocess must be one of letterbox, crop, resize_min, squash, got 'zoom'$"
    with pytest.raises(DarknetError, match=message):
        small(preprocess="zoom")
    cfg, weights = tmp_path / "small.cfg", tmp_path / "small.weights"
    cfg.write_text(BODY.format(3, ""))
    save_weights(small().network, weights)
    with pytest.raises(DarknetError, match=r"^no device toaster: "):
        Classifier.load(cfg, weights, device="toaster")


def test_networks_that_are_no_classifiers():
    yolo = "[net]\nheight=8\nwidth=8\nchannels=21\n[yolo]\nclasses=2\nnum=3\nmask=0,1,2"
    with pytest.raises(
        CfgError, match=r"^y\.cfg: finds objects and is no classifier: use Detector$"
    ):
        Classifier(Network(parse_cfg(yolo, "y.cfg")))
    text = "[net]\ninputs=8\n[connected]\noutput=2"
    with pytest.raises(CfgError, match=r"^t\.cfg: takes 8 values and no picture$"):
        Classifier(Network(parse_cfg(text, "t.cfg")))


def write_tree(folder):
    """Two roots; 0 has 2 and 3 below it."""
    path = folder / "a.tree"
    path.write_text("animal -1\nplant -1\ndog 0\ncat 0\n")
    return path


@pytest.mark.parametrize("dialect, leaves", [("pjreddie", True), ("alexeyab", False)])
def test_a_tree_multiplies_down(tmp_path, dialect, leaves):
    tree = write_tree(tmp_path)
    classifier = small(softmax=f"tree={tree}", path=tmp_path / "small.cfg", dialect=dialect)
    network = classifier.network
    (shares,) = network.run(torch.from_numpy(classifier.prepare(picture())))
    animal, plant, dog, cat = shares[0].tolist()
    assert animal + plant == pytest.approx(1) and dog + cat == pytest.approx(1)
    (scores,) = classifier.predict([picture()])
    expected = [0 if leaves else animal, plant, animal * dog, animal * cat]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_multiply_down_matches_the_c_loop(tmp_path):
    path = tmp_path / "deep.tree"
    path.write_text("a -1\nb -1\nc 0\nd 0\ne 1\nf 2\ng 2\nh 5\n")
    tree = read_tree(path)
    shares = np.random.default_rng(0).random((2, 9), np.float32)
    expected = shares.copy()
    for j, parent in enumerate(tree.parents):
        if parent >= 0:
            expected[:, j] *= expected[:, parent]
    found = shares.copy()
    multiply_down(found, tree, leaves_only=False)
    np.testing.assert_array_equal(found, expected)
    multiply_down(shares, tree, leaves_only=True)
    expected[:, [0, 1, 2, 5]] = 0
    np.testing.assert_array_equal(shares, expected)


def naive_top_k(scores, count):
    """utils.c:top_k, loop for loop."""
    index = [-1] * count
    for i in range(len(scores)):
        current = i
        for j in range(count):
            if index[j] < 0 or scores[current] > scores[index[j]]:
                current, index[j] = index[j], current
                if current < 0:  # C goes on with what it never reads again
                    break
    return index


@pytest.mark.parametrize("levels", [2, 3, 10, 1000])
def test_ties_come_in_c_s_order(levels):
    random = np.random.default_rng(levels)
    for count in (1, 2, 5, 40):
        scores = (random.integers(0, levels, 40) / levels).astype(np.float32)
        assert top_k(scores, count) == naive_top_k(scores.tolist(), count)


def test_top_k_with_what_is_no_number():
    scores = np.array([0.1, math.nan, 0.3], np.float32)
    assert len(top_k(scores, 2)) == 2

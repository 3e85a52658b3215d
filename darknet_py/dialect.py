"""Where the two Darknet forks disagree: one documented field for each difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from darknet_py.errors import DarknetError


@dataclass(frozen=True)
class Dialect:
    """What one fork does where the forks differ; each field cites the C it follows.

    docs/parity.md lists the fields, each with its test.
    """

    name: Literal["pjreddie", "alexeyab"]
    """Which keys are read, which defaults hold and how printed lines look."""
    batchnorm_epsilon: Literal["outside", "inside"]
    """`sqrt(variance) + 1e-6` (pjreddie, blas.c:normalize_cpu) or `sqrt(variance + 1e-5)`
    (AlexeyAB, blas.c:normalize_cpu)."""
    batchnorm_variance: Literal["sample", "population"]
    """Training normalises by the variance over N - 1 (pjreddie, blas.c:variance_cpu) or over N
    (AlexeyAB, as cuDNN does), and differentiates `sqrt(variance + 1e-5)` in either."""
    convolution_start: Literal["normal", "uniform"]
    """How a convolution's first weights are drawn (convolutional_layer.c:
    make_convolutional_layer): pjreddie scale * rand_normal(), AlexeyAB
    scale * rand_uniform(-1, 1), with one scale."""
    recurrent_keeps_state: bool
    """Whether the state of an [rnn] outlives a mini-batch of training: pjreddie's GPU code keeps
    it, AlexeyAB's zeroes it (rnn_layer.c:forward_rnn_layer_gpu)."""
    recurrent_input_gradient: Literal["state", "self"]
    """What the input's part of an [rnn] and [crnn] learns from: the state's gradient (AlexeyAB's
    GPU code), or that gradient after it went through the activation and batch norm of the state's
    own part (pjreddie, rnn_layer.c:backward_rnn_layer, crnn_layer.c)."""
    batchnorm_layer_learns: bool
    """Whether a standalone [batchnorm] is updated: AlexeyAB's is (batchnorm_layer.c:
    update_batchnorm_layer_gpu), pjreddie's has no such function."""
    multiscale: Literal["table", "factor"]
    """Sizes of `random=1` (detector.c:train_detector): pjreddie 320 to 608, square; AlexeyAB the
    cfg's times or over a factor up to 1.4, or up to `random`, in steps of `resize_step`."""
    batchnorm_biases: bool
    """Whether a standalone [batchnorm] keeps biases in the weights file: AlexeyAB does
    (parser.c:save_batchnorm_weights), pjreddie does not."""
    shortcut: Literal["sampled", "flat"]
    """What [shortcut] adds where sizes differ: pjreddie every n-th pixel of the common channels
    (blas.c:shortcut_cpu), AlexeyAB the first values in memory order, from any number of layers
    (blas.c:shortcut_multilayer_cpu)."""
    xnor_groups: bool
    """Whether an xnor=1 [convolutional] keeps its groups: pjreddie does, AlexeyAB makes them 1
    (convolutional_layer.c:make_convolutional_layer)."""
    gru_parts: Literal["wu", "uw"]
    """Which parts of a [gru] stand first in a file (parser.c:load_weights_upto): pjreddie those
    of the state (w), AlexeyAB those of the input (u)."""
    lstm_gates: Literal["ifog", "figo"]
    """The gates of an [lstm] in a file (parser.c:load_weights_upto): pjreddie i f o g,
    AlexeyAB f i g o."""
    recurrent_is_image: bool
    """Whether [rnn] and [lstm] give an image of one pixel: AlexeyAB's make_rnn_layer sets
    out_w, out_h and out_c, pjreddie's leaves them 0."""
    crnn_swaps_sides: bool
    """Whether a [crnn] takes width for height (parser.c:parse_crnn): pjreddie gives
    make_crnn_layer w, h where it takes h, w; AlexeyAB does not."""
    version: tuple[int, int, int]
    """Major, minor and revision that parser.c:save_weights_upto writes: 0,2,0 or 0,2,5."""
    wide_transposed_header: bool
    """Whether a weights file of version 1000 and more has the 20 byte header, too
    (parser.c:load_weights_upto): pjreddie reads 16 bytes of it, AlexeyAB 20."""
    letterbox: bool
    """Whether `detect` keeps the aspect ratio. detector.c:test_detector: pjreddie always,
    AlexeyAB with -letter_box."""
    thresh: float
    """`detect`'s threshold: darknet.c, pjreddie .5, AlexeyAB .24."""
    region_layout: Literal["planar", "interleaved"]
    """What [region] gives: one map for each value of each anchor, as it came (pjreddie), or each
    cell's anchors with their values in a row, x and y raw (AlexeyAB); with it come the order and
    the scores of the boxes. region_layer.c:forward_region_layer, get_region_detections,
    get_region_boxes."""
    box_thickness: float
    """Width of drawn lines over the image's height: image.c, draw_detections .006,
    draw_detections_v3 .002."""
    draws_best_class: bool
    """Whether a box is drawn in its likeliest class's colour, likeliest box last
    (image.c:draw_detections_v3), or in its first class's, in order (draw_detections)."""
    classify_fit: Literal["letterbox", "crop"]
    """How `classifier predict` fits an image: classifier.c:predict_classifier, pjreddie
    letterbox, AlexeyAB the shorter side to the network's, and the middle of that."""
    bit_weights: bool
    """Whether commands that answer cut the weights of `xnor=1` layers to their signs for good:
    AlexeyAB, network.c:calculate_binary_weights; pjreddie has no such function."""
    classify_leaves: bool
    """Whether `classifier predict` answers only with the leaves of a class tree:
    classifier.c:predict_classifier, pjreddie yes, AlexeyAB no."""
    ops_divide_by_groups: bool
    """Whether `ops` divides a convolution's count by its groups: darknet.c:numops, pjreddie yes,
    AlexeyAB (darknet.c:operations) no."""
    surgery_reaches_lstm: bool
    """Whether `reset`, `normalize` and `statistics` take in the parts of an [lstm]: darknet.c,
    AlexeyAB yes, pjreddie no; `denormalize` does in neither."""
    label_path: Literal["anywhere", "folders"]
    """How an image's path becomes its label file's: pjreddie replaces `images`, `JPEGImages`,
    `raw` and the ending wherever they stand first (data.c:fill_truth_detection), AlexeyAB whole
    folders and the ending at the end (utils.c:replace_image_to_label)."""
    yolo_spares: Literal["overlap", "likely"]
    """Which boxes that overlap an object by `ignore_thresh` are not taught to be background:
    pjreddie's yolo_layer.c all, AlexeyAB's those that score some class above .25
    (compare_yolo_class)."""
    yolo_boxes_add_up: bool
    """Whether the deltas of several objects in one box add up (AlexeyAB, delta_yolo_box) or the
    last one's stands (pjreddie)."""
    yolo_first_class_tells: bool
    """Whether a box counts as taught by the delta of its first class (pjreddie,
    delta_yolo_class) or by that of the object's class (AlexeyAB)."""
    labels_before_map: bool
    """Whether labels are held against `classes` before `map` is looked up: AlexeyAB yes
    (yolo_layer.c:process_batch, region_layer.c:forward_region_layer), pjreddie never."""
    truth_values: Literal[5, 6]
    """Values of a box in the truth: x, y, w, h, class; AlexeyAB's data.c:fill_truth_detection
    adds the box's track."""
    detector_view: Literal["placed", "cropped"]
    """How data.c:load_data_detection varies an image: pjreddie shrinks it to a random aspect and
    puts it somewhere on grey, AlexeyAB cuts a random window, and knows mosaic, mixup, blur."""
    least_grid_box: float
    """The narrowest box, as a part of the image, that [detection]'s truth takes in
    (data.c:fill_truth_region): pjreddie .005, AlexeyAB .001."""
    classifier_view: Literal["ratios", "crops"]
    """Where data.c:load_image_augment_paths cuts: pjreddie may look beyond the image's edges and
    scales by min_ratio and max_ratio, AlexeyAB stays inside, by min_crop and max_crop."""
    tag_path: Literal["images", "imgs"]
    """Where the tags of an image stand (data.c:load_tags_paths)."""
    stream_jump: int
    """A stream of text jumps once in so many batches (rnn.c:train_char_rnn): 64 or 10."""
    oneoff: tuple[int, float]
    """How many filters `oneoff` loads, and what it multiplies the start by: darknet.c:oneoff,
    pjreddie 11921 and .1, AlexeyAB 9372 and nothing."""


PJREDDIE = Dialect(
    name="pjreddie",
    batchnorm_epsilon="outside",
    batchnorm_variance="sample",
    convolution_start="normal",
    recurrent_keeps_state=True,
    yolo_spares="overlap",
    yolo_boxes_add_up=False,
    yolo_first_class_tells=True,
    labels_before_map=False,
    recurrent_input_gradient="self",
    batchnorm_layer_learns=False,
    multiscale="table",
    batchnorm_biases=False,
    xnor_groups=True,
    shortcut="sampled",
    gru_parts="wu",
    lstm_gates="ifog",
    recurrent_is_image=False,
    crnn_swaps_sides=True,
    version=(0, 2, 0),
    wide_transposed_header=False,
    letterbox=True,
    thresh=0.5,
    region_layout="planar",
    box_thickness=0.006,
    draws_best_class=False,
    classify_fit="letterbox",
    bit_weights=False,
    classify_leaves=True,
    ops_divide_by_groups=True,
    surgery_reaches_lstm=False,
    label_path="anywhere",
    truth_values=5,
    detector_view="placed",
    least_grid_box=0.005,
    classifier_view="ratios",
    tag_path="images",
    stream_jump=64,
    oneoff=(11921, 0.1),
)
ALEXEYAB = Dialect(
    name="alexeyab",
    batchnorm_epsilon="inside",
    batchnorm_variance="population",
    convolution_start="uniform",
    recurrent_keeps_state=False,
    yolo_spares="likely",
    yolo_boxes_add_up=True,
    yolo_first_class_tells=False,
    labels_before_map=True,
    recurrent_input_gradient="state",
    batchnorm_layer_learns=True,
    multiscale="factor",
    batchnorm_biases=True,
    xnor_groups=False,
    shortcut="flat",
    gru_parts="uw",
    lstm_gates="figo",
    recurrent_is_image=True,
    crnn_swaps_sides=False,
    version=(0, 2, 5),
    wide_transposed_header=True,
    letterbox=False,
    thresh=0.24,
    region_layout="interleaved",
    box_thickness=0.002,
    draws_best_class=True,
    classify_fit="crop",
    bit_weights=True,
    classify_leaves=False,
    ops_divide_by_groups=False,
    surgery_reaches_lstm=True,
    label_path="folders",
    truth_values=6,
    detector_view="cropped",
    least_grid_box=0.001,
    classifier_view="crops",
    tag_path="imgs",
    stream_jump=10,
    oneoff=(9372, 1.0),
)
DIALECTS = {dialect.name: dialect for dialect in (PJREDDIE, ALEXEYAB)}


def get_dialect(name: str | Dialect) -> Dialect:
    """The dialect of that name.

    Raises:
        DarknetError: there is none.
    """
    if isinstance(name, Dialect):
        return name
    if name not in DIALECTS:
        raise DarknetError(f"dialect must be {' or '.join(DIALECTS)}, got {name!r}")
    return DIALECTS[name]

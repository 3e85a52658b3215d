"""The flags of both forks that the commands share, with C's names and defaults."""

from __future__ import annotations

from dataclasses import replace

from darknet_py.cli.arguments import Argument, Flag, file_name

DATA = Argument("data", "the .data file, which says where the names are")
CFG = Argument("cfg", "the .cfg file; one that the package brings is found too (cfg/tiny.cfg)")
WEIGHTS = Argument("weights", "the .weights file")
MODEL_DATA = replace(DATA, in_model=True)
CFG_OR_MODEL = Argument(
    "cfg",
    "the .cfg file; one that the package brings is found too (cfg/tiny.cfg). Or a model that "
    "convert wrote, .onnx, .xml or .safetensors, or a name that download knows (yolov4): then "
    "WEIGHTS is left out, DATA may be",
)
MODEL_WEIGHTS = replace(WEIGHTS, in_model=True)
IMAGES = Argument(
    "image",
    "images, folders of images or .txt lists of images; without one they are asked for on "
    "standard input, until it ends",
    required=False,
    many=True,
)

DIALECT = Flag(
    "dialect",
    "whose rules, defaults and printed lines hold (default: found from the cfg)",
    str,
    choices=("pjreddie", "alexeyab"),
)
NAMES = Flag("names", "the class names, one a line, in place of the .data file's", file_name)
MODEL = (
    DIALECT,
    NAMES,
    Flag("i", "the GPU to use, where there is one (default: 0)", int),
    Flag("gpus", "GPUs, as 0,1: the first is used", str),
    Flag("nogpu", "run on the CPU"),
    Flag("device", "a torch device, such as cpu, cuda:1 or mps", str),
    Flag("half", "compute with 16 bits: float16, on the CPU bfloat16"),
    Flag("quiet", "do not print the table of layers and the loading of weights"),
)
BACKEND = (
    Flag(
        "compile",
        "compile the network as a whole, with a C++ compiler, and keep the result for the next "
        "time",
    ),
    Flag(
        "backend",
        "what runs the network: torch, or onnxruntime or openvino, for which it is converted once "
        "and kept, or auto, the fastest of them here, which is measured once (default: torch)",
        str,
        choices=("torch", "onnxruntime", "openvino", "auto"),
    ),
    Flag("int8", "convolutions with 8 bits, by openvino or onnxruntime; needs -calibration"),
    Flag("calibration", "the folder of pictures that -int8 finds its ranges on", file_name),
    Flag(
        "accuracy",
        "a folder of pictures: first print how far the answers on them are from those of torch in "
        "32 bits",
        file_name,
    ),
)
CUDA = (Flag("cuda_debug_sync", idle=True), Flag("benchmark_layers", idle=True))
WINDOWS = (Flag("dont_show", idle=True), Flag("fullscreen", idle=True))
"""Nothing here opens a window, so that none is waited for."""

EXT_OUTPUT = Flag("ext_output", "print each box in pixels behind its class")
OUT = Flag(
    "out",
    "the picture to write, without .jpg (default: predictions); a name that ends in .json, and "
    "any name in dialect alexeyab, is a JSON file of all boxes",
    file_name,
)
SAVE_LABELS = Flag("save_labels", "write each image's boxes to a label file beside it")
LETTERBOX = Flag(
    "letter_box", "keep the image's aspect ratio (dialect pjreddie always does in detect)"
)
HIER = Flag("hier", "where the walk down a tree of classes stops (default: 0.5)", float, 0.5)
CAMERA = (
    Flag("c", kind=int, idle=True),
    Flag("s", kind=int, idle=True),
    Flag("avg", kind=int, idle=True),
    Flag("prefix", kind=str, idle=True),
    Flag("mjpeg_port", kind=int, idle=True),
    Flag("json_port", kind=int, idle=True),
    Flag("out_filename", kind=str, idle=True),
    Flag("json_file_output", kind=str, idle=True),
)
"""What C reads in every sub-command and only `demo` uses."""

DETECTOR_ONLY = (
    Flag("w", kind=int, idle=True),
    Flag("h", kind=int, idle=True),
    Flag("fps", kind=int, idle=True),
    Flag("clear", idle=True),
    Flag("benchmark", idle=True),
    Flag("show", idle=True),
    Flag("map", idle=True),
    Flag("points", kind=int, idle=True),
    Flag("show_imgs", idle=True),
    Flag("avgframes", kind=int, idle=True),
    Flag("dontdraw_bbox", idle=True),
    Flag("http_post_host", kind=str, idle=True),
    Flag("time_limit_sec", kind=int, idle=True),
    Flag("iou_thresh", kind=float, idle=True),
    Flag("num_of_clusters", kind=int, idle=True),
    Flag("width", kind=int, idle=True),
    Flag("height", kind=int, idle=True),
    Flag("chart", kind=str, idle=True),
    Flag("mAP_epochs", kind=int, idle=True),
)
CLASSIFIER_ONLY = (
    Flag("c", kind=int, idle=True),
    Flag("clear", idle=True),
    Flag("mjpeg_port", kind=int, idle=True),
    Flag("benchmark", idle=True),
    Flag("dontuse_opencv", idle=True),
    Flag("show_imgs", idle=True),
    Flag("topk", idle=True),
    Flag("chart", kind=str, idle=True),
)
TOP = Flag(
    "t", "how many classes to print (default: the .data file's top, else 1)", int, 0, also=("top",)
)
PREPROCESS = Flag(
    "preprocess",
    "how the image becomes the network's input (default: as the dialect's C); resize_min: short "
    "side to the network's, nothing cut off, sums in C's order and all digits printed, as the "
    "program of 2016 did, when the figures on the old pages were made",
    str,
    choices=("resize_min",),
)


def thresh(default: str) -> Flag:
    """`-thresh` with the default that the command has in C."""
    return Flag("thresh", f"print classes above this probability (default: {default})", float)


def nms(default: str) -> Flag:
    """`-nms` with the overlap that the command has in C."""
    return Flag("nms", f"overlap at which the weaker box goes, 0: none does ({default})", float)

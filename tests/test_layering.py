"""The architecture: imports point down only, heavy libraries stay where they belong."""

import ast
import subprocess
import sys

import pytest
from helpers import ROOT

PACKAGE = ROOT / "darknet_py"
FILES = sorted(p for p in PACKAGE.rglob("*.py") if "_files" not in p.parts)

# From the bottom up; a module may import its own level and those below. The last part of a name
# counts where the name itself is not listed; a package stands for all its modules.
LEVELS = [
    {"errors", "filetype", "cache", "threads", "processor"},
    {"kernels"},
    {"cfg", "files", "dialect", "replacing", "resampling", "gradients"}
    | {"filling", "sync_norm", "narrow_norm", "rounding", "gemm"},
    {"datafile", "options"},
    {"boxes", "results", "image", "shape", "activations", "batchnorm", "schedule", "augment"},
    {"pictures", "draw", "anchors", "hierarchy", "trees", "heads"}
    | {"antialiasing", "binary", "operations", "window"},
    {"layers.step", "layers.convolutional_options"},
    {"excitation"},
    {"layers.base"},
    {"losses"},
    {"layers"},
    {"layers.__init__"},
    {"memory", "net_options"},
    {"network"},
    {"weights", "named"},
    {"lower", "table", "labels", "bad_list", "augmentation"},
    {"datasets"},
    {"loader"},
    {"*"},  # detector, classifier, train, evaluate, convert, ...
    {"cli", "doctor", "__init__", "__main__"},
]
TORCH_FREE = ["", ".cfg", ".options", ".dialect", ".boxes", ".image", ".results", ".datafile",
              ".files", ".cli", ".runtime.onnx", ".runtime.openvino", ".runtime.detector",
              ".runtime.classifier", ".backends", ".pipeline", ".accuracy", ".datasets",
              ".loader", ".backends.choice", ".candidates", ".convert", ".convert.extras",
              ".download", ".draw", ".finder", ".heads.region", ".heads.yolo", ".hierarchy",
              ".metadata", ".pictures", ".resampling", ".runtime", ".schedule",
              ".scorer", ".cache", ".threads"]  # fmt: skip
# What a first picture imports, besides darknet-py and all that PyTorch imports by itself.
WITH_TORCH = {"cv2", "numpy", "secrets", "hmac", "torch.utils._device"}
# Layers that are made of other layers.
COMPOSED = {
    "crnn",
    "conv_lstm",
    "gru",
    "lstm",
    "rnn",
    "recurrent",
    "yolo",
    "gaussian_yolo",
    "reorg",
    "reorg_old",
}


def name_of(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def rank(name):
    for level, names in enumerate(LEVELS):
        if name in names:
            return level
    top = name.split(".")[0]
    return next((n for n, names in enumerate(LEVELS) if top in names), rank("*"))


def imports(path):
    """(module of darknet_py, whether only for type checking or inside a function)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("darknet_py"):
            module = node.module.removeprefix("darknet_py").lstrip(".")
            if module == "layers":
                module = "layers.__init__"
            for alias in node.names if not module else ():
                yield alias.name
            if module:
                yield module


def imported(path):
    """The top-level names of everything a file imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_only_point_down(path):
    here = name_of(path)
    for module in imports(path):
        assert rank(module) <= rank(here), f"{here} imports {module}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "layers").rglob("*.py")), ids=name_of)
def test_layers_do_not_import_each_other(path):
    if path.stem in COMPOSED | {"__init__"}:
        return
    siblings = {p.stem for p in (PACKAGE / "layers").glob("*.py")} - {"base"}
    classes = {p for p in siblings if f'"{p}"' in (PACKAGE / "layers/__init__.py").read_text()}
    for module in imports(path):
        top, _, layer = module.partition(".")
        assert not (top == "layers" and layer in classes), f"{path.stem} imports {layer}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_only_files_of_pictures_and_videos_import_cv2():
    users = {name_of(p).split(".")[0] for p in FILES if "cv2" in set(imported(p))}
    # the last is cv2's own interface
    assert users <= {"image", "draw", "chart", "augmentation", "video", "opencv"}


def test_no_catch_all_modules():
    assert not {p.stem for p in FILES} & {"util", "utils", "common", "misc", "helpers"}


def test_torch_is_loaded_by_those_who_compute():
    modules = ", ".join(f"darknet_py{name}" for name in TORCH_FREE)
    code = f"import sys, {modules}; print([m for m in ('torch', 'cv2') if m in sys.modules])"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "torch" not in done.stdout


def test_help_computes_nothing():
    code = (
        "import sys; from darknet_py.cli import main; main(['--help']); main(['classify', '-h']);"
        "print([m for m in ('torch', 'cv2', 'numpy', 'http', 'ssl') if m in sys.modules])"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_first_picture_imports_little_beside_torch(tmp_path):
    """Not sympy, nor torch._dynamo: each would take longer than the rest of the start."""
    (tmp_path / "a.cfg").write_text(
        "[net]\nchannels=3\nheight=8\nwidth=8\n\n[convolutional]\nfilters=2\n"
        "batch_normalize=1\nactivation=leaky\n\n[maxpool]\nsize=2\nstride=2\n\n"
        "[avgpool]\n\n[softmax]\n"
    )
    code = (
        "import sys, torch, numpy as np; before = set(sys.modules);"
        "from darknet_py.classifier import Classifier; from darknet_py.network import Network;"
        "from darknet_py.detector import Detector;"
        "run = Classifier(Network.from_cfg(sys.argv[1])).run(np.zeros((1, 3, 8, 8), np.float32));"
        "print(*(set(sys.modules) - before))"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "a.cfg")]
    done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT)
    tops = {name if name in WITH_TORCH else name.split(".")[0] for name in done.stdout.split()}
    assert tops <= {"darknet_py", *WITH_TORCH}


def test_public_names_are_listed_before_they_are_loaded():
    code = "import darknet_py; print(set(darknet_py.__all__) <= set(dir(darknet_py)))"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "True\n"

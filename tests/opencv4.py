"""OpenCV 4.14, the last version that reads Darknet, in an interpreter of its own.

As a module: `python()` finds that interpreter, `ask(job)` runs a job there. As a program, in that
interpreter: reads jobs as JSON lines, answers each with the path of an .npz.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
import venv
from functools import cache
from pathlib import Path

import numpy as np

PACKAGE = "opencv-python-headless==4.14.*"
BUILT = Path("/tmp/cv414/bin/python")


def python():
    """The interpreter with OpenCV 4.14, or None: the one that DARKNET_PY_OPENCV4 names."""
    path = Path(os.environ.get("DARKNET_PY_OPENCV4") or BUILT)
    return path if path.is_file() else None


def make(folder):
    """A virtual environment with OpenCV 4.14; gives its interpreter's path."""
    path = Path(folder, "bin", "python")
    if not path.is_file() or subprocess.run([path, "-c", "import cv2"]).returncode:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([path, "-m", "pip", "install", "--quiet", PACKAGE], check=True)
    return path


@cache
def _process():
    process = subprocess.Popen(
        [python(), __file__, "serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    atexit.register(process.communicate)
    return process


def ask(**job):
    """What OpenCV 4.14 answers to a job, as a dict of arrays (`error`: its message)."""
    with tempfile.TemporaryDirectory() as folder:
        for key, value in job.items():
            if isinstance(value, np.ndarray):
                path = Path(folder, f"{key}.npy")
                np.save(path, value)
                job[key] = str(path)
        job["answer"] = str(Path(folder, "answer.npz"))
        process = _process()
        process.stdin.write(json.dumps(job, default=str) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        with np.load(job["answer"]) as answer:
            return dict(answer)


def answer(cv2, job):
    """The arrays that a job asks for: `outputs` of a blob, or what a model says of a frame."""
    net = cv2.dnn.readNetFromDarknet(job["cfg"], job.get("weights", ""))
    if "weights" not in job:
        return {
            "names": np.array(net.getLayerNames()),
            "heads": np.array(net.getUnconnectedOutLayersNames()),
            "numbers": net.getUnconnectedOutLayers(),
        }
    if "blob" in job:
        net.setInput(np.load(job["blob"]), "", job.get("scale", 1.0), job.get("mean", ()))
        names = job.get("names") or net.getUnconnectedOutLayersNames()
        outputs = net.forward(names)
        return {
            "types": np.array([net.getLayer(name).type for name in net.getLayerNames()]),
            **{f"out_{i}": output for i, output in enumerate(outputs)},
        }
    frame = np.load(job["frame"])
    if job["model"] == "classify":
        model = cv2.dnn.ClassificationModel(net)
        model.setInputParams(*job["params"])
        return {"best": np.array(model.classify(frame))}
    model = cv2.dnn.DetectionModel(net)
    model.setInputParams(*job["params"])
    model.setNmsAcrossClasses(job.get("across", False))
    classes, scores, boxes = model.detect(frame, *job["thresholds"])
    return {"classes": classes, "scores": scores, "boxes": boxes}


def serve():
    """Answer jobs until the input ends."""
    import cv2

    assert cv2.__version__.startswith("4."), cv2.__version__
    for line in sys.stdin:
        job = json.loads(line)
        try:
            arrays = answer(cv2, job)
        except cv2.error as error:
            arrays = {"error": np.array(str(error))}
        np.savez(job["answer"], **arrays)
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        sys.stdout.write(f"{make(sys.argv[1])}\n")

"""What a worker runs: each engine turns a job into a function that computes once.

A job names the files of networks.py, `threads`, `dtype` and the `inputs`, a float32 batch. This
file is also run by interpreters that have neither torch nor darknet_py: imports are inside.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from typing import Any

Run = Callable[[], Any]
"""Computes once; gives the heads' outputs as arrays, or None where they are of another form."""


class CannotRun(Exception):
    """Why an engine does not run a network."""


def _network(job: dict[str, Any]) -> Any:
    import torch

    from darknet_py.network import Network
    from darknet_py.weights import load_weights

    torch.set_num_threads(job["threads"])
    network = Network.from_cfg(job["cfg"], initialize=False)
    load_weights(network, job["weights"])
    return network


def _dtype(job: dict[str, Any]) -> Any:
    import torch

    return {"f32": torch.float32, "bf16": torch.bfloat16}[job["dtype"]]


def _tensor(job: dict[str, Any]) -> Any:
    import torch

    return torch.from_numpy(job["inputs"])


def ours(job: dict[str, Any], native: bool | None = None) -> Run:
    """The default with torch alone, as a Detector runs it and leaves the allocator."""
    from darknet_py.allocator import reuse_memory
    from darknet_py.lower import prepare

    reuse_memory(len(job["inputs"]))
    lowered = prepare(_network(job), dtype=_dtype(job), native=native)
    lowered.worth = 0.0  # what is measured is the state that many runs end in
    x = _tensor(job)
    return lambda: lowered(x, ordered=False)


def bare(job: dict[str, Any]) -> Run:
    """The same where there is no C++ compiler."""
    return ours(job, native=False)


def compiled(job: dict[str, Any]) -> Run:
    """`-compile`."""
    from darknet_py.compiled import CompiledNetwork

    network, x = _network(job), _tensor(job)

    def refuse() -> Any:
        raise CannotRun("it cannot be compiled")

    run = CompiledNetwork(network, refuse, dtype=_dtype(job))
    return lambda: run(x)


def auto(job: dict[str, Any]) -> Run:
    """`-backend auto`: which of them it takes is found, and kept, before the clock runs."""
    import os

    import torch

    from darknet_py.backends import Source, open_finder, open_scorer

    os.environ["OMP_NUM_THREADS"] = str(job["threads"])  # where all of them look
    torch.set_num_threads(job["threads"])
    source = Source(job["cfg"], job["weights"], None, job["dtype"] == "bf16", False, None)
    opened = (open_finder if job["boxes"] else open_scorer)(source, "auto")
    x = job["inputs"]
    return lambda: opened.run(x)


def eager(job: dict[str, Any]) -> Run:
    """PyTorch, layer by layer as the cfg says, batch norm folded."""
    import torch

    from darknet_py.convert.program import fold

    network, x = fold(_network(job)), _tensor(job)
    wanted = [head.index for head in network.heads] or [network.output_index]

    def run() -> Any:
        with torch.inference_mode():
            return network.run(x, wanted)

    return run


def onnxruntime(job: dict[str, Any]) -> Run:
    """Onnxruntime on our ONNX."""
    _need_onnx(job)
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = job["threads"], 1
    options.log_severity_level = 3
    session = ort.InferenceSession(job["onnx"], options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: job["inputs"]}
    return lambda: session.run(None, feed)


def openvino(job: dict[str, Any]) -> Run:
    """OpenVINO on our ONNX, for one shape."""
    _need_onnx(job)
    import openvino as ov

    core = ov.Core()
    model = core.read_model(job["onnx"])
    x = job["inputs"]
    model.reshape({model.inputs[0]: x.shape})
    settings = {
        "INFERENCE_NUM_THREADS": job["threads"],
        "INFERENCE_PRECISION_HINT": job["dtype"],
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    request.set_input_tensor(ov.Tensor(x))

    def run() -> Any:
        request.infer()
        return [request.get_output_tensor(i).data for i in range(len(model.outputs))]

    return run


def opencv(job: dict[str, Any]) -> Run:
    """OpenCV 4, on the Darknet files."""
    import cv2

    cv2.setNumThreads(job["threads"])
    net = cv2.dnn.readNetFromDarknet(job["cfg"], job["weights"])
    names = net.getUnconnectedOutLayersNames()

    def run() -> None:
        net.setInput(job["inputs"])
        net.forward(names)

    return run


def c(job: dict[str, Any]) -> Run:
    """Debian's darknet, through its library: pjreddie's code, one thread."""
    if job["dialect"] != "pjreddie":
        raise CannotRun("the cfg is of AlexeyAB's fork")
    return _c_library(job, "/usr/lib/darknet/libdarknet.so")


def alexeyab(job: dict[str, Any]) -> Run:
    """A build of AlexeyAB's fork, the library that $DARKNET_PY_ALEXEYAB names."""
    import os

    return _c_library(job, os.environ["DARKNET_PY_ALEXEYAB"])


def _c_library(job: dict[str, Any], path: str) -> Run:
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise CannotRun(str(error)) from None
    batch = len(job["inputs"])
    if batch not in (1, 8):
        raise CannotRun(f"there is no cfg for batch {batch}")
    with contextlib.suppress(OSError):
        ctypes.CDLL("libgomp.so.1").omp_set_num_threads(job["threads"])
    cfg = job["cfg"] if batch == 1 else job["cfg8"]
    files = [cfg.encode(), job["weights"].encode()]
    if hasattr(library, "load_network_custom"):
        load, predict = library.load_network_custom, library.network_predict_ptr
        arguments = [*files, 0, batch]
    else:
        load, predict = library.load_network, library.network_predict
        arguments = [*files, 0]
    load.restype = ctypes.c_void_p
    predict.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_float)]
    predict.restype = ctypes.c_void_p
    net = load(*arguments)
    x = job["inputs"].ctypes.data_as(ctypes.POINTER(ctypes.c_float))

    def run() -> None:
        predict(net, x)

    return run


def _need_onnx(job: dict[str, Any]) -> None:
    if job["no_onnx"]:
        raise CannotRun(f"no ONNX: {job['no_onnx']}")


ENGINES: dict[str, Callable[[dict[str, Any]], Run]] = {
    engine.__name__: engine
    for engine in (
        ours,
        bare,
        compiled,
        auto,
        eager,
        onnxruntime,
        openvino,
        opencv,
        c,
        alexeyab,
    )
}
"""By the names that rivals.py gives them."""

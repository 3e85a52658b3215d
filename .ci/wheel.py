"""The build of a wheel: kernels for several processors, where a C++ compiler is at hand."""

import importlib.util
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NEWEST = {b"GLIBC": (2, 28), b"GLIBCXX": (3, 4, 24), b"CXXABI": (1, 3, 11)}
"""What manylinux_2_28, of which PyTorch's wheels are, may need of a system. OpenMP's library is
PyTorch's own, which is loaded before."""


def find_tag(paths):
    """The wheel's tag: with manylinux where it would run on all such systems."""
    for path in paths:
        for name, version in re.findall(rb"\0(GLIBC|GLIBCXX|CXXABI)_([\d.]+)", path.read_bytes()):
            if tuple(map(int, version.split(b"."))) > NEWEST[name]:
                return "py3-none-linux_x86_64"
    return "py3-none-manylinux_2_28_x86_64"


class Kernels(BuildHookInterface):
    """Puts darknet_py/kernels/built/*.so into the wheel; without a compiler it is a pure one."""

    def initialize(self, version, build_data):
        """Compile them, two at a time."""
        compiler = self._load_compiler()
        command = compiler.find_compiler()
        if version == "editable" or not compiler.has_levels() or not command:
            return
        self._folder = tempfile.TemporaryDirectory()

        def make(name):
            flags, _ = compiler.LEVELS[name]
            path = Path(self._folder.name) / f"{name}.so"
            compiler.compile_library(command, flags, path, check=False)
            return path

        try:
            with ThreadPoolExecutor(2) as pool:
                paths = list(pool.map(make, compiler.LEVELS))
        except (OSError, subprocess.SubprocessError) as error:
            self.app.display_warning(f"kernels are left out: {error}")
            return
        included = {str(path): f"darknet_py/kernels/built/{path.name}" for path in paths}
        build_data["force_include"].update(included)
        build_data["pure_python"] = False
        build_data["tag"] = find_tag(paths)

    def finalize(self, version, build_data, artifact_path):
        """Remove what was compiled: the wheel holds it."""
        folder = getattr(self, "_folder", None)
        if folder is not None:
            folder.cleanup()

    def _load_compiler(self):
        path = Path(self.root) / "darknet_py" / "kernels" / "compiler.py"
        spec = importlib.util.spec_from_file_location("compiler", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

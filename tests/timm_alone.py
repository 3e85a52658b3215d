"""timm's cspnet without torchvision and PIL, which its training and its other models need.

`import timm_alone` makes `timm.models.cspnet` importable: the packages around it are entered
without their own `__init__`, and what is missing is stood in for by empty classes.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from pathlib import Path

SPEC = importlib.util.find_spec("timm")


class Empty(types.ModuleType):
    """A module in which every name is an empty class."""

    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds torchvision and all its modules: empty."""

    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return Empty(spec.name)

    def exec_module(self, module):
        pass


def enter(name, folder):
    """A package whose `__init__` does not run."""
    package = types.ModuleType(name)
    package.__path__ = [str(folder)]
    sys.modules[name] = package
    return package


def prepare():
    root = Path(SPEC.origin).parent
    if importlib.util.find_spec("torchvision") is None:
        sys.meta_path.append(Finder())
    enter("timm", root).__version__ = "0"
    enter("timm.models", root / "models")
    data = enter("timm.data", root / "data")
    constants = importlib.import_module("timm.data.constants")
    vars(data).update({n: v for n, v in vars(constants).items() if n.isupper()})


if SPEC is not None:
    prepare()

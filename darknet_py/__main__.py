"""`darknet-py` and `python -m darknet_py`: the command line."""

import atexit
import os
import sys
import threading
from typing import NoReturn

from darknet_py.cli import main


def run() -> NoReturn:
    """Run the command line and end the process.

    What libraries registered for the end is run; the interpreter's own clearing away of every
    module, 40 ms and more with PyTorch, is left to the system.
    """
    status = main()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # nobody reads it any more
            status = status or 1
    os._exit(status)


if __name__ == "__main__":
    run()

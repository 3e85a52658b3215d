"""What the drop-in raises: an error of darknet_py that scripts may also catch as cv2.error."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import cv2

from darknet_py.errors import DarknetError

P = ParamSpec("P")
T = TypeVar("T")


class OpenCVError(DarknetError, cv2.error):
    """A mistake that OpenCV would report as `cv2.error`; its text is one line."""


def as_opencv(function: Callable[P, T]) -> Callable[P, T]:
    """Let `function` raise its errors as `OpenCVError`."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except OpenCVError:
            raise
        except (DarknetError, cv2.error) as error:
            raise OpenCVError(" ".join(str(error).split())) from None

    return wrapped

"""Every error that darknet_py raises on a user's mistake: one line that says where and what."""


class DarknetError(Exception):
    """A mistake in a file, a flag or a request; its text is one line meant for people."""


class CfgError(DarknetError):
    """A .cfg, .data, .names, .tree or .map file that cannot be read; starts with `file:line:`."""


class WeightsError(DarknetError):
    """A .weights file that does not fit the network, or is none."""


class ImageError(DarknetError):
    """An image that cannot be read or written."""


class DataError(DarknetError):
    """Training data that cannot be used: a list, a label file or what they name."""


class TrainError(DarknetError):
    """Training that cannot go on: nan in the loss, no layer with a loss."""


class DivergedError(TrainError):
    """The loss or a weight is nan or infinite."""


class WriteError(DarknetError):
    """A file that cannot be written: no room, or no right to; `reason` is the system's."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"{path}: cannot be written: {reason}")
        self.reason = reason


class DarknetWarning(UserWarning):
    """Something C accepts in silence and that is probably a mistake."""

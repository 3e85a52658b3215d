"""How training images are varied, and their boxes with them: arithmetic without files."""

from darknet_py.augmentation.geometry import use_one_thread as use_one_thread

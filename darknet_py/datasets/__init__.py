"""Training data of every kind; torch-free."""

from darknet_py.datasets.base import Batch as Batch
from darknet_py.datasets.base import Dataset as Dataset
from darknet_py.datasets.base import Form as Form
from darknet_py.datasets.build import KINDS as KINDS
from darknet_py.datasets.build import dataset_of as dataset_of
from darknet_py.datasets.look import save_views as save_views
from darknet_py.datasets.text import Text as Text

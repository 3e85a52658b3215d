"""`DetectionModel` and `ClassificationModel`: pictures in, answers out, as in `cv2.dnn`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from darknet_py.errors import DarknetError
from darknet_py.opencv.errors import as_opencv
from darknet_py.opencv.net import Net
from darknet_py.opencv.reading import readNet

if TYPE_CHECKING:
    from typing_extensions import Self


class Model:
    """A network and how pictures become its blobs (OpenCV: model.cpp)."""

    def __init__(self, model: Any, config: Any = "") -> None:
        """Take a `Net`, or the files of one in either order."""
        net = model if isinstance(model, Net) else readNet(model, config)
        if not isinstance(net, Net) or net.network is None:
            raise DarknetError("a Net of darknet_py is needed; others are for cv2.dnn's models")
        self.net = net
        image = net.network.image
        self._size = (image.width, image.height)
        self._mean: Any = (0.0, 0.0, 0.0, 0.0)
        self._scale: Any = 1.0
        self._swap = self._crop = False
        self._names = net.getUnconnectedOutLayersNames()

    def setInputParams(
        self,
        scale: float = 1.0,
        size: Sequence[int] = (0, 0),
        mean: Any = (0, 0, 0, 0),
        swapRB: bool = False,
        crop: bool = False,
    ) -> None:
        """Set all of how a picture becomes a blob."""
        self._scale, self._size, self._mean = scale, (int(size[0]), int(size[1])), mean
        self._swap, self._crop = swapRB, crop

    def setInputSize(self, size: Sequence[int] | int, height: int | None = None) -> Self:
        """Width and height of the blob."""
        width, high = (size, height) if isinstance(size, int) else size
        self._size = (int(width), int(high or 0))
        return self

    def setInputMean(self, mean: Any) -> Self:
        """What is taken from each channel."""
        self._mean = mean
        return self

    def setInputScale(self, scale: Any) -> Self:
        """What the values are multiplied with, one number or one a channel."""
        self._scale = scale
        return self

    def setInputCrop(self, crop: bool) -> Self:
        """Whether the middle is cut out instead of stretching."""
        self._crop = crop
        return self

    def setInputSwapRB(self, swapRB: bool) -> Self:
        """Whether blue and red change places."""
        self._swap = swapRB
        return self

    def setOutputNames(self, outNames: Sequence[str]) -> Self:
        """The layers that `predict` answers with."""
        self._names = tuple(outNames)
        return self

    def setPreferableBackend(self, backendId: int) -> Self:
        """See `Net.setPreferableBackend`."""
        self.net.setPreferableBackend(backendId)
        return self

    def setPreferableTarget(self, targetId: int) -> Self:
        """See `Net.setPreferableTarget`."""
        self.net.setPreferableTarget(targetId)
        return self

    def enableWinograd(self, useWinograd: bool) -> Self:
        """Accepted, without effect."""
        return self

    @as_opencv
    def predict(self, frame: np.ndarray) -> tuple[np.ndarray, ...]:
        """The outputs for one picture `(height, width, 3)`, BGR uint8."""
        if min(self._size) < 1:
            raise DarknetError("the input size is not set: call setInputSize(width, height)")
        params = cv2.dnn.Image2BlobParams()
        scale = np.atleast_1d(np.asarray(self._scale, np.float64))
        params.scalefactor = tuple(scale) if len(scale) > 1 else (float(scale[0]),) * 4
        params.size, params.swapRB = self._size, self._swap
        params.mean = tuple(float(v) for v in np.atleast_1d(np.asarray(self._mean, np.float64)))
        if self._crop:
            params.paddingmode = cv2.dnn.DNN_PMODE_CROP_CENTER
        self.net.setInput(cv2.dnn.blobFromImageWithParams(frame, params))
        return self.net.forward(self._names)


class DetectionModel(Model):
    """Boxes of a detector with [region] or [yolo] heads."""

    def __init__(self, model: Any, config: Any = "") -> None:
        super().__init__(model, config)
        self._across = False
        self.net.disable_region_nms()

    def setNmsAcrossClasses(self, value: bool) -> Self:
        """Whether boxes of different classes displace each other."""
        self._across = value
        return self

    def getNmsAcrossClasses(self) -> bool:
        """See `setNmsAcrossClasses`."""
        return self._across

    @as_opencv
    def detect(
        self, frame: np.ndarray, confThreshold: float = 0.5, nmsThreshold: float = 0.0
    ) -> tuple[Any, Any, Any]:
        """The objects of a picture.

        Args:
            frame: `(height, width, 3)`, BGR uint8.
            confThreshold: the least score of a box's best class.
            nmsThreshold: of two boxes that overlap by more, the better one is kept; 0: all are.

        Returns:
            Class numbers `(n,)` int32, scores `(n,)` float32 and boxes `(n, 4)` int32: left, top,
            width, height in pixels; three empty tuples where nothing is found, as OpenCV has it.
        """
        outputs = self.predict(frame)
        if any(rows.ndim != 2 for rows in outputs):
            raise DarknetError("the network has outputs that are no boxes: not a detector")
        height, width = frame.shape[:2]
        found = [_boxes(rows, width, height, confThreshold) for rows in outputs]
        classes, scores, boxes = (np.concatenate(part) for part in zip(*found, strict=True))
        if nmsThreshold and len(classes):
            groups = [classes >= 0] if self._across else [classes == k for k in np.unique(classes)]
            kept = []
            for group in groups:
                (members,) = group.nonzero()
                given = boxes[members].tolist(), scores[members].tolist()
                best = cv2.dnn.NMSBoxes(*given, confThreshold, nmsThreshold)
                kept.append(members[np.asarray(best, np.int64).reshape(-1)])
            order = np.concatenate(kept)
            classes, scores, boxes = classes[order], scores[order], boxes[order]
        return (classes, scores, boxes) if len(classes) else ((), (), ())


def _boxes(
    rows: np.ndarray, width: int, height: int, thresh: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best class, its score and the box in whole pixels, of the rows that reach `thresh`."""
    best = rows[:, 5:].argmax(1).astype(np.int32)
    scores = rows[np.arange(len(rows)), 5 + best]
    chosen = scores >= np.float32(thresh)
    rows, best, scores = rows[chosen], best[chosen], scores[chosen]
    sides = np.array([width, height, width, height], np.float32)
    x, y, w, h = np.trunc(rows[:, :4] * sides).clip(-(2**31), 2**31 - 1).astype(np.int64).T
    left = (x - w // 2).clip(0, width - 1)
    top = (y - h // 2).clip(0, height - 1)
    boxes = np.stack(
        [left, top, np.minimum(w, width - left).clip(1), np.minimum(h, height - top).clip(1)], 1
    )
    return best, scores, boxes.astype(np.int32)


class ClassificationModel(Model):
    """The best class of a classifier."""

    def __init__(self, model: Any, config: Any = "") -> None:
        super().__init__(model, config)
        self._softmax = False

    def setEnableSoftmaxPostProcessing(self, enable: bool) -> Self:
        """Whether a softmax is taken of the output."""
        self._softmax = enable
        return self

    def getEnableSoftmaxPostProcessing(self) -> bool:
        """See `setEnableSoftmaxPostProcessing`."""
        return self._softmax

    @as_opencv
    def classify(self, frame: np.ndarray) -> tuple[int, float]:
        """The number of the likeliest class of a picture (BGR uint8), and its score."""
        outputs = self.predict(frame)
        if len(outputs) != 1:
            raise DarknetError(f"the network has {len(outputs)} outputs: not a classifier")
        scores = outputs[0].reshape(-1)
        if self._softmax:
            scores = np.exp(scores - scores.max())
            scores = scores / scores.sum()
        best = int(scores.argmax())
        return best, float(scores[best])

# SPDX-License-Identifier: Apache-2.0
"""The detector's boxes of a data set: what a network is shown at run time is what it learns from.

Detection is done once. The boxes of all faces in a picture are kept in a file beside the data
(in the user's cache where that folder cannot be written), under the detector's hash; a picture
that has changed is looked at again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from headpose_core.errors import ImageError
from headpose_core.faces.boxes import iou
from headpose_core.faces.face_detector import FaceDetector
from headpose_core.faces.yunet import YuNet
from headpose_core.images.image_files import read_image
from headpose_core.images.image_view import as_view
from headpose_core.learning.data.datasets import LabelledFace
from headpose_core.learning.data.readers.picture_files import FileFaces
from headpose_core.output_files import atomic_write, cache_folder

SAVE_EVERY_S = 60.0
MISSED = "missed by the detector"


class Detections:
    """Boxes of all faces in picture files, remembered in a file.

    root: the data set's directory; names are relative to it. folder: where the file lies, by
    default `folder_of_boxes(root)`. Call `save` at the end.
    """

    def __init__(
        self, root: Path, detector: FaceDetector, detector_id: str, folder: Path | None = None
    ) -> None:
        self._root, self._detector = root, detector
        folder = folder or folder_of_boxes(root)
        self.path = folder / f".headpose-boxes-{_digest(detector_id)}.json"
        self._files: dict[str, Any] = {}
        self._saved = True
        # A torn file costs time and nothing else.
        with contextlib.suppress(OSError, ValueError, KeyError):
            self._files = json.loads(self.path.read_text())["files"]

    def of(self, picture: Path) -> NDArray[np.float32]:
        """Boxes (M, 4) of the faces in a picture. Raises ImageError when it cannot be read."""
        try:
            stat = picture.stat()
        except OSError as error:
            raise ImageError(f"{picture}: cannot read this file ({error.strerror})") from error
        name, state = os.path.relpath(picture, self._root), [stat.st_size, stat.st_mtime_ns]
        known = self._files.get(name)
        if known is None or known["state"] != state:
            boxes = self._detector.detect(as_view(read_image(picture))).boxes.astype(np.float64)
            known = {"state": state, "boxes": boxes.round(3).tolist()}
            self._files[name], self._saved = known, False
        return np.array(known["boxes"], np.float32).reshape(-1, 4)

    def save(self) -> None:
        """Write what is new."""
        if not self._saved:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.path) as file:
                file.write_text(json.dumps({"files": self._files}))
            self._saved = True


def yunet_detections(root: Path, folder: Path | None = None) -> Detections:
    """Those of the pipeline's own detector."""
    yunet = YuNet()
    model = hashlib.sha256(Path(yunet.model_path).read_bytes()).hexdigest()
    return Detections(root, yunet, f"{model} {yunet.settings}", folder)


def folder_of_boxes(root: Path) -> Path:
    """The directory itself, or the user's cache when it may not be written to."""
    # The mode too: an administrator's process could, but shall not.
    if os.access(root, os.W_OK) and root.stat().st_mode & 0o222:
        return root
    cache = cache_folder()
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)  # TensorRT's engines want it private
    return cache / _digest(str(root.resolve()))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class DetectedFaces:
    """A `FaceReader` of the same faces with the detector's boxes.

    A detected face is the labelled one when it overlaps the labelled box most, and by at least
    the data set's `least_overlap`. One that the detector misses is left out ("leave out": for
    training, it is never cropped at run time either) or keeps the labelled box ("labelled box":
    for evaluation, and `detected` is False). Either way it is counted. Pictures that cannot be
    read are reported as broken.
    """

    def __init__(
        self,
        faces: FileFaces,
        detections: Detections,
        missed: Literal["leave out", "labelled box"],
    ) -> None:
        self.report = faces.report
        self._faces = faces
        boxes, kept, self.missed = faces.boxes.copy(), [], 0
        detected = np.zeros(len(faces), bool)
        saved_s = time.monotonic()
        for index in tqdm(range(len(faces)), "face boxes", disable=None, leave=False):
            picture = faces.pictures[index]
            try:
                found = labelled_one(detections.of(picture), boxes[index], faces.least_overlap)
            except ImageError:
                self.report.broken(picture, "the picture cannot be read")
                continue
            if found is not None:
                boxes[index], detected[index] = found, True
            self.missed += found is None
            if found is None and missed == "leave out":
                self.report.leave_out(picture, MISSED)
            else:
                kept.append(index)
            if time.monotonic() - saved_s > SAVE_EVERY_S:
                detections.save()
                saved_s = time.monotonic()
        detections.save()
        self._indices = np.array(kept, np.int64)
        self.boxes, self.detected = boxes[self._indices], detected[self._indices]
        self.angles_deg = faces.angles_deg[self._indices]
        self.groups = faces.groups[self._indices]

    @property
    def skipped(self) -> Counter[str]:
        """What was left out, by reason."""
        return self.report.skipped

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> LabelledFace:
        face = self._faces[int(self._indices[index])]
        return dataclasses.replace(
            face, box=self.boxes[index], detected=bool(self.detected[index])
        )


def labelled_one(
    found: NDArray[np.float32], labelled: NDArray[np.float32], least_overlap: float
) -> NDArray[np.float32] | None:
    """Of found boxes (M, 4) the one (4,) that a labelled box (4,) is about, or None."""
    overlaps = iou(found, labelled)[:, 0]
    if not len(found) or overlaps.max() < least_overlap:
        return None
    best: NDArray[np.float32] = found[int(overlaps.argmax())]
    return best

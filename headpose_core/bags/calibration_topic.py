# SPDX-License-Identifier: Apache-2.0
"""The calibration along a bag: the CameraInfo before each image, where it is of that image."""

from __future__ import annotations

from collections import Counter

from rosbags.serde import SerdeError

from headpose_core.bags.reader import Bag
from headpose_core.bags.storage import Topic
from headpose_core.bags.topics import CAMERA_INFO, find_camera_info
from headpose_core.bags.type_store import Messages
from headpose_core.messages.cameras import InfoCamera, calibration_problem, camera_from_message
from headpose_core.types import Camera


class CalibrationTopic:
    """The CameraInfo messages that belong to a topic with images.

    name: of the topic, the one asked for or the one that was found; "" for none. used: topics and
    frames of the calibrations in use. refused: those that cannot be used, and why. damaged: why
    messages could not be read, and how many. Raises BagError when there is none of this name.
    """

    def __init__(self, bag: Bag, asked: str | None, images: Topic, messages: Messages) -> None:
        self.name, others = find_camera_info(bag, asked, images)
        self.used: list[str] = []
        self.refused: list[str] = []
        self.damaged = Counter[str]()
        self._is_asked, self._messages = asked is not None, messages
        self._camera: InfoCamera | None = None
        self._problem = ""
        if not self.name:
            there = f" ({', '.join(others)}: --camera-info says which one)" if others else ""
            self.refused.append(f"no camera_info{there}: angles only, no position, no TF")
        for _, _, data in bag.messages([self.name]):
            self.take(data)  # the first calibration holds for the images before it, too
            break
        self.damaged.clear()  # it comes once more

    def take(self, data: bytes) -> None:
        """A message of the topic; it holds until the next one."""
        try:
            info = self._messages.deserialize(data, CAMERA_INFO)
            self._camera = camera_from_message(info, self.name)
        except (SerdeError, ValueError) as error:
            self.damaged[f"camera_info: {error}"] += 1

    def camera(self, size: tuple[int, int], frame_id: str) -> Camera | None:
        """The calibration, if it says something about images of this size (w, h) and frame."""
        # Who names a topic knows why; one that was found has to be of the camera of the images.
        frame = None if self._is_asked else frame_id
        problem = calibration_problem(self._camera, size, frame)
        if problem and problem != self._problem and self.name:
            self.refused.append(f"{self.name}: {problem}: angles only, no position, no TF")
        if not problem and str(self._camera) not in self.used:
            self.used.append(str(self._camera))
        self._problem = problem
        return None if problem else self._camera

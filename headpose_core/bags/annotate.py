# SPDX-License-Identifier: Apache-2.0
"""A bag through the pipeline: what the node would have published, into another bag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rosbags.serde import SerdeError

from headpose_core.bags.reader import Bag
from headpose_core.bags.storage import Topic
from headpose_core.bags.topics import COMPRESSED_IMAGE, find_camera_info, find_copied, find_images
from headpose_core.bags.type_store import Messages
from headpose_core.bags.writer import BagWriter, write_bag
from headpose_core.errors import ImageError
from headpose_core.images.compressed_images import view_from_compressed
from headpose_core.images.image_messages import view_from_message
from headpose_core.images.value_depth import ValueDepth
from headpose_core.messages.cameras import InfoCamera, calibration_problem, camera_from_message
from headpose_core.messages.frame_messages import (
    COMPRESSED_DEBUG_IMAGE,
    DEBUG_IMAGE,
    HEAD_POSE,
    MARKERS,
    TF,
    TYPES,
    FrameMessages,
)
from headpose_core.messages.heads import seconds
from headpose_core.messages.records import write_records
from headpose_core.pipeline import HeadPosePipeline
from headpose_core.types import Camera, Frame


@dataclass(frozen=True)
class BagTask:
    """One bag and what to make of it.

    out: .mcap file. jsonl, csv: the poses as text. image_topic, camera_info: found when None.
    copy: the bag's own messages go into ``out`` too. debug_images: annotated images as well.
    every: only every n-th image.
    """

    source: Path
    out: Path | None = None
    jsonl: Path | None = None
    csv: Path | None = None
    image_topic: str | None = None
    camera_info: str | None = None
    copy: bool = False
    debug_images: bool = False
    every: int = 1


@dataclass
class BagResult:
    """What became of the images of a bag.

    skipped: reasons and how many images. notes: what else one should know. calibrations: topics
    and frames of those in use. interrupted: it was stopped before the end; the files hold what
    came before.
    """

    images: int = 0
    heads: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    calibrations: list[str] = field(default_factory=list)
    interrupted: bool = False


def annotate(
    task: BagTask,
    pipeline: HeadPosePipeline,
    *,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[Iterable[Any], int], Iterable[Any]] = lambda items, count: items,
) -> BagResult:
    """Run the images of a bag through the pipeline and write the files of the task.

    stop: asked before each message; when it says so, the files are finished as they are.
    progress: wraps the loop over the images, of which there are so many.
    Raises BagError when the bag, or an image topic in it, cannot be found.
    """
    with ExitStack() as stack:
        bag = stack.enter_context(Bag(task.source))
        messages = Messages()
        images = find_images(bag, task.image_topic)
        run = _Run(task, pipeline, messages, images)
        run.camera_topic = find_camera_info(bag, task.camera_info, images)
        run.record = stack.enter_context(write_records(task.jsonl, task.csv))
        if task.out:
            run.begin(stack.enter_context(write_bag(task.out, messages)), bag)
        run.find_camera(bag)
        topics = {run.image_topic.name, run.camera_topic, *run.copied} - {""}
        for topic, stamp_ns, data in progress(bag.messages(topics), bag.count(topics)):
            if stop():
                run.result.interrupted = True
                break
            run.take(topic, stamp_ns, data)
    run.result.notes += bag.lost
    return run.result


class _Run:
    """The state of one run over a bag."""

    def __init__(
        self,
        task: BagTask,
        pipeline: HeadPosePipeline,
        messages: Messages,
        image_topic: Topic,
    ) -> None:
        self.task, self.pipeline, self.messages = task, pipeline, messages
        self.image_topic, self.camera_topic = image_topic, ""
        self.result = BagResult()
        self._made = FrameMessages(messages.make)
        self.record: Callable[[Frame], None] = lambda frame: None
        self.copied: dict[str, Topic] = {}
        self._writer: BagWriter | None = None
        self._camera: InfoCamera | None = None
        self._calibration = ""
        self._depth = ValueDepth()
        self._count = 0

    def begin(self, writer: BagWriter, bag: Bag) -> None:
        """Write a bag, with the other topics of the one that is read if that was asked for."""
        self._writer = writer
        ours = {_absolute(name): TYPES[name] for name in TYPES if self._wants(name)}
        if self.task.copy:
            self.copied, notes = find_copied(bag, self.messages, ours, ours.keys() - {TF})
            self.result.notes += notes
        # What is copied comes first: our transforms go where those of the bag are.
        for topic in self.copied.values():
            writer.announce(topic)
        for name in map(_absolute, (HEAD_POSE, TF, MARKERS)):
            writer.announce(self.messages.topic(name, ours[name]))

    def _wants(self, topic: str) -> bool:
        if topic == COMPRESSED_DEBUG_IMAGE:
            return self.task.debug_images
        return topic != DEBUG_IMAGE

    def find_camera(self, bag: Bag) -> None:
        """The first calibration holds for the images before it, too."""
        if not self.camera_topic:
            self.result.notes.append("no camera_info: angles only, no position, no TF")
            return
        for _, _, data in bag.messages([self.camera_topic]):
            self._take_camera_info(data)
            return

    def take(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """One message of the bag."""
        if topic in self.copied and self._writer:
            self._writer.copy(topic, data, stamp_ns)
        if topic == self.camera_topic:
            self._take_camera_info(data)
        elif topic == self.image_topic.name:
            self._count += 1
            if (self._count - 1) % self.task.every == 0:
                self._take_image(stamp_ns, data)

    def _take_camera_info(self, data: bytes) -> None:
        try:
            info = self.messages.deserialize(data, "sensor_msgs/msg/CameraInfo")
            self._camera = camera_from_message(info, self.camera_topic)
        except (SerdeError, ValueError) as error:
            self.result.skipped[f"camera_info: {error}"] += 1

    def _take_image(self, stamp_ns: int, data: bytes) -> None:
        try:
            message = self.messages.deserialize(data, self.image_topic.type_name)
            is_compressed = self.image_topic.type_name == COMPRESSED_IMAGE
            read = view_from_compressed if is_compressed else view_from_message
            view = read(message, self._depth)
            camera = self._camera_of(view.size, message.header.frame_id)
            frame = self.pipeline(view, seconds(message.header.stamp), camera)
        except (SerdeError, ImageError) as error:
            self.result.skipped[str(error)] += 1
            return
        if news := self._depth.news():
            self.result.notes.append(news)
        self.result.images += 1
        self.result.heads += len(frame.heads)
        self.record(frame)
        if self._writer:
            for topic, made in self._made.of(frame, view, message.header, self._wants):
                self._writer.write(_absolute(topic), made, stamp_ns)

    def _camera_of(self, size: tuple[int, int], frame_id: str) -> Camera | None:
        """The calibration, if it says something about images of this size (w, h) and frame."""
        # Who names a topic knows why; one that was found has to be of the camera of the images.
        frame = None if self.task.camera_info else frame_id
        problem = calibration_problem(self._camera, size, frame)
        if problem and problem != self._calibration and self.camera_topic:
            told = f"{self.camera_topic}: {problem}: angles only, no position, no TF"
            self.result.notes.append(told)
        if not problem and str(self._camera) not in self.result.calibrations:
            self.result.calibrations.append(str(self._camera))
        self._calibration = problem
        return None if problem else self._camera


def _absolute(topic: str) -> str:
    return topic if topic.startswith("/") else f"/{topic}"

# SPDX-License-Identifier: Apache-2.0
"""A bag through the pipeline: what the node would have published, into another bag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rosbags.serde import SerdeError

from headpose_core.bags.calibration_topic import CalibrationTopic
from headpose_core.bags.reader import Bag
from headpose_core.bags.storage import Topic
from headpose_core.bags.topics import COMPRESSED_IMAGE, find_copied, find_images
from headpose_core.bags.type_store import Messages
from headpose_core.bags.writer import BagWriter, write_bag
from headpose_core.errors import ImageError
from headpose_core.images.compressed_images import view_from_compressed
from headpose_core.images.image_messages import view_from_message
from headpose_core.images.value_depth import ValueDepth
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
from headpose_core.messages.stamps import ImageClock
from headpose_core.pipeline import HeadPosePipeline
from headpose_core.types import Frame


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
        run = _Run(bag, task, pipeline)
        run.record = stack.enter_context(write_records(task.jsonl, task.csv))
        if task.out:
            run.begin(stack.enter_context(write_bag(task.out, run.messages)), bag)
        topics = {run.images.name, run.calibration.name, *run.copied} - {""}
        for topic, stamp_ns, data in progress(bag.messages(topics), bag.count(topics)):
            if stop():
                run.result.interrupted = True
                break
            run.take(topic, stamp_ns, data)
    return run.finished(bag.lost)


class _Run:
    """The state of one run over a bag. Raises BagError when its topics cannot be found."""

    def __init__(self, bag: Bag, task: BagTask, pipeline: HeadPosePipeline) -> None:
        self.task, self.pipeline, self.messages = task, pipeline, Messages()
        self.images = find_images(bag, task.image_topic)
        self.calibration = CalibrationTopic(bag, task.camera_info, self.images, self.messages)
        self.result = BagResult()
        self.record: Callable[[Frame], None] = lambda frame: None
        self.copied: dict[str, Topic] = {}
        self._made = FrameMessages(self.messages.make)
        self._writer: BagWriter | None = None
        self._depth = ValueDepth()
        self._clock = ImageClock(self._first_times(bag))
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

    def take(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """One message of the bag."""
        if topic in self.copied and self._writer:
            self._writer.copy(topic, data, stamp_ns)
        if topic == self.calibration.name:
            self.calibration.take(data)
        elif topic == self.images.name:
            self._count += 1
            if (self._count - 1) % self.task.every == 0:
                self._take_image(stamp_ns, data)

    def _take_image(self, stamp_ns: int, data: bytes) -> None:
        try:
            message = self.messages.deserialize(data, self.images.type_name)
            is_compressed = self.images.type_name == COMPRESSED_IMAGE
            read = view_from_compressed if is_compressed else view_from_message
            view = read(message, self._depth)
            camera = self.calibration.camera(view.size, message.header.frame_id)
            time_s = self._clock.time(seconds(message.header.stamp), stamp_ns * 1e-9)
            frame = self.pipeline(view, time_s, camera)
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

    def finished(self, lost: list[str]) -> BagResult:
        """The result, with what was seen on the way."""
        told = self.result
        told.notes += self.calibration.refused
        told.notes += self._clock.notes(self.images.name)
        told.notes += lost
        told.calibrations += self.calibration.used
        told.skipped += self.calibration.damaged
        return told

    def _first_times(self, bag: Bag) -> list[tuple[float, float]]:
        """Stamps of the first two images and when they were recorded, as far as they are whole."""
        times = []
        for _, stamp_ns, data in islice(bag.messages([self.images.name]), 2):
            with suppress(SerdeError):
                message = self.messages.deserialize(data, self.images.type_name)
                times.append((seconds(message.header.stamp), stamp_ns * 1e-9))
        return times


def _absolute(topic: str) -> str:
    return topic if topic.startswith("/") else f"/{topic}"

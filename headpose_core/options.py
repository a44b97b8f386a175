# SPDX-License-Identifier: Apache-2.0
"""Options that the subcommands of ``headpose`` share, and the pipeline that they describe."""

from __future__ import annotations

import argparse
import glob
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from headpose_core.backends import ALL_DEVICES, DEVICES
from headpose_core.pipeline import HeadPosePipeline, PipelineConfig
from headpose_core.runtime import HeadPoseModel
from headpose_core.shipped import shipped_models
from headpose_core.tracking import Tracker
from headpose_core.yunet import YuNet


def pipeline_options(max_faces: int) -> argparse.ArgumentParser:
    """A parent parser with what describes a pipeline; ``max_faces`` is a default."""
    options = argparse.ArgumentParser(add_help=False)
    add = options.add_argument_group("networks").add_argument
    shipped = ", ".join(file.stem for file in shipped_models())
    add("--model", type=Path, metavar="FILE", help=f"pose network: a file, or one of {shipped}")
    add("--device", default="auto", choices=["auto", *ALL_DEVICES])
    add("--backend", default="auto", choices=["auto", *DEVICES], help="what runs the pose network")
    add("--no-cpu-fallback", action="store_true", help="fail when the device cannot be had")
    add("--threads", type=int, default=1, metavar="N", help="of each network (default 1)")
    add("--detector-model", type=Path, metavar="FILE", help="another YuNet file")
    add("--max-side", type=int, default=640, metavar="PX", help="detect at this size (640)")
    add("--score-threshold", type=float, default=0.6, metavar="S", help="of a face (0.6)")
    add("--min-face-size", type=float, default=24.0, metavar="PX", help="drop smaller (24)")
    add(
        "--max-faces",
        type=int,
        default=max_faces,
        metavar="N",
        help=f"keep the largest ({max_faces})",
    )
    return options


def build_pipeline(args: argparse.Namespace, tracker: Tracker | None) -> HeadPosePipeline:
    """The pipeline that the options describe; says which device it got."""
    model = load_model(args)
    say(f"device: asked {model.device_asked}, got {model.device} on {model.backend}")
    config = PipelineConfig(max_faces=args.max_faces)
    return HeadPosePipeline(load_detector(args), model, tracker, config)


def load_detector(args: argparse.Namespace) -> YuNet:
    """The face detector that the options describe."""
    return YuNet(
        args.detector_model,
        max_side=args.max_side,
        score_threshold=args.score_threshold,
        min_face_size=args.min_face_size,
        threads=args.threads,
    )


def load_model(args: argparse.Namespace) -> HeadPoseModel:
    """The pose network that the options describe."""
    return HeadPoseModel.load(
        args.model,
        device=args.device,
        backend=args.backend,
        threads=args.threads,
        allow_cpu_fallback=not args.no_cpu_fallback,
        progress=say,
    )


def positive(text: str) -> int:
    """An argument that is a whole number of 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {number}")
    return number


def found_files(given: Sequence[str], suffixes: Sequence[str]) -> list[Path]:
    """The files that arguments name: files, folders of files with these endings, or patterns.

    What does not exist is kept, for whoever opens it to complain. Raises ValueError for a folder
    or a pattern without such files.
    """
    files: list[Path] = []
    for text in given:
        path = Path(text)
        if path.is_dir():
            here = sorted(p for p in path.iterdir() if p.suffix.lower() in suffixes)
            if not here:
                raise ValueError(f"{path}: expected files ending in {', '.join(suffixes)}")
        elif not path.exists() and glob.has_magic(text):
            here = sorted(map(Path, glob.glob(text, recursive=True)))  # noqa: PTH207 (as a shell does)
            if not here:
                raise ValueError(f"{text}: expected a pattern of files, nothing is like it")
        else:
            here = [path]
        files += here
    return files


def named_like(sources: Sequence[Path], folder: Path, ending: str) -> list[Path]:
    """A path in the folder for each source: no two alike, and none like a source's own name."""
    names: Counter[str] = Counter()
    targets = []
    for source in sources:
        names[source.stem] += 1
        count = f"_{names[source.stem]}" if names[source.stem] > 1 else ""
        targets.append(folder / f"{source.stem}_headpose{count}{ending}")
    return targets


@dataclass(frozen=True)
class Outputs:
    """The files to write for one input, None for those that nobody asked for.

    out: a video or a bag. jsonl, csv: the poses as text.
    """

    out: Path | None
    jsonl: Path | None
    csv: Path | None


def outputs(args: argparse.Namespace, sources: Sequence[Path], ending: str) -> list[Outputs]:
    """What the options --out, --jsonl and --csv ask for, for each source.

    ending: of --out. Raises ValueError when nothing is asked for, one file is named for many
    sources, or a source would be replaced.
    """
    if not (args.out or args.jsonl or args.csv):
        raise ValueError("nothing to write: give --out, --jsonl or --csv")
    given = ((args.out, ending), (args.jsonl, ".jsonl"), (args.csv, ".csv"))
    columns = (_for_each(sources, path, suffix) for path, suffix in given)
    return [Outputs(*row) for row in zip(*columns, strict=True)]


def _for_each(sources: Sequence[Path], given: Path | None, ending: str) -> Sequence[Path | None]:
    """``given`` for a single source, else files in a folder of that name."""
    if given is None:
        return [None] * len(sources)
    if given.suffix == ending or str(given) == "-":
        if len(sources) > 1:
            raise ValueError(f"{given}: expected a folder, there are {len(sources)} inputs")
        if given.exists() and given.samefile(sources[0]):
            raise ValueError(f"{given}: the output would replace the input, give another name")
        return [given]
    if given.is_file() or given.suffix:
        raise ValueError(f"{given}: expected the name of a {ending} file or a folder")
    return named_like(sources, given, ending)


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """A function that tells whether Ctrl-C, or a request to end, came within the block.

    So that files can be finished. The second one ends the process as usual.
    """
    asked = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        say("stopping; once more to give up")
        for number in signals:
            signal.signal(number, old[number])

    old = {number: signal.signal(number, ask) for number in signals}
    try:
        yield asked.is_set
    finally:
        for number in signals:
            signal.signal(number, old[number])


def say(message: str) -> None:
    """Words for people go to standard error; standard output is for records."""
    print(f"headpose: {message}", file=sys.stderr)

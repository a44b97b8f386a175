# SPDX-License-Identifier: Apache-2.0
"""Options that describe a pipeline, and the pipeline that they describe."""

from __future__ import annotations

import argparse
from pathlib import Path

from headpose_core.commands.arguments import add_settings, chosen, number
from headpose_core.commands.terminal import say
from headpose_core.faces.face_detector import DetectorSettings
from headpose_core.faces.tracking import Tracker
from headpose_core.faces.yunet import YuNet
from headpose_core.pipeline import HeadPosePipeline, PipelineSettings
from headpose_core.pose.backends import ALL_DEVICES, DEVICES
from headpose_core.pose.head_pose_model import HeadPoseModel
from headpose_core.pose.shipped import shipped_models


def pipeline_options(max_faces: int = PipelineSettings().max_faces) -> argparse.ArgumentParser:
    """A parent parser with what describes a pipeline; ``max_faces`` is a default."""
    options = argparse.ArgumentParser(add_help=False)
    add = options.add_argument_group("networks").add_argument
    shipped = ", ".join(file.stem for file in shipped_models())
    add("--model", type=Path, metavar="FILE", help=f"pose network: a file, or one of {shipped}")
    add("--device", default="auto", choices=["auto", *ALL_DEVICES])
    add("--backend", default="auto", choices=["auto", *DEVICES], help="what runs the pose network")
    add("--no-cpu-fallback", action="store_true", help="fail when the device cannot be had")
    threads = number(1, 64, int)
    add("--threads", type=threads, default=1, metavar="N", help="of each network (default 1)")
    add("--detector-model", type=Path, metavar="FILE", help="another YuNet file")
    add_settings(add, DetectorSettings)
    add_settings(add, PipelineSettings, "perspective_correction", "face_height_m", "detect_every")
    options.set_defaults(max_faces=max_faces)
    return options


def build_pipeline(args: argparse.Namespace, tracker: Tracker | None) -> HeadPosePipeline:
    """The pipeline that the options describe; says which device it got."""
    model = load_model(args)
    say(f"device: asked {model.device_asked}, got {model.device} on {model.backend}")
    if args.model is None:
        say(f"model: {model.chosen.path.name}, {model.chosen.reason}")
    settings = PipelineSettings(**chosen(args, PipelineSettings))
    return HeadPosePipeline(load_detector(args), model, tracker, settings)


def load_detector(args: argparse.Namespace) -> YuNet:
    """The face detector that the options describe."""
    settings = chosen(args, DetectorSettings)
    return YuNet(args.detector_model, threads=args.threads, **settings)


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

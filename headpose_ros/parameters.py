# SPDX-License-Identifier: Apache-2.0
"""Declares the parameters on the node, checks changes, and hands the live ones to the pipeline."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from headpose_core.filtering import FilterSettings
from headpose_core.pipeline import HeadPosePipeline
from headpose_ros.parameter_table import AT_CONFIGURE, LIVE, PARAMETERS


class Parameters:
    """Declares the table on a node and reads its values: ``parameters["track.max_gap"]``.

    Raises rclpy's ParameterException when the node was started with a value that is refused.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._rows = {row.name: row for row in PARAMETERS}
        node.add_on_set_parameters_callback(self._check)
        for row in PARAMETERS:
            node.declare_parameter(row.name, row.default, row.descriptor())

    def __getitem__(self, name: str) -> Any:
        return self._node.get_parameter(name).value

    def live(self) -> dict[str, Any]:
        """The values, by name, of the parameters that may change from image to image."""
        return {row.name: self[row.name] for row in PARAMETERS if row.when == LIVE}

    def at_configure(self) -> dict[str, Any]:
        """The values, by name, of those that hold from one configuration to the next."""
        return {row.name: self[row.name] for row in PARAMETERS if row.when == AT_CONFIGURE}

    def _check(self, changes: list[RosParameter]) -> SetParametersResult:
        rows = [
            (self._rows[change.name], change) for change in changes if change.name in self._rows
        ]
        for row, change in rows:
            if problem := row.problem(change.value):
                return SetParametersResult(successful=False, reason=problem)
        for row, change in rows:
            if row.when == AT_CONFIGURE and self._node.has_parameter(row.name):
                # The answer to a change that is taken has no room for words.
                self._node.get_logger().info(
                    f"{row.name} = {change.value!r}: taken when the node is configured next"
                )
        return SetParametersResult(successful=True)


def apply_live(live: dict[str, Any], pipeline: HeadPosePipeline) -> None:
    """Hand ``Parameters.live`` to the parts of the pipeline that they belong to."""
    pipeline.detector.configure(
        score_threshold=live["detector.score_threshold"],
        min_face_size=live["detector.min_face_size"],
        max_side=live["detector.max_side"],
        rotation_retry=live["detector.rotation_retry"],
    )
    pipeline.tracker.configure(max_gap_s=live["track.max_gap"], min_hits=live["track.min_hits"])
    pipeline.config = replace(
        pipeline.config,
        detect_every=live["detect_every"],
        perspective_correction=live["perspective_correction"],
        face_height_m=live["face_height"],
        filter=FilterSettings(
            enabled=live["filter.enabled"],
            min_cutoff_hz=live["filter.min_cutoff"],
            beta=live["filter.beta"],
        ),
    )

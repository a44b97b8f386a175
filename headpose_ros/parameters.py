# SPDX-License-Identifier: Apache-2.0
"""Declares the parameters on the node, checks changes, and hands the live ones to the pipeline."""

from __future__ import annotations

from typing import Any, TypeVar

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from headpose_core.faces.face_detector import DetectorSettings
from headpose_core.faces.face_tracker import TrackerSettings
from headpose_core.geometry.orientation_filter import FilterSettings
from headpose_core.pipeline import HeadPosePipeline, PipelineSettings
from headpose_core.settings import Settings, settings_of
from headpose_ros.parameter_table import AT_CONFIGURE, PARAMETERS, PREFIXES

AnySettings = TypeVar("AnySettings", bound=Settings)


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

    def settings(self, kind: type[AnySettings]) -> AnySettings:
        """The values of a settings class of the library."""
        prefix = PREFIXES[kind]
        return kind(**{s.name: self[f"{prefix}{s.plain_name}"] for s in settings_of(kind)})

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


def apply_live(parameters: Parameters, pipeline: HeadPosePipeline) -> None:
    """Hand the live parameters to the parts of the pipeline that they belong to."""
    pipeline.settings = parameters.settings(PipelineSettings)
    pipeline.detector.settings = parameters.settings(DetectorSettings)
    pipeline.filter.settings = parameters.settings(FilterSettings)
    if pipeline.tracker:
        pipeline.tracker.settings = parameters.settings(TrackerSettings)

# SPDX-License-Identifier: Apache-2.0
"""Quality of service: what the topics ask for and offer, and who may override it."""

from __future__ import annotations

from rclpy.qos import QoSHistoryPolicy, QoSPolicyKind, QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions


def newest_only() -> QoSProfile:
    """For images: the newest one, without asking for it again. Takes from any publisher."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST, depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT
    )


def overridable() -> QoSOverridingOptions:
    """Makes parameters qos_overrides.<topic>.<subscription or publisher>.<policy>."""
    return QoSOverridingOptions(
        policy_kinds=(
            QoSPolicyKind.HISTORY,
            QoSPolicyKind.DEPTH,
            QoSPolicyKind.RELIABILITY,
            QoSPolicyKind.DURABILITY,
        )
    )

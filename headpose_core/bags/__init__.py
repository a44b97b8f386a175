# SPDX-License-Identifier: Apache-2.0
"""``headpose bag``: head poses into ROS 2 bags, without ROS. Needs rosbags, imported on use.

``reader`` gets out of a bag what can be read, ``salvage`` what rosbags refuses; ``messages``
builds messages, ``writer`` the MCAP file they go to; ``annotate`` puts the pipeline in between.
"""

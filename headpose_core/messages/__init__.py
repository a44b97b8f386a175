# SPDX-License-Identifier: Apache-2.0
"""What is told of a ``Frame``: ROS messages, markers, JSON lines and tables."""

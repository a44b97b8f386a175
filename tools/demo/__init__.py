# SPDX-License-Identifier: Apache-2.0
"""The demo: a camera, the node and a recorder, three processes of a real ROS 2 graph."""

# SPDX-License-Identifier: Apache-2.0
"""``headpose bag``: head poses into ROS 2 bags, without ROS. Needs rosbags and mcap.

``annotate`` sends the images of a bag through the pipeline. ``reader`` gets out of a bag what can
be read: ``storage_files`` finds its files, and a ``storage`` reads each of them. ``topics`` finds
the images and their calibration, ``type_store`` knows the messages, ``writer`` writes them.
"""

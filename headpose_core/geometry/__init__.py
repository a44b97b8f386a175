# SPDX-License-Identifier: Apache-2.0
"""Rotations, cameras, and the filter of orientations."""

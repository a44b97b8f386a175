# SPDX-License-Identifier: Apache-2.0
"""Labelled faces, and the views that a network is trained on."""

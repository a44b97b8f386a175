# SPDX-License-Identifier: Apache-2.0
"""Data engine: heads rendered with exact pose labels and the crops of run time."""

GENERATOR_VERSION = 10

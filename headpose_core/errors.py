# SPDX-License-Identifier: Apache-2.0
"""Errors to tell apart. Each says what was expected, what came and how to fix it."""

from __future__ import annotations


class ModelError(ValueError):
    """A model file is missing, broken, or not the kind of model that was expected."""


class DeviceError(RuntimeError):
    """The device or the backend that was asked for cannot be had."""


class ImageError(ValueError):
    """A picture cannot be read, or an array is not an image of the expected shape and type."""


class BagError(ValueError):
    """A bag cannot be read, or does not have what was asked for."""

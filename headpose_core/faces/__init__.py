# SPDX-License-Identifier: Apache-2.0
"""Where the faces are in an image, and which is which from image to image."""

# SPDX-License-Identifier: Apache-2.0
"""ONNX files as bytes, and ONNX Runtime sessions for them."""

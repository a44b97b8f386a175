# SPDX-License-Identifier: Apache-2.0
"""From trained weights to a model file."""

# SPDX-License-Identifier: Apache-2.0
"""The pose network: from face crops to angles with their uncertainty."""

# SPDX-License-Identifier: Apache-2.0
"""What is timed and measured, and against whom."""

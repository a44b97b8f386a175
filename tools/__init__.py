# SPDX-License-Identifier: Apache-2.0
"""What this repository is built and shown with; none of it is installed."""

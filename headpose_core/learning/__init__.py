# SPDX-License-Identifier: Apache-2.0
"""Networks, losses, data and training; the only room that needs PyTorch."""

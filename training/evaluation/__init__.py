# SPDX-License-Identifier: Apache-2.0
"""What `python -m training.evaluate` is made of."""

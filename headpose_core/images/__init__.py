# SPDX-License-Identifier: Apache-2.0
"""Pictures as arrays, messages and files: each becomes one ``ImageView``."""

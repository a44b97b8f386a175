# SPDX-License-Identifier: Apache-2.0
"""Looks at data, weights and runs; nothing is trained here."""

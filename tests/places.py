# SPDX-License-Identifier: Apache-2.0
"""Where the tests find things."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

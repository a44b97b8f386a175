# SPDX-License-Identifier: Apache-2.0
"""How fast everything is, beside what the machine allows: the parts of ``headpose bench``."""

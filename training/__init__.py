# SPDX-License-Identifier: Apache-2.0
"""Training system: data engine, teachers, distillation, evaluation. Run from the repository."""

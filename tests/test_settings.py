# SPDX-License-Identifier: Apache-2.0
"""Every settings class checks itself: limits, NaN and wrong kinds, in words with the limits."""

from __future__ import annotations

import math
import re
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from headpose_core.faces.face_detector import DetectorSettings
from headpose_core.faces.tracking import TrackerSettings
from headpose_core.geometry.orientation_filter import FilterSettings
from headpose_core.pipeline import PipelineSettings
from headpose_core.settings import Setting, Settings, settings_of
from headpose_core.types import Faces

CLASSES = (DetectorSettings, FilterSettings, PipelineSettings, TrackerSettings)
FIELDS = [(kind, one) for kind in CLASSES for one in settings_of(kind)]
NUMBERS = [(kind, one) for kind, one in FIELDS if one.limits is not None]
SWITCHES = [(kind, one) for kind, one in FIELDS if one.limits is None]


def name_of(value: Any) -> str | None:
    return value.name if isinstance(value, Setting) else None


def beside(one: Setting) -> list[float]:
    """The nearest values outside the limits."""
    low, high = one.limits
    if isinstance(one.default, int):
        return [int(low) - 1, int(high) + 1]
    return [math.nextafter(low, -math.inf), math.nextafter(high, math.inf)]


def refused(kind: type[Settings], name: str, value: Any, words: str) -> bool:
    """Whether it is refused both when made and when replaced, with these words."""
    message = re.escape(f"{name}: expected {words}, got {value!r}")
    for make in (kind, lambda **changes: replace(kind(), **changes)):
        with pytest.raises(ValueError, match=f"^{message}$"):
            make(**{name: value})
    return True


def range_of(one: Setting) -> str:
    low, high = one.limits
    whole = "whole " if isinstance(one.default, int) else ""
    unit = f" {one.unit}" if one.unit else ""
    steps = f" in steps of {one.step}" if one.step > 1 else ""
    return f"a {whole}number from {low:g} to {high:g}{unit}{steps}"


def test_these_are_all_settings_classes() -> None:
    assert set(Settings.__subclasses__()) == set(CLASSES)


@pytest.mark.parametrize(("kind", "one"), NUMBERS, ids=name_of)
def test_numbers_outside_their_limits_are_refused(kind: type[Settings], one: Setting) -> None:
    for value in (*beside(one), math.inf, -math.inf, math.nan, 10**400):
        assert refused(kind, one.name, value, range_of(one))
    for value in one.limits:
        whole = isinstance(one.default, int)
        assert getattr(kind(**{one.name: int(value) if whole else value}), one.name) == value


@pytest.mark.parametrize(("kind", "one"), NUMBERS, ids=name_of)
def test_what_is_no_number_is_refused(kind: type[Settings], one: Setting) -> None:
    for value in (None, "1", True, [1.0], 1j):
        assert refused(kind, one.name, value, range_of(one))
    if isinstance(one.default, int):
        assert refused(kind, one.name, one.default + 0.5, range_of(one))
        assert refused(kind, one.name, float(one.default), range_of(one))


@pytest.mark.parametrize(("kind", "one"), SWITCHES, ids=name_of)
def test_a_switch_is_true_or_false(kind: type[Settings], one: Setting) -> None:
    for value in (None, 0, 1, "false", math.nan):
        assert refused(kind, one.name, value, "true or false")
    for value in (True, False):
        assert getattr(kind(**{one.name: value}), one.name) is value


@pytest.mark.parametrize(("kind", "one"), FIELDS, ids=name_of)
def test_a_setting_has_words_and_a_default_inside_its_limits(
    kind: type[Settings], one: Setting
) -> None:
    assert one.words.endswith(".")
    assert one.problem(one.default) == ""
    assert getattr(kind(), one.name) == one.default
    assert isinstance(one.default, bool) == (one.limits is None)


@pytest.mark.parametrize("kind", CLASSES)
def test_settings_are_frozen(kind: type[Settings]) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(kind(), settings_of(kind)[0].name, 1)


def test_the_plain_name_is_without_its_unit() -> None:
    names = {one.name: one.plain_name for _, one in FIELDS}
    assert names["max_gap_s"] == "max_gap"
    assert names["min_cutoff_hz"] == "min_cutoff"
    assert names["face_height_m"] == "face_height"
    assert names["min_hits"] == "min_hits"


def test_faces_below_the_settings_are_dropped() -> None:
    boxes = np.array([[0, 0, 30, 10], [0, 0, 10, 23], [0, 0, 90, 90]], np.float32)
    faces = Faces(boxes, np.array([0.9, 0.8, 0.5], np.float32))
    kept = DetectorSettings(score_threshold=0.6, min_face_size=24).accepted(faces)
    assert kept.boxes.tolist() == [[0, 0, 30, 10]]

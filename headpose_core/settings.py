# SPDX-License-Identifier: Apache-2.0
"""Settings that may change from one image to the next: default, range and words in one place.

    @dataclass(frozen=True)
    class FilterSettings(Settings):
        beta: float = setting(0.05, "higher follows turns more closely", limits=(0.0, 100.0))

The parameter table of the node, ``config/headpose.yaml``, the options of the command line and the
documentation are made from these classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Setting:
    """One field. name: in the class. default: bool, int or float. words: what it does.

    unit: "" for none. limits: smallest and largest value of a number. step: between the values of
    a whole number.
    """

    name: str
    default: Any
    words: str
    unit: str
    limits: tuple[float, float] | None
    step: int

    @property
    def plain_name(self) -> str:
        """The name without its unit, as in parameters: ``max_gap`` of ``max_gap_s``."""
        return self.name.removesuffix(f"_{self.unit.lower()}")

    def problem(self, value: Any) -> str:
        """Why a value is refused; "" when it is taken."""
        if self.limits is None:
            good, expected = isinstance(value, bool), "true or false"
        else:
            low, high = self.limits
            whole = isinstance(self.default, int)
            kinds = int if whole else (int, float)
            number = isinstance(value, kinds) and not isinstance(value, bool)
            good = number and low <= value <= high  # NaN is in no range
            good = good and not (whole and (value - low) % self.step)
            unit = f" {self.unit}" if self.unit else ""
            steps = f" in steps of {self.step}" if self.step > 1 else ""
            expected = f"a {'whole ' * whole}number from {low:g} to {high:g}{unit}{steps}"
        return "" if good else f"{self.name}: expected {expected}, got {value!r}"


def setting(
    default: Any,
    words: str,
    *,
    unit: str = "",
    limits: tuple[float, float] | None = None,
    step: int = 1,
) -> Any:
    """A field of a ``Settings`` class; numbers need ``limits``."""
    facts = {"words": words, "unit": unit, "limits": limits, "step": step}
    return field(default=default, metadata=facts)


@dataclass(frozen=True)
class Settings:
    """Base of frozen dataclasses whose fields are made by ``setting``.

    Raises ValueError for a value outside its limits, with the limits. Change one by
    ``dataclasses.replace``.
    """

    def __post_init__(self) -> None:
        for one in settings_of(type(self)):
            if problem := one.problem(getattr(self, one.name)):
                raise ValueError(problem)


def settings_of(kind: type[Settings]) -> tuple[Setting, ...]:
    """What each field of a class says about itself, in their order."""
    return tuple(Setting(one.name, one.default, **one.metadata) for one in fields(kind))

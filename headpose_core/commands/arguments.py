# SPDX-License-Identifier: Apache-2.0
"""Parsers and options that several subcommands share."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from headpose_core.errors import DeviceError
from headpose_core.settings import Setting, Settings, settings_of

_LONGEST_SHOWN = 40
_MOST = 1_000_000
_ANGLES = (
    "Angles are the paper's, in degrees: yaw > 0 nose to the image's left, pitch > 0 up, "
    "roll > 0 clockwise. Records go to standard output or a file, all words to standard error."
)


def new_command(
    subcommands: Any,
    name: str,
    text: str,
    example: str,
    run: Callable[[argparse.Namespace], int],
    *parents: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    """A subcommand that ``run`` carries out, and whose help ends with an example."""
    parser: argparse.ArgumentParser = subcommands.add_parser(
        name,
        parents=parents,
        help=text,
        description=f"{text[0].upper()}{text[1:]}. {_ANGLES}",
        epilog=f"example: {example}",
    )
    parser.set_defaults(run=run)
    return parser


def add_settings(add: Callable[..., object], kind: type[Settings], *left_out: str) -> None:
    """An option for each setting of a class, with its default, range and words.

    add: ``add_argument`` of a parser or group. left_out: names of settings without an option.
    """
    for one in settings_of(kind):
        if one.name in left_out:
            continue
        option = f"--{one.plain_name.replace('_', '-')}"
        words = (one.words[0].lower() + one.words[1:]).rstrip(".").replace("%", "%%")
        if one.limits is None:
            add(option, action=argparse.BooleanOptionalAction, default=one.default, help=words)
        else:
            unit = one.unit.upper() if one.unit.isalpha() else "N"
            shown = f"{words} (default %(default)g)"
            add(option, type=_checked(one), default=one.default, metavar=unit, help=shown)


def chosen(args: argparse.Namespace, kind: type[Settings]) -> dict[str, Any]:
    """The values of the options that ``add_settings`` added, by the names of the settings."""
    given = vars(args)
    return {s.name: given[s.plain_name] for s in settings_of(kind) if s.plain_name in given}


@dataclass(frozen=True)
class Number:
    """The type of an option: a number from ``low`` to ``high``, whole ones in steps."""

    low: float
    high: float
    kind: type[int] | type[float] = float
    step: int = 1

    def __call__(self, text: str) -> float:
        """The number that a text says. Raises ArgumentTypeError with what was expected."""
        try:
            value = self.kind(text)
        except ValueError:
            value = math.nan
        on_step = self.step == 1 or (value - self.low) % self.step == 0
        if self.low <= value <= self.high and on_step:  # NaN is in no range
            return value
        whole = "a whole number" if self.kind is int else "a number"
        steps = f" in steps of {self.step}" if self.step > 1 else ""
        limits = f"{_plain(self.low)} to {_plain(self.high)}{steps}"
        shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
        raise argparse.ArgumentTypeError(f"expected {whole}, {limits}, got {shown!r}")


def number(low: float, high: float, kind: type[int] | type[float] = float) -> Number:
    """The type of an option: a number from ``low`` to ``high``."""
    return Number(low, high, kind)


def add_pace(parser: argparse.ArgumentParser, what: str) -> None:
    """The options --every and --quiet."""
    words = f"only every N-th {what}"
    parser.add_argument("--every", type=number(1, _MOST, int), default=1, metavar="N", help=words)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def add_zoom(parser: argparse.ArgumentParser) -> None:
    """The option --zoom."""
    words = "of annotated copies (until readable)"
    parser.add_argument("--zoom", type=number(0.01, 100), metavar="Z", help=words)


def add_record_files(parser: argparse.ArgumentParser) -> None:
    """The options --jsonl and --csv."""
    parser.add_argument("--jsonl", type=Path, metavar="FILE", help="a line an image; - is stdout")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="a row for each head")


def require(package: str, extra: str) -> None:
    """Raise DeviceError, with the remedy, when an optional package is missing."""
    try:
        import_module(package)
    except ImportError as error:
        raise DeviceError(
            f"expected {package} to be installed, got '{error}': "
            f"pip install 'headpose-ehpnet[{extra}]'"
        ) from error


def _checked(one: Setting) -> Number:
    assert one.limits is not None
    return Number(*one.limits, kind=type(one.default), step=one.step)


def _plain(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"

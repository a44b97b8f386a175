# SPDX-License-Identifier: Apache-2.0
"""How good predictions are: the numbers of the paper's tables, and whether the spread is honest.

Arrays are (N, 3) in degrees, yaw, pitch, roll, in the paper's convention. A label that a data
set does not have is NaN and does not count.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headpose_core.geometry.rotation import (
    angles_from_matrix,
    geodesic_deg,
    matrix_from_angles,
    mirror_angles,
)
from headpose_core.learning.data.skipped_faces import LARGEST_ANGLE_DEG
from headpose_core.pose.bins import decode
from headpose_core.types import FloatArray

ANGLES = ("yaw", "pitch", "roll")
YAW_BINS = ((0, 30), (30, 60), (60, round(LARGEST_ANGLE_DEG)))
ONE_SIGMA = 0.6827  # share of a normal distribution within one standard deviation


def accuracy(predicted: FloatArray, labels: FloatArray) -> dict[str, Any]:
    """Mean absolute errors, their mean by |yaw|, bias, and mean angle between the rotations.

    An average over nothing is None. The error of a face is the mean over its angles.
    """
    errors = predicted - labels
    absolute = np.abs(errors)
    by_angle = _by_angle(absolute)
    apart = geodesic_deg(matrix_from_angles(predicted), matrix_from_angles(labels))
    turned = np.abs(labels[:, 0])
    bins = {f"{low}-{high}": (turned >= low) & (turned < high) for low, high in YAW_BINS}
    return {
        "n": len(labels),
        "mae": by_angle | {"mean": _mean(np.array(_known(by_angle)))},
        "by_yaw": {name: _mean(absolute[inside]) for name, inside in bins.items()},
        "n_by_yaw": {name: int(inside.sum()) for name, inside in bins.items()},
        "geodesic": _mean(apart),
        "geodesic_by_yaw": {name: _mean(apart[inside]) for name, inside in bins.items()},
        "bias": _by_angle(errors),
    }


def paired_bootstrap(
    first: FloatArray,
    second: FloatArray,
    labels: FloatArray,
    groups: NDArray[np.int64],
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Mean absolute error of the second model minus the first's, on the same faces.

    Returns the difference and the ends of its 95 % interval over draws of groups (N,) with
    replacement: the faces of one person or video are not so many independent ones. An
    interval without zero says that the models differ on such faces.
    """
    errors = np.abs([first - labels, second - labels])
    gain = np.nanmean(errors[1], axis=1) - np.nanmean(errors[0], axis=1)
    group = np.unique(groups, return_inverse=True)[1]
    sums, counts = np.bincount(group, gain), np.bincount(group)
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(len(sums), size=len(sums)) for _ in range(draws))
    means = [sums[chosen].sum() / counts[chosen].sum() for chosen in drawn]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(gain.mean()), float(low), float(high)


def second_half(groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Faces (N,) of every second group, in the order in which the groups come."""
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return np.asarray(rank[group] % 2 == 1)


def mean_change(predicted: FloatArray, others: FloatArray) -> float | None:
    """Mean absolute difference between predictions of the same faces, seen otherwise."""
    return _mean(np.abs(predicted - others))


def mirror_difference(predicted: FloatArray, of_mirrored: FloatArray) -> float | None:
    """Mean absolute difference between predictions and those of the mirrored images."""
    return mean_change(predicted, mirror_angles(of_mirrored))


def calibration(predicted: FloatArray, std: FloatArray, labels: FloatArray) -> dict[str, Any]:
    """Share of errors within one and two standard deviations, sharpness, likelihood.

    `nll` is the mean negative log-likelihood of the label under a normal distribution
    [nat, of degrees]; 68.3 % and 95.4 % would be the coverage of an honest one. Models that
    say nothing of their spread (NaN) get None.
    """
    ratio = np.abs(predicted - labels) / std
    ratio_known = ratio[np.isfinite(ratio)]
    return {
        "coverage_1sigma": _mean(ratio_known <= 1.0),
        "coverage_2sigma": _mean(ratio_known <= 2.0),
        "coverage_1sigma_by_angle": _by_angle(np.where(np.isnan(ratio), np.nan, ratio <= 1.0)),
        "sharpness": _by_angle(std),
        "nll": _mean(normal_nll(predicted, std, labels)),
    }


def calibrated(
    logits: NDArray[np.float32], labels: FloatArray, groups: NDArray[np.int64]
) -> dict[str, Any] | None:
    """`calibration` of every second group's faces with the temperature fitted to the others.

    None when there is one group only.
    """
    held = second_half(groups)
    if not held.any():
        return None
    temperature = fit_temperature(logits[~held], labels[~held])
    estimate = decode(logits[held], temperature)
    return {
        "temperature": [round(float(value), 3) for value in temperature],
        **calibration(estimate.mean_deg, estimate.std_deg, labels[held]),
    }


def normal_nll(predicted: FloatArray, std: FloatArray, labels: FloatArray) -> FloatArray:
    """Negative log-likelihoods (N, 3) of labels under normal distributions [nat]."""
    ratio = (predicted - labels) / std
    return np.asarray(0.5 * ratio**2 + np.log(std) + 0.5 * math.log(2 * math.pi))


def fit_temperature(logits: NDArray[np.float32], labels: FloatArray) -> FloatArray:
    """Temperatures (3,) at which one sigma covers 68.3 % of the errors; logits (N, 3, 62).

    The search between 0.1 and 20, to 1 %, is by what `bins.decode` makes of the logits, so it
    fits what users of the model see. (The likelihood would be ruled by a few large errors: with
    it one sigma covers four fifths of the others.) An angle without labels keeps 1.
    """
    best = np.full(3, math.sqrt(0.1 * 20.0))
    for reach in (math.log(20.0 / 0.1) / 2, 0.2):
        grid = best * np.exp(np.linspace(-reach, reach, 41))[:, None]
        excess = []
        for temperature in grid:
            estimate = decode(logits, temperature)
            inside = np.abs(estimate.mean_deg - labels) <= estimate.std_deg
            excess.append(np.abs(inside.sum(axis=0) - ONE_SIGMA * np.isfinite(labels).sum(axis=0)))
        best = np.take_along_axis(grid, np.argmin(excess, axis=0)[None], axis=0)[0]
    return np.asarray(np.where(np.isfinite(labels).any(axis=0), best, 1.0))


def fit_zero_pose(predicted: FloatArray, labels: FloatArray) -> FloatArray:
    """Constant rotation Z (3,), yaw, pitch, roll, that brings predictions closest to labels.

    It is in the head's frame (R Z): data sets differ in which pose of a head they call zero.
    The mean absolute error of the angles is what it minimises.
    """
    from scipy.optimize import minimize

    found = minimize(
        lambda zero: float(np.nanmean(np.abs(turn_predictions(predicted, zero) - labels))),
        np.zeros(3),
        method="Nelder-Mead",
        options={"initial_simplex": 4.0 * np.vstack([np.zeros(3), np.eye(3)]), "xatol": 0.01},
    )
    return np.asarray(found.x)


def turn_predictions(predicted: FloatArray, zero_pose_deg: FloatArray) -> FloatArray:
    """Angles (N, 3) after a constant rotation in the head's frame."""
    turned = matrix_from_angles(predicted) @ matrix_from_angles(zero_pose_deg)
    return angles_from_matrix(turned)


def _by_angle(values: FloatArray) -> dict[str, float | None]:
    return {name: _mean(values[:, index]) for index, name in enumerate(ANGLES)}


def _known(values: dict[str, float | None]) -> list[float]:
    return [value for value in values.values() if value is not None]


def _mean(values: NDArray[Any]) -> float | None:
    """Mean of what is not NaN; None when there is nothing."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else None

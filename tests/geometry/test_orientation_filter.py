# SPDX-License-Identifier: Apache-2.0
"""The filter of orientations: still heads stand still, turns are followed, doubt stays honest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from headpose_core.geometry.orientation_filter import FilterSettings, OrientationFilter
from headpose_core.geometry.rotation import geodesic_deg, matrix_from_angles

DT = 1.0 / 30.0
POSE = matrix_from_angles((30.0, 20.0, 10.0))
DOUBT = np.diag([4.0, 9.0, 1.0]) * 1e-4


def turned(vectors_deg: np.ndarray, rotation: np.ndarray = POSE) -> np.ndarray:
    """A rotation after small turns (N, 3) about fixed axes."""
    return Rotation.from_rotvec(np.radians(vectors_deg)).as_matrix() @ rotation


def errors_deg(rotations: np.ndarray, truth: np.ndarray = POSE) -> np.ndarray:
    """Rotation vectors (N, 3) from truth to rotations."""
    difference = rotations @ np.swapaxes(truth, -1, -2)
    return np.degrees(Rotation.from_matrix(difference).as_rotvec())


def run(rotations, covariances=DOUBT, settings=None, frames=None, dt=DT):
    """One head, image by image: rotations (N, 3, 3) and covariances (N, 3, 3) as they come out."""
    filter_, results = OrientationFilter(settings), []
    for i, rotation in enumerate(rotations):
        frame = None if frames is None else frames[i]
        results.append(filter_.update(i * dt, ["f1"], [rotation], [covariances], frame))
    return tuple(np.concatenate(parts) for parts in zip(*results, strict=True))


def still(degrees: float, count: int = 3000) -> np.ndarray:
    """A still head with white noise of so many degrees about each axis."""
    return turned(np.random.default_rng(0).normal(0.0, degrees, (count, 3)))


def yaw_ramp(speed_deg_s: float, seconds: float, dt: float = DT) -> np.ndarray:
    """Half a second of rest, a turn, half a second of rest."""
    t = np.arange(0.0, seconds + 1.0, dt)
    yaw = np.clip(t - 0.5, 0.0, seconds) * speed_deg_s - speed_deg_s * seconds / 2
    return matrix_from_angles(np.stack([yaw, 0 * yaw, 0 * yaw], axis=1))


def test_noise_on_a_still_head_falls_by_three_times_or_more() -> None:
    given = still(0.4)
    filtered, _ = run(given)
    fall = errors_deg(given).std(axis=0) / errors_deg(filtered)[30:].std(axis=0)
    assert fall.min() >= 3.0
    assert np.abs(errors_deg(filtered).mean(axis=0)).max() < 0.03


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.6])
def test_a_fast_turn_lags_at_most_two_frames(seconds: float) -> None:
    given = yaw_ramp(200.0, seconds)
    filtered, _ = run(given)
    frame_deg = 200.0 * DT
    assert 0.2 * frame_deg < geodesic_deg(filtered, given).max() <= 2.0 * frame_deg


def test_without_beta_the_turn_would_lag() -> None:
    given = yaw_ramp(200.0, 0.6)
    filtered, _ = run(given, settings=FilterSettings(beta=0.0))
    assert geodesic_deg(filtered, given).max() > 4 * 200.0 * DT


@given(st.integers(0, 2**32 - 1))
def test_the_axes_of_the_frame_make_no_difference(seed: int) -> None:
    """The same heads, told in a frame with other axes, come out the same."""
    other = Rotation.random(random_state=seed % 2**31).as_matrix()
    given = np.concatenate([still(2.0, 5), yaw_ramp(100.0, 0.1)[10:20]])
    plain, doubt = run(given)
    again, doubt_again = run(given, frames=[other] * len(given))
    np.testing.assert_allclose(again, plain, atol=1e-6)
    np.testing.assert_allclose(doubt_again, doubt, atol=1e-9)


def test_a_moving_camera_does_not_smear_a_still_head() -> None:
    """The camera pans at 90 degrees a second; told so, the filter keeps the head still."""
    count = 30
    pan = Rotation.from_rotvec(np.radians([[0, 3.0 * i, 0] for i in range(count)])).as_matrix()
    seen = np.swapaxes(pan, 1, 2) @ POSE  # in the optical frame
    told, _ = run(seen, frames=pan)
    assert geodesic_deg(told, seen).max() < 1e-3
    untold, _ = run(seen)
    assert geodesic_deg(untold, seen).max() > 1.0


def test_doubt_turns_with_the_axes_of_the_image() -> None:
    """A camera that rolls by a quarter turn: what was doubt about x is doubt about y then."""
    roll = Rotation.from_rotvec([0, 0, np.pi / 2]).as_matrix()
    seen = np.stack([POSE, roll.T @ POSE])
    filter_ = OrientationFilter(FilterSettings(beta=0.0))
    filter_.update(0.0, ["f1"], seen[:1], [DOUBT], np.eye(3))
    _, (doubt,) = filter_.update(1e-4, ["f1"], seen[1:], [DOUBT], roll)
    np.testing.assert_allclose(doubt, np.diag([9.0, 4.0, 1.0]) * 1e-4, rtol=1e-2, atol=1e-8)


def normalised_error(rotations: np.ndarray, doubts: np.ndarray, truth: np.ndarray) -> float:
    """Mean of e^T C^-1 e / 3: 1 when the covariance tells the truth, less when it is careful."""
    e = np.radians(errors_deg(rotations, truth))
    return float(np.einsum("ni,nij,nj->n", e, np.linalg.inv(doubts), e).mean() / 3)


def test_doubt_is_right_when_each_image_has_the_same_error() -> None:
    rng = np.random.default_rng(1)
    ends = []
    for bias in rng.multivariate_normal(np.zeros(3), DOUBT, 400):
        rotations = np.repeat(turned(np.degrees(bias))[None], 10, axis=0)
        filtered, doubts = run(rotations)
        ends.append((filtered[-1], doubts[-1]))
    measured = normalised_error(*(np.stack(part) for part in zip(*ends, strict=True)), POSE)
    assert measured == pytest.approx(1.0, abs=0.15)


def test_doubt_is_never_too_small_for_independent_errors() -> None:
    rng = np.random.default_rng(2)
    noise = rng.multivariate_normal(np.zeros(3), DOUBT, 3000)
    filtered, doubts = run(turned(np.degrees(noise)))
    assert normalised_error(filtered, doubts, POSE) < 1.0


def test_doubt_covers_the_lag_of_a_turn() -> None:
    """Given without errors: what is left is the lag alone."""
    given = yaw_ramp(200.0, 0.6)
    filtered, doubts = run(given, covariances=DOUBT * 1e-2)
    lag = np.radians(geodesic_deg(filtered, given))
    assert lag.max() > 10 * np.sqrt(DOUBT.max() * 1e-2)
    assert normalised_error(filtered, doubts, given) < 1.0


def jump(filter_: OrientationFilter, stamp_s: float, face_id: str = "f1", **options) -> float:
    """Degrees by which a head that turned by 20 degrees is held back."""
    rotation = matrix_from_angles((20.0, 0.0, 0.0))
    filter_.settings = options.pop("settings", FilterSettings(beta=0.0))
    filtered, _ = filter_.update(stamp_s, [face_id], [rotation], [DOUBT], **options)
    return float(geodesic_deg(filtered[0], rotation))


@pytest.fixture
def begun() -> OrientationFilter:
    """A filter that has seen face f1 straight ahead at 10 s."""
    filter_ = OrientationFilter()
    filter_.update(10.0, ["f1"], [np.eye(3)], [DOUBT])
    return filter_


def test_what_goes_on_is_held_back(begun: OrientationFilter) -> None:
    assert jump(begun, 10.0 + DT) > 10.0


def test_a_short_occlusion_goes_on(begun: OrientationFilter) -> None:
    begun.update(10.1, [], np.zeros((0, 3, 3)), np.zeros((0, 3, 3)))
    assert jump(begun, 10.2) > 5.0


def test_an_image_with_the_stamp_of_the_last_one_is_let_through(begun: OrientationFilter) -> None:
    assert jump(begun, 10.0) == 0.0
    assert jump(begun, 10.0 + DT) > 10.0  # and the filter goes on
    for _ in range(100):
        assert jump(begun, 10.0 + DT) == 0.0  # a clock that stands still freezes no head


@pytest.mark.parametrize("stamp_s", [9.9, 11.01, 0.0])
def test_time_that_goes_back_and_long_gaps_begin_anew(
    begun: OrientationFilter, stamp_s: float
) -> None:
    assert jump(begun, stamp_s) == 0.0


def test_another_face_begins_anew(begun: OrientationFilter) -> None:
    assert jump(begun, 10.0 + DT, face_id="f2") == 0.0


def test_a_reset_begins_anew(begun: OrientationFilter) -> None:
    begun.reset()
    assert jump(begun, 10.0 + DT) == 0.0


def test_switched_off_it_does_nothing_and_remembers_nothing(begun: OrientationFilter) -> None:
    assert jump(begun, 10.0 + DT, settings=FilterSettings(enabled=False)) == 0.0
    assert jump(begun, 10.0 + 2 * DT) == 0.0


def test_an_unknown_frame_lets_one_image_through_unfiltered(
    begun: OrientationFilter,
) -> None:
    assert jump(begun, 10.0 + DT, frame=np.full((3, 3), np.nan)) == 0.0
    assert jump(begun, 10.0 + 2 * DT) > 5.0


def test_faces_that_are_gone_are_forgotten() -> None:
    filter_ = OrientationFilter()
    for i in range(500):
        filter_.update(i * DT, [f"f{i}"], [POSE], [DOUBT])
    assert len(filter_._states) < 40


def test_heads_do_not_mix() -> None:
    filter_, alone = OrientationFilter(), run(still(2.0, 20))[0]
    poses = still(2.0, 20)
    for i, expected in enumerate(alone):
        rotations = [np.eye(3), poses[i]] if i % 2 else [poses[i], np.eye(3)]
        ids = ["f2", "f1"] if i % 2 else ["f1", "f2"]
        filtered, _ = filter_.update(i * DT, ids, rotations, [DOUBT] * 2)
        np.testing.assert_allclose(filtered[i % 2], expected, atol=1e-12)


def test_what_comes_out_stays_a_rotation() -> None:
    filtered, _ = run(still(20.0, 5_000))
    filtered = filtered[-100:]
    np.testing.assert_allclose(
        filtered @ np.swapaxes(filtered, 1, 2),
        np.broadcast_to(np.eye(3), filtered.shape),
        atol=1e-9,
    )


@pytest.mark.parametrize(
    "wrong", [{"min_cutoff_hz": 0.0}, {"min_cutoff_hz": np.nan}, {"beta": -1.0}, {"beta": np.inf}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        FilterSettings(**wrong)


def test_a_frame_of_another_shape_is_refused(begun: OrientationFilter) -> None:
    with pytest.raises(ValueError, match=r"expected the axes of a frame as \(3, 3\)"):
        jump(begun, 11.0, frame=np.zeros(4))

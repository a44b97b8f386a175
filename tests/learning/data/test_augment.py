# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headpose_core.geometry.rotation import geodesic_deg, matrix_from_angles, mirror_angles
from headpose_core.learning.data.augment import (
    NO_AUGMENTATION,
    AugmentConfig,
    GeometryConfig,
    Jitter,
    plain_view,
    training_views,
    turn_label,
    warp_to_crop,
)
from headpose_core.learning.data.degrade import PAPER_STAGES, STAGES, DegradeConfig
from headpose_core.types import FloatArray, Image
from tests.learning.drawn_faces import draw_face

# The centre of the drawn head is the centre of this square.
CENTRED = np.array([20.0, 20.0, 132.0, 132.0], np.float32)
POSE = np.array([25.0, -12.0, 8.0])


def unlike(first: Image, second: Image) -> float:
    """Mean difference in grey levels."""
    return float(np.abs(first.astype(np.float64) - second).mean())


@pytest.mark.parametrize("size", [64, 80, 112])
@pytest.mark.parametrize("box", [CENTRED, np.array([-9.3, 12.2, 80.1, 120.7], np.float32)])
def test_a_warp_without_jitter_is_the_crop_of_run_time(
    size: int, box: np.ndarray[tuple[int], np.dtype[np.float32]]
) -> None:
    image = draw_face(POSE)
    plain = plain_view(image, box, size)
    assert plain.shape == (size, size, 3)
    assert unlike(warp_to_crop(image, box, Jitter(), size), plain) < 1.5
    assert unlike(warp_to_crop(image, box, Jitter(shift=(0.05, 0.0)), size), plain) > 3.0


@given(
    st.floats(-40, 40),
    st.tuples(st.floats(-50, 50), st.floats(-25, 25), st.floats(-25, 25)),
    st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_a_turned_and_mirrored_view_is_the_head_of_its_label(
    turn_deg: float, angles_deg: tuple[float, float, float], flip: bool
) -> None:
    label = turn_label(np.array(angles_deg), turn_deg)
    assert label is not None
    jitter = Jitter(turn_deg=turn_deg, flip=flip)
    view = warp_to_crop(draw_face(np.array(angles_deg)), CENTRED, jitter, 112)
    final = mirror_angles(label) if flip else label
    expected = plain_view(draw_face(final, mirrored=flip), CENTRED)
    other = plain_view(draw_face(final + 6.0, mirrored=flip), CENTRED)
    assert unlike(view, expected) < 0.6 * unlike(other, expected)


def test_outside_the_image_is_black() -> None:
    image = np.full((50, 50, 3), 200, np.uint8)
    box = np.array([0.0, 0.0, 100.0, 100.0], np.float32)
    view = warp_to_crop(image, box, Jitter(), 112)
    assert (view[2:50, 2:50] == 200).all() and (view[60:] == 0).all() and (view[:, 60:] == 0).all()


@given(st.floats(-30, 30), st.floats(-60, 60), st.floats(-40, 40), st.floats(-40, 40))
def test_turning_a_label_turns_the_head_by_that_angle(
    turn: float, yaw: float, pitch: float, roll: float
) -> None:
    angles = np.array([yaw, pitch, roll])
    turned = turn_label(angles, turn)
    assert turned is not None
    apart = geodesic_deg(matrix_from_angles(turned), matrix_from_angles(angles))
    assert apart == pytest.approx(abs(turn), abs=1e-4)


def test_labels_that_euler_angles_cannot_turn_are_left_alone() -> None:
    assert turn_label(np.array([95.0, 0.0, 0.0]), 10.0) is None
    assert turn_label(np.array([60.0, 5.0, 80.0]), 30.0) is None
    config = AugmentConfig(
        replace(NO_AUGMENTATION.geometry, rotate=1.0, rotate_deg=20.0, rotate_far=0.0),
        DegradeConfig.off(),
    )
    beyond = np.array([95.0, 0.0, 0.0])
    (view,), (label,) = training_views(
        draw_face(POSE), CENTRED, beyond, config, 112, np.random.default_rng(0)
    )
    assert (label == beyond).all()
    assert unlike(view, plain_view(draw_face(POSE), CENTRED)) < 1.5


def test_a_view_depends_on_its_generator_alone() -> None:
    def view(seed: int) -> tuple[Image, FloatArray]:
        rng = np.random.default_rng(seed)
        (crop,), (label,) = training_views(
            draw_face(POSE), CENTRED, POSE, AugmentConfig(), 64, rng
        )
        return crop, label

    first, again, other = view(1), view(1), view(2)
    assert (first[0] == again[0]).all() and (first[1] == again[1]).all()
    assert unlike(first[0], other[0]) > 1.0


def test_views_both_ways_share_the_turn_and_nothing_else() -> None:
    image = draw_face(POSE)
    turning = GeometryConfig(
        flip=0.5, shift=0.0, scale=0.0, rotate=1.0, rotate_deg=20.0, rotate_far=0.0
    )
    for seed in range(20):
        rng = np.random.default_rng(seed)
        config = AugmentConfig(turning, DegradeConfig.off())
        crops, labels = training_views(image, CENTRED, POSE, config, 64, rng, both_ways=True)
        np.testing.assert_allclose(labels[1], mirror_angles(labels[0]))
        assert unlike(crops[0], crops[1][:, ::-1]) < 1.5
    rng = np.random.default_rng(0)
    crops, _ = training_views(image, CENTRED, POSE, AugmentConfig(), 64, rng, both_ways=True)
    assert unlike(crops[0], crops[1][:, ::-1]) > 5.0


def test_jitter_has_the_spread_of_its_config() -> None:
    config = AugmentConfig(
        GeometryConfig(0.5, shift=0.0, scale=0.0, rotate=0.4, rotate_deg=10.0, rotate_far=0.0),
        DegradeConfig.off(),
    )
    rng = np.random.default_rng(0)
    image = draw_face(np.zeros(3))
    labels = np.array(
        [training_views(image, CENTRED, POSE, config, 32, rng)[1][0] for _ in range(600)]
    )
    assert np.mean(labels[:, 0] < 0) == pytest.approx(0.5, abs=0.06)
    kept = np.isclose(np.abs(labels[:, 0]), POSE[0])
    assert np.mean(kept) == pytest.approx(0.6, abs=0.06)


@pytest.mark.parametrize("name", list(STAGES))
@pytest.mark.parametrize("size", [48, 112])
def test_each_degradation_changes_pixels_and_nothing_else(name: str, size: int) -> None:
    crop = plain_view(draw_face(POSE), CENTRED, size)
    kept, rng = crop.copy(), np.random.default_rng(0)
    results = [STAGES[name](crop, rng) for _ in range(10)]
    assert all(one.shape == crop.shape and one.dtype == np.uint8 for one in results)
    assert max(unlike(one, crop) for one in results) > 0.5
    assert (crop == kept).all()
    # The head stays where it was: even the strongest leaves a likeness.
    alike = [np.corrcoef(one.mean(axis=2).ravel(), crop.mean(axis=2).ravel()) for one in results]
    # Light alone, as strong as that, changes more than the head does.
    least = 0.1 if name in ("one_sided", "silhouette") else 0.5
    assert np.median([matrix[0, 1] for matrix in alike]) > least


@pytest.mark.parametrize("name", list(STAGES))
def test_a_degradation_depends_on_its_generator_alone(name: str) -> None:
    crop = plain_view(draw_face(POSE), CENTRED)
    results = []
    for state in (1, 2):
        cv2.setRNGSeed(state)  # OpenCV's own state is no part of it
        results.append([STAGES[name](crop, np.random.default_rng(seed)) for seed in range(8)])
    np.testing.assert_array_equal(*results)


def test_every_degradation_can_be_switched_off() -> None:
    crop = plain_view(draw_face(POSE), CENTRED)
    (view,), (label,) = training_views(
        draw_face(POSE), CENTRED, POSE, NO_AUGMENTATION, 112, np.random.default_rng(0)
    )
    assert unlike(view, crop) < 1.5 and (label == POSE).all()


def test_the_papers_part_is_flip_exposure_blur_and_resampling() -> None:
    papers = AugmentConfig(parts="paper").in_use()
    on = {name for name, share in vars(papers.degrade).items() if share}
    assert on == {"exposure", "blur", "resample"} == set(PAPER_STAGES)
    assert papers.degrade.blur == AugmentConfig().degrade.blur
    assert papers.geometry == GeometryConfig(
        flip=0.5, shift=0.0, scale=0.0, rotate=0.0, rotate_far=0.0
    )
    assert AugmentConfig().in_use() == AugmentConfig()
    # And it is what a view is made with: no label is turned, the flip is kept.
    rng = np.random.default_rng(0)
    config = AugmentConfig(GeometryConfig(rotate=1.0), DegradeConfig(), parts="paper")
    labels = [
        training_views(draw_face(POSE), CENTRED, POSE, config, 32, rng)[1][0] for _ in range(40)
    ]
    assert {tuple(label) for label in labels} == {tuple(POSE), tuple(mirror_angles(POSE))}


def test_an_infrared_view_is_grey_and_falls_off_to_the_rim() -> None:
    crop = np.full((112, 112, 3), (180, 120, 90), np.uint8)
    for seed in range(10):
        view = STAGES["infrared"](crop, np.random.default_rng(seed))
        assert (view[..., 0] == view[..., 1]).all() and (view[..., 0] == view[..., 2]).all()
        rim = np.concatenate([view[0, :, 0], view[-1, :, 0], view[:, 0, 0], view[:, -1, 0]])
        assert rim.mean() < view[33:79, 33:79, 0].mean() and rim.min() < view.max() - 20


@pytest.mark.parametrize("jitter", [Jitter(), Jitter(flip=True), Jitter(shift=(0.05, 0.0))])
def test_stretched_views_are_stretched_crops(jitter: Jitter) -> None:
    image, box = draw_face(POSE), np.array([30.0, 20.0, 110.0, 132.0], np.float32)
    plain = plain_view(image, box, 112, "stretch")
    view = warp_to_crop(image, box, jitter, 112, "stretch")
    if jitter.flip:
        view = np.ascontiguousarray(view[:, ::-1])
    if jitter.shift[0]:  # a twentieth of the width of the box
        view, plain = view[:, :-6], plain[:, 6:]
    assert unlike(view, plain) < 2.5
    assert unlike(plain_view(image, box), plain_view(image, box, 112, "stretch")) > 10.0


def test_a_turn_is_of_the_image_and_not_of_the_stretched_crop() -> None:
    """A quarter turn of a stretched box shows the turned face in the same proportions."""
    image, box = draw_face(POSE), np.array([36.0, 20.0, 116.0, 132.0], np.float32)
    view = warp_to_crop(image, box, Jitter(turn_deg=90.0), 112, "stretch")
    turned = np.ascontiguousarray(np.rot90(image, -1))
    assert unlike(view, plain_view(turned, box, 112, "stretch")) < 2.5

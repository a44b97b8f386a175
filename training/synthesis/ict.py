# SPDX-License-Identifier: Apache-2.0
"""The faces of ICT-FaceKit as morph targets of MakeHuman's head.

ICT-FaceKit (Li et al. 2020, MIT licence) is made from scans of people: its faces vary as real
ones do. It has no hair and no skin, MakeHuman has both. So its mean face and its identity modes
are carried over to the vertices of MakeHuman's head: the head is laid on the mean face, once
(landmarks first, then the surface, smoothly), and each vertex takes the shift of the point
of the face that it lies on. The two zero poses are one, because brows, eyes and nose lay them on
each other. Expressions stay MakeHuman's: their lips know which is the upper one.

Lengths are decimetres in MakeHuman's axes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from training.synthesis.assets import AssetError, read_obj

ICT_URL = "https://github.com/ICT-VGL/ICT-FaceKit"
SURFACE_VERTICES = 11248  # face, head and neck come first; sockets, teeth, eyes and lashes follow
UPPER_FACE = slice(17, 48)  # landmarks of brows, nose and eyes: what does not move with the jaw
# Each round lays the head closer: reach of the smoothing (dm).
ROUNDS_DM = (0.5, 0.3, 0.2, 0.12)
LARGEST_STEP_DM = 0.25
# The skin behind the lids: how far from the eyeball's centre, and how far before it.
SOCKET_REACH_DM, SOCKET_RIM_DM = 0.25, 0.03
EYE_SCALE = 0.94  # lids of the scans lie closer about the eyeball; it must not shine through
# Below the chin the scan ends; MakeHuman's own neck and shoulders are kept.
NECK_FADE_DM = (0.2, 0.9)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ScanModel:
    """ICT-FaceKit's head: mean (V,3) and modes (K,V,3) of the surface, cm; landmarks (68,)."""

    mean: Floats
    modes: Floats
    landmarks: NDArray[np.int64]


def read_ict(assets: Path) -> ScanModel | None:
    """The model under ``assets``: ict_facekit.npz, or the folder FaceXModel of its repository.

    None when there is neither. Raises AssetError for files that are not what they should be.
    """
    packed = assets / "ict_facekit.npz"
    if packed.is_file():
        with np.load(packed) as content:
            indices = json.loads(str(content["vertex_indices"]))
            mean, modes = content["neutral"], content["identity"]
    else:
        found = sorted(assets.glob("**/FaceXModel/generic_neutral_mesh.obj"))
        if not found:
            return None
        folder = found[0].parent
        indices = json.loads((folder / "vertex_indices.json").read_text())
        mean = read_obj(found[0]).vertices
        files = sorted(folder.glob("identity*.obj"))
        if not files:
            raise AssetError(
                f"{folder}: expected identity*.obj, found none; get it from {ICT_URL}"
            )
        modes = np.stack([read_obj(path).vertices - mean for path in files])
    landmarks = np.array(indices["idx_to_landmark_verts"])
    if landmarks.shape != (68,) or len(mean) < SURFACE_VERTICES:
        raise AssetError(
            f"{assets}: expected ICT-FaceKit's 68 landmarks and {SURFACE_VERTICES} vertices or "
            f"more, got {landmarks.shape} and {len(mean)}; get it from {ICT_URL}"
        )
    surface = slice(SURFACE_VERTICES)
    return ScanModel(
        np.asarray(mean[surface], np.float32),
        np.asarray(modes[:, surface], np.float32),
        landmarks,
    )


def scan_targets(
    scan: ScanModel,
    base: Floats,
    head: Floats,
    landmarks: NDArray[np.int32],
    skin: NDArray[np.int32],
    eyeballs: NDArray[np.int32],
) -> tuple[Floats, Floats]:
    """What takes MakeHuman's head to the scans: the mean's target (B,3), the modes' (K,B,3).

    base (B,3): the unmorphed head. head (B,3): an average adult, laid on the mean face.
    landmarks (68,), skin, eyeballs: vertices of the landmarks, of the skin's surface and of what
    the eyeballs hang on, which stay round.
    """
    scale, rotation, shift = similarity(
        scan.mean[scan.landmarks[UPPER_FACE]], head[landmarks[UPPER_FACE]]
    )
    target = (scale * scan.mean @ rotation.T + shift).astype(np.float32)
    eyes = [
        (_eye(head, eyeballs[head[eyeballs, 0] > 0], skin), landmarks[42:48]),
        (_eye(head, eyeballs[head[eyeballs, 0] <= 0], skin), landmarks[36:42]),
    ]
    skin = np.setdiff1d(skin, np.concatenate([eye for eye, _ in eyes]))
    laid = _lay_on(head, target, landmarks, scan.landmarks, skin)
    chin = target[scan.landmarks[8], 1]
    near, far = NECK_FADE_DM
    fade = np.clip((laid[:, 1] - (chin - far)) / (far - near), 0, 1)[:, None]
    fade = (fade * fade * (3 - 2 * fade)).astype(np.float32)
    moved_head = (laid - head) * fade
    for eye, lids in eyes:
        centre = head[eye].mean(0)
        moved_head[eye] = moved_head[lids].mean(0) + (EYE_SCALE - 1) * (head[eye] - centre)
    mean = head + moved_head - base
    weights, nearest = _nearest(target, laid, 4)
    moved = scale * np.einsum("kvj,ij->kvi", scan.modes, rotation)
    modes = np.einsum("bn,kbnj->kbj", weights, moved[:, nearest])
    modes = np.stack([_without_rigid(mode, laid, landmarks) for mode in modes]) * fade
    for eye, lids in eyes:
        modes[:, eye] = modes[:, lids].mean(1, keepdims=True)
    return mean, modes.astype(np.float32)


def similarity(
    points: NDArray[np.float32], onto: NDArray[np.float32]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Scale, rotation (3,3) and shift (3,) that lay points (N,3) on others best (Umeyama 1991)."""
    a, b = points.astype(np.float64), onto.astype(np.float64)
    a_mean, b_mean = a.mean(0), b.mean(0)
    u, singular, vt = np.linalg.svd((b - b_mean).T @ (a - a_mean))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ flip @ vt
    scale = float((singular * np.diag(flip)).sum() / ((a - a_mean) ** 2).sum())
    return scale, rotation, b_mean - scale * rotation @ a_mean


def _eye(head: Floats, ball: NDArray[np.int32], skin: NDArray[np.int32]) -> NDArray[np.int32]:
    """The vertices of one eyeball and of the skin of its socket, which go where its lids go."""
    centre = head[ball].mean(0)
    near = np.linalg.norm(head[skin] - centre, axis=1) < SOCKET_REACH_DM
    return np.union1d(ball, skin[near & (head[skin, 2] < centre[2] + SOCKET_RIM_DM)])


def _lay_on(
    head: Floats,
    target: Floats,
    landmarks: NDArray[np.int32],
    target_landmarks: NDArray[np.int64],
    skin: NDArray[np.int32],
) -> Floats:
    """``head`` (B,3) bent onto the surface ``target`` (V,3): landmarks first, then all skin."""
    inner = np.r_[17:68]  # the jaw line is not the same set of points on both
    marks, places = head[landmarks[inner]], target[target_landmarks[inner]]
    # Lips that are closed share their vertices: one shift for each.
    marks, first = np.unique(marks, axis=0, return_index=True)
    bend = RBFInterpolator(marks, places[first] - marks, kernel="linear", smoothing=1e-3)
    laid: Floats = (head + bend(head)).astype(np.float32)
    low, high = target[:, 1].min() + 0.3, target[:, 1].max() + 0.5
    for reach in ROUNDS_DM:
        on_head = skin[(laid[skin, 1] > low) & (laid[skin, 1] < high)]
        weights, nearest = _nearest(target, laid[on_head], 3)
        step = (target[nearest] * weights[..., None]).sum(1) - laid[on_head]
        size = np.linalg.norm(step, axis=1, keepdims=True)
        step *= np.minimum(1, LARGEST_STEP_DM / np.maximum(size, 1e-9))
        laid += _smoothed(laid[on_head], step, laid, reach)
    return laid


def _smoothed(points: Floats, values: Floats, at: Floats, reach: float) -> Floats:
    """Means (M,3), with a Gaussian of width ``reach``, of values (N,3) at points (N,3)."""
    distance, index = cKDTree(points).query(at, k=24)
    weight = np.exp(-0.5 * (distance / reach) ** 2) + 1e-12
    weight *= np.exp(-0.5 * (np.minimum(distance[:, :1], 3.0) / 0.6) ** 2) / weight.sum(
        1, keepdims=True
    )  # far from all skin nothing moves
    return np.asarray((weight[..., None] * values[index]).sum(1), np.float32)


def _nearest(points: Floats, at: Floats, count: int) -> tuple[Floats, NDArray[np.int64]]:
    """Weights (M,count) by inverse distance, and indices, of the nearest points (N,3)."""
    distance, index = cKDTree(points).query(at, k=count)
    weight = 1 / (distance + 1e-4)
    return (weight / weight.sum(1, keepdims=True)).astype(np.float32), index


def _without_rigid(mode: Floats, at: Floats, landmarks: NDArray[np.int32]) -> Floats:
    """A mode (B,3) less the small rotation and shift that the landmarks see in it.

    A mode that nods would put an error into every label.
    """
    centre = at[landmarks].mean(0)
    arms, shifts = at[landmarks] - centre, mode[landmarks]
    cross = np.zeros((len(arms), 3, 6), np.float64)
    cross[:, :, 3:] = np.eye(3)
    for axis in range(3):
        cross[:, :, axis] = np.cross(np.eye(3)[axis], arms)
    solved = np.linalg.lstsq(cross.reshape(-1, 6), shifts.ravel().astype(np.float64), rcond=None)
    turn, shift = solved[0][:3], solved[0][3:]
    return (mode - np.cross(turn, at - centre) - shift).astype(np.float32)

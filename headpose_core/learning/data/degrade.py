# SPDX-License-Identifier: Apache-2.0
"""What happens to a face crop between the scene and the network, as random degradations.

The order is that of a camera: something in front of the face, light, lens, exposure and colour,
sensor noise, resolution, compression. The paper's section 4.1 has those in `PAPER_STAGES`; the
others are ours. All work on (S, S, 3) uint8 RGB and cost a fraction of a millisecond. What each
does is in `degrade_scene` and `degrade_camera`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from headpose_core.learning.data import covers, degrade_camera, degrade_scene, hard_light
from headpose_core.types import Image


@dataclass(frozen=True)
class DegradeConfig:
    """Share of the views that get each degradation; 0 switches it off."""

    occlude: float = 0.2
    """A flat or textured patch over part of the face."""
    strands: float = 0.12
    """Locks of hair, or what else hangs over a face in lines."""
    cover: float = 0.06
    """A hand, a sleeve, a phone over up to half of the face."""
    shade: float = 0.2
    """Light from one side, or the edge of a shadow."""
    blur: float = 0.15
    """Gaussian blur: the lens out of focus."""
    motion: float = 0.1
    """Blur along a line: the head or the camera moves."""
    exposure: float = 0.8
    """Brightness and contrast, as photos have them."""
    curve: float = 0.25
    """Harder contrast in the middle, as pictures are developed."""
    tint: float = 0.8
    """Gamma and white balance; one in five has a strong cast of colour."""
    saturation: float = 0.4
    """Paler or stronger colours."""
    grey: float = 0.1
    """No colour at all."""
    one_sided: float = 0.06
    """Hard light from one side, with a side that may be black."""
    silhouette: float = 0.02
    """Light from behind, the face in the dark."""
    extreme: float = 0.05
    """Far too dark or far too bright."""
    infrared: float = 0.05
    """As a driver camera sees: grey, lit from beside the lens, what is behind in the dark."""
    noise: float = 0.2
    """Gaussian sensor noise."""
    sensor: float = 0.1
    """Noise that grows with ISO and light."""
    sharpen: float = 0.25
    """As most cameras do: edges get more contrast."""
    resample: float = 0.35
    """Fewer pixels, then enlarged again: a distant face."""
    compress: float = 0.25
    """JPEG of low quality."""
    cut: float = 0.1
    """The border of the image cuts the face; beyond it is black."""

    def of_the_paper(self) -> DegradeConfig:
        """Those of the paper at their shares, and no other."""
        kept = {name: getattr(self, name) for name in PAPER_STAGES}
        return replace(DegradeConfig.off(), **kept)

    @classmethod
    def off(cls) -> DegradeConfig:
        """Nothing happens to the pixels."""
        return cls(**{item.name: 0.0 for item in fields(cls)})


def degrade(crop: Image, config: DegradeConfig, rng: np.random.Generator) -> Image:
    """Apply each degradation with its probability. Returns a crop of the same shape."""
    draws = rng.random(len(STAGES))
    for (name, stage), draw in zip(STAGES.items(), draws, strict=True):
        if draw < getattr(config, name):
            crop = stage(crop, rng)
    return crop


STAGES: dict[str, Callable[[Image, np.random.Generator], Image]] = {
    "occlude": degrade_scene.occlude,
    "strands": degrade_scene.strands,
    "cover": covers.cover,
    "shade": degrade_scene.shade,
    "blur": degrade_camera.blur,
    "motion": degrade_camera.motion,
    "exposure": degrade_camera.exposure,
    "curve": degrade_camera.curve,
    "tint": degrade_camera.tint,
    "saturation": degrade_camera.saturation,
    "grey": degrade_camera.grey,
    "one_sided": hard_light.one_sided,
    "silhouette": hard_light.silhouette,
    "extreme": hard_light.extreme,
    "infrared": degrade_camera.infrared,
    "noise": degrade_camera.noise,
    "sensor": hard_light.sensor,
    "sharpen": degrade_camera.sharpen,
    "resample": degrade_camera.resample,
    "compress": degrade_camera.compress,
    "cut": covers.cut,
}
# Down- and upsampling, brightness and contrast, Gaussian blur (section 4.1).
PAPER_STAGES = ("blur", "exposure", "resample")

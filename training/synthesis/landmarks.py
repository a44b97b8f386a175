# SPDX-License-Identifier: Apache-2.0
"""The usual 68 face points on the MakeHuman base mesh (hm08).

Found by registering ICT-FaceKit's 68 landmark vertices to the mean young MakeHuman head with an
iterated similarity fit (jaw line weighted 0.1) and taking the nearest base vertices; the result
is left-right symmetric. The inner lip points coincide because the mouth is closed.
"""

from __future__ import annotations

import numpy as np

# fmt: off
MAKEHUMAN_LANDMARKS = np.array([
    870, 5236, 5092, 910, 735, 5297, 5223, 5167, 5171, 11780, 11833, 11902, 7455, 7612, 11707,
    11845, 7575,  # jaw line, image left to right
    262, 232, 229, 223, 235, 7007, 6997, 7002, 7005, 7031,  # eyebrows
    132, 131, 164, 294, 333, 313, 317, 7076, 7095,  # nose
    1063, 6762, 6763, 6764, 1070, 1067, 13360, 13359, 13358, 7755, 7759, 7762,  # eyes
    434, 5340, 355, 362, 7116, 11943, 7194, 7232, 7239, 496, 484, 477,  # outer lips
    528, 470, 474, 7226, 7273, 7226, 474, 470,  # inner lips
], dtype=np.int32)
# fmt: on
